"""The one merge rule."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorekit.merging import compose, join_options, lay_options, lay_over, merge, tidy


@pytest.mark.parametrize(('base', 'override', 'merged'), [
    (dict(a=dict(x=1, y=2)), dict(a=dict(y=3)), dict(a=dict(x=1, y=3))),
    # another type replaces: the weight was SSIM's
    (dict(ssim=dict(type='SSIMLoss', loss_weight=0.1)), dict(ssim=dict(type='L1Loss')), dict(ssim=dict(type='L1Loss'))),
    (dict(opt=dict(type='Adam', betas=(0, 1))), dict(opt=dict(type='SGD', lr=1)), dict(opt=dict(type='SGD', lr=1))),
    # a missing type is the same, on either side; a scope of ours makes no other type
    (dict(a=dict(type='A', x=1)), dict(a=dict(x=2)), dict(a=dict(type='A', x=2))),
    (dict(a=dict(x=1)), dict(a=dict(type='A')), dict(a=dict(x=1, type='A'))),
    (dict(a=dict(type='L1', x=1)), dict(a=dict(type='restorekit.L1')), dict(a=dict(type='restorekit.L1', x=1))),
    (dict(a=dict(type='restorekit.L1', x=1)), dict(a=dict(type='L1')), dict(a=dict(type='L1', x=1))),
    (dict(a=dict(type='L1', x=1)), dict(a=dict(type='mmdet.L1')), dict(a=dict(type='mmdet.L1'))),
    (dict(a=dict(x=1, y=2)), dict(a=dict(_delete_=True, y=3)), dict(a=dict(y=3))),
    (dict(a=dict(type='A', x=1)), dict(a=dict(_delete_=True, type='A')), dict(a=dict(type='A'))),
    ({}, dict(a=dict(b=dict(_delete_=True, y=3))), dict(a=dict(b=dict(y=3)))),
    # a dict replaces what is not one, and anything replaces a dict
    (dict(a='text', b=1, c=None, d=[1]), dict(a={}, b=dict(x=1), c=dict(x=2), d=dict(x=3)),
     dict(a={}, b=dict(x=1), c=dict(x=2), d=dict(x=3))),
    (dict(a=dict(x=1), b=[1, 2]), dict(a=None, b=[3]), dict(a=None, b=[3])),
    # indices edit a list
    (dict(steps=[dict(type='A', x=1), dict(type='B', x=1)]), dict(steps={'1': dict(x=2), '0': dict(type='C')}),
     dict(steps=[dict(type='C'), dict(type='B', x=2)])),
])
def test_rule(base, override, merged):
    before = copy.deepcopy((base, override))
    assert merge(base, override) == merged
    assert (base, override) == before


def test_index_beyond_the_list_is_refused():
    with pytest.raises(ValueError, match='the list has 2 items, numbered from 0, but got the index 2'):
        merge(dict(a=[1, 2]), dict(a={'2': 3}))


def test_result_shares_no_list_with_the_override():
    override = dict(a=dict(steps=[1]))
    merged = merge({}, override)
    merged['a']['steps'].append(2)
    assert override == dict(a=dict(steps=[1]))


values = st.recursive(
    st.sampled_from([None, 1, 'x']),
    lambda inner: st.fixed_dictionaries({}, optional=dict(
        a=inner, b=inner, type=st.sampled_from(['A', 'B', 'restorekit.A']), _delete_=st.just(True))),
    max_leaves=8)
configs = st.dictionaries(st.sampled_from('ab'), values, max_size=2)


@given(configs.map(lambda node: merge({}, node)), configs, configs)
def test_composed_overrides_do_what_both_do(base, first, second):
    both = compose(first, second, base)
    assert merge(base, both) == merge(merge(base, first), second)
    assert merge(base, tidy(both, base)) == merge(base, both)


def test_options_are_one_tree_whatever_their_order():
    tree = dict(optimizer=dict(type='SGD', lr=0.1))
    assert join_options({'optimizer.type': 'SGD', 'optimizer.lr': 0.1}) == tree
    assert join_options({'optimizer.lr': 0.1, 'optimizer.type': 'SGD'}) == tree
    assert join_options({'optimizer': dict(type='SGD'), 'optimizer.lr': 0.1}) == tree
    cfg = dict(optimizer=dict(type='Adam', betas=(0.9, 0.99)))
    assert lay_options(cfg, tree) == tree  # lr survives, betas do not


def phase(cfg, name):
    return merge({key: value for key, value in cfg.items() if key != 'phases'}, cfg['phases'][name])


CONFIG = dict(
    train_cfg=dict(max_iters=100), target=dict(length=9), model=dict(type='M', loss=dict(type='A', a=1)),
    phases=dict(first=dict(train_cfg=dict(max_iters=10)),
                second=dict(target=None, model=dict(loss=dict(type='B', b=1))), third={}))


def test_options_hold_in_every_phase():
    cfg = lay_options(CONFIG, join_options({'train_cfg.max_iters': 5, 'target.length': 3, 'phases.third.x': 1}))
    assert [phase(cfg, name)['train_cfg'] for name in cfg['phases']] == [dict(max_iters=5)] * 3
    assert [phase(cfg, name)['target'] for name in cfg['phases']] == [dict(length=3), None, dict(length=3)]
    assert phase(cfg, 'third')['x'] == 1 and 'x' not in phase(cfg, 'first')


def test_an_option_for_one_phase_comes_last():
    cfg = lay_options(CONFIG, join_options({'phases.first.train_cfg.max_iters': 3, 'train_cfg.max_iters': 5}))
    assert [phase(cfg, name)['train_cfg']['max_iters'] for name in cfg['phases']] == [3, 5, 5]


def test_an_options_type_replaces_a_phases_component():
    cfg = lay_options(CONFIG, join_options({'model.loss.type': 'C'}))
    assert [phase(cfg, name)['model'] for name in cfg['phases']] == [dict(type='M', loss=dict(type='C'))] * 3
    cfg = lay_options(CONFIG, join_options({'model.loss.type': 'A', 'model.loss.a': 2}))
    assert [phase(cfg, name)['model']['loss'] for name in cfg['phases']] == [dict(type='A', a=2)] * 3


def test_options_change_no_phase_that_does_not_set_the_key():
    assert lay_options(CONFIG, dict(seed=1))['phases'] == CONFIG['phases']


def test_phases_of_a_child_act_on_those_of_its_base():
    child = dict(model=dict(loss=dict(type='Z')), phases=dict(second=dict(model=dict(loss=dict(type='C'))), fourth={}))
    cfg = lay_over(CONFIG, child)
    assert list(cfg['phases']) == ['first', 'second', 'third', 'fourth']
    assert phase(cfg, 'second')['model']['loss'] == dict(type='C') and phase(cfg, 'second')['target'] is None
    assert phase(cfg, 'first')['model']['loss'] == dict(type='Z')
    assert lay_over(CONFIG, dict(phases=None))['phases'] is None
    assert lay_over(CONFIG, dict(phases=dict(_delete_=True, only={})))['phases'] == dict(only={})
