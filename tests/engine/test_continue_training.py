"""Phases that go on with the optimizer and the schedule of the phase before."""

import copy

import pytest
import torch
from mmengine.config import Config
from tiny import config, scenes

from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError
from restorekit.engine import MultiPhaseRunner
from restorekit.engine.loops import ResumableEpochLoop, ResumableIterLoop

PARTS = dict(small={}, large=dict(continue_training=True),
             last=dict(continue_training=True, train_cfg=dict(max_iters=2)))


def run_config(folder, phases=None, **changes):
    cfg = config(folder, iters=3, interval=3, **changes)
    cfg['custom_hooks'] = []
    if phases is not None:
        cfg['phases'] = copy.deepcopy(phases)
    return Config(cfg)


def group(folder, name):
    state = load_checkpoint_file(folder / name)['optimizer']
    return state['param_groups'][0], state['state']


@pytest.fixture(scope='module')
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp('chain')
    MultiPhaseRunner(run_config(folder, PARTS)).train()
    return folder


@pytest.mark.slow
def test_one_schedule_runs_over_all_of_them(chain, tmp_path):
    whole = run_config(tmp_path)
    whole.train_cfg.max_iters = 8
    whole.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    MultiPhaseRunner(whole).train()
    for name, at in (('small/iter_3.pth', 3), ('large/iter_3.pth', 6), ('last/iter_2.pth', 8)):
        assert group(chain, name)[0]['lr'] == pytest.approx(group(tmp_path, f'iter_{at}.pth')[0]['lr'], abs=1e-15)
    names = ('small/iter_3.pth', 'large/iter_3.pth', 'last/iter_2.pth')
    steps = [int(group(chain, name)[1][0]['step']) for name in names]
    assert steps == [3, 6, 8]  # of Adam, whose moments are carried


def by_epochs(folder, phases=None, epochs=2):
    """Six images in batches of two: three iterations an epoch, unless a phase says otherwise."""
    cfg = run_config(folder, phases)
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=9)
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=9)
    cfg.param_scheduler = [dict(type='CosineAnnealingLR', eta_min=1e-5)]
    return cfg


@pytest.mark.slow
def test_one_schedule_runs_over_phases_that_count_epochs(tmp_path, monkeypatch):
    phases = dict(small={}, large=dict(continue_training=True, train_dataloader=dict(batch_size=3)),
                  last=dict(continue_training=True, train_cfg=dict(max_epochs=1)))
    MultiPhaseRunner(by_epochs(tmp_path / 'whole', epochs=5)).train()
    wanted = [group(tmp_path / 'whole', f'epoch_{number}.pth')[0]['lr'] for number in range(1, 6)]
    real = ResumableEpochLoop.run_iter

    def cut(self, batch):
        if 'large' in self.runner.work_dir and self._iter == 2:  # after one epoch of two batches
            raise KeyboardInterrupt
        real(self, batch)
    cfg = by_epochs(tmp_path / 'parts', phases)
    monkeypatch.setattr(ResumableEpochLoop, 'run_iter', cut)
    with pytest.raises(KeyboardInterrupt):
        MultiPhaseRunner(cfg).train()
    monkeypatch.setattr(ResumableEpochLoop, 'run_iter', real)
    MultiPhaseRunner(cfg, resume=True).train()
    names = [('small', 1), ('small', 2), ('large', 1), ('large', 2), ('last', 1)]
    found = [group(tmp_path / 'parts', f'{phase}/epoch_{number}.pth') for phase, number in names]
    assert [values['lr'] for values, _ in found] == pytest.approx(wanted, abs=1e-15)
    assert len(set(wanted)) == 4  # the last step of a cosine is its end
    assert [int(state[0]['step']) for _, state in found] == [3, 6, 8, 10, 13]  # of Adam, whose moments are carried


@pytest.mark.slow
def test_a_cut_phase_that_continues_is_resumed_bit_for_bit(chain, tmp_path, monkeypatch):
    real = ResumableIterLoop.run_iter

    def cut(self, batch):
        if 'large' in self.runner.work_dir and self._iter == 2:
            raise KeyboardInterrupt
        real(self, batch)
    cfg = run_config(tmp_path, PARTS)
    cfg.default_hooks.checkpoint.interval = 1
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', cut)
    with pytest.raises(KeyboardInterrupt):
        MultiPhaseRunner(cfg).train()
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', real)
    MultiPhaseRunner(cfg, resume=True).train()
    a, b = (load_checkpoint_file(folder / 'last/iter_2.pth') for folder in (chain, tmp_path))
    assert all(torch.equal(value, b['state_dict'][key]) for key, value in a['state_dict'].items())
    assert a['optimizer']['param_groups'][0]['lr'] == b['optimizer']['param_groups'][0]['lr']


@pytest.mark.slow
def test_without_it_a_phase_begins_its_own_schedule(tmp_path):
    MultiPhaseRunner(run_config(tmp_path, dict(small={}, large={}))).train()
    values, state = group(tmp_path, 'large/iter_3.pth')
    assert values['lr'] == group(tmp_path, 'small/iter_3.pth')[0]['lr'] and int(state[0]['step']) == 3


@pytest.mark.parametrize(('phases', 'message'), [
    (dict(small=dict(continue_training=True)), 'in the first phase: there is none before it'),
    (dict(small={}, large=dict(continue_training=True, frozen=['network.encoder'])),
     "'large': continue_training=True needs .* trained parameters of phase 'small'; they differ in network.encoder"),
    (dict(small={}, large=dict(continue_training=True, optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0)))),
     'the optimizers differ'),
    (dict(small={}, large=dict(continue_training=True, init_from=None)), "the weights .* but got init_from=None"),
    (dict(small={}, large=dict(continue_training=True, train_cfg=dict(
        _delete_=True, type='EpochBasedTrainLoop', max_epochs=2), param_scheduler=None)),
     "'small' counts iterations and 'large' epochs"),
    (dict(small={}, large=dict(continue_traning=True)), "did you mean 'continue_training'")])
def test_where_it_cannot_be_it_is_refused(tmp_path, phases, message):
    with pytest.raises(ConfigError, match=message):
        MultiPhaseRunner(run_config(tmp_path / 'run', phases))
    assert not (tmp_path / 'run').exists()


def test_epochs_with_a_schedule_of_iterations_are_refused(tmp_path):
    cfg = by_epochs(tmp_path / 'run', dict(small={}, large=dict(continue_training=True)))
    for option in (dict(by_epoch=False), dict(convert_to_iter_based=True)):
        cfg.param_scheduler = [dict(type='CosineAnnealingLR', T_max=4, **option)]
        with pytest.raises(ConfigError, match=r'param_scheduler\[0\] counts iterations'):
            MultiPhaseRunner(cfg)


@pytest.mark.slow
def test_banks_and_teachers_are_never_handed_over(tmp_path):
    pair = dict(type='DomainPairDataset', source=scenes(domain='source'), target=scenes(domain='target'))
    haze = dict(type='AtmosphericScattering', beta=(0.5, 2.0))
    cfg = run_config(tmp_path, dict(small={}, large=dict(continue_training=True)))
    cfg.train_dataloader.dataset = pair
    cfg.model.consistency = dict(type='MeanTeacherConsistency', loss_weight=0.1, perturbation=haze)
    MultiPhaseRunner(cfg).train()
    first, second = (load_checkpoint_file(tmp_path / name / 'iter_3.pth')['state_dict'] for name in ('small', 'large'))
    teachers = [key for key in second if 'teacher.' in key and 'weight' in key]
    pairs = [(key, f'network.{key.partition("teacher.")[2]}') for key in teachers]
    assert pairs  # the second teacher began as the network that the first phase left, not as its teacher
    distances = [sum((second[teacher] - first[other]).abs().sum() for teacher, other in choice)
                 for choice in (pairs, [(teacher, teacher) for teacher, _ in pairs])]
    assert distances[0] < distances[1]
