"""Phases that go on with the optimizer and the schedule of the phase before."""

import copy

import pytest
import torch
from mmengine.config import Config
from tiny import config, scenes

from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError
from restorekit.engine import MultiPhaseRunner
from restorekit.engine.loops import ResumableIterLoop

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
    (dict(small={}, large=dict(continue_traning=True)), "did you mean 'continue_training'")])
def test_where_it_cannot_be_it_is_refused(tmp_path, phases, message):
    with pytest.raises(ConfigError, match=message):
        MultiPhaseRunner(run_config(tmp_path / 'run', phases))
    assert not (tmp_path / 'run').exists()


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
