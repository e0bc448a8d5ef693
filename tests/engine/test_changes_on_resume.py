"""Resuming with a changed config, and training a finished run further."""

import copy

import pytest
from mmengine.config import Config
from tiny import PHASES, config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError
from restorekit.engine import MultiPhaseRunner

SCHEDULE = [dict(type='LinearLR', start_factor=0.1, end=3), dict(type='CosineAnnealingLR', begin=1, eta_min_ratio=0.01)]


def train(folder, resume=False, phase=None, **changes):
    cfg = config(folder, iters=4, interval=4)
    cfg.update(param_scheduler=copy.deepcopy(SCHEDULE), custom_hooks=[])
    for key, value in changes.items():
        cfg[key] = {**cfg[key], **value} if isinstance(value, dict) and isinstance(cfg.get(key), dict) else value
    said = []
    runner = MultiPhaseRunner(Config(cfg), resume=resume, phase=phase, allow_config_change=resume)
    runner.announce = said.append
    runner.train()
    return runner, said


def group(runner, name='train'):
    state = load_checkpoint_file(runner.checkpoint(name))
    return state['optimizer']['param_groups'][0], state['meta']['iter']


def optimizer(**kwargs):
    return dict(optim_wrapper=dict(optimizer=dict(dict(type='Adam', lr=1e-3), **kwargs)))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    train(folder)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    import shutil
    return shutil.copytree(finished, tmp_path / 'run')


@pytest.mark.slow
@pytest.mark.parametrize('changes', [
    {}, optimizer(lr=1e-5, weight_decay=0.1, betas=(0.8, 0.99)),
    dict(param_scheduler=[dict(type='MultiStepLR', milestones=[2, 5], gamma=0.5)])])
def test_a_finished_run_is_extended_under_the_schedule_that_the_config_says_now(run, tmp_path, changes):
    longer = dict(changes, train_cfg=dict(max_iters=7))
    runner, said = train(run, resume=True, **longer)
    assert any('extended from 4 to 7, continues at iteration 4' in text for text in said)
    extended, iterations = group(runner)
    anew, _ = group(train(tmp_path / 'anew', **longer)[0])
    assert iterations == 7 and runner.state['phases']['train']['iterations'] == 7
    assert {key: value for key, value in extended.items() if key != 'params'} == {
        key: value for key, value in anew.items() if key != 'params'}
    assert (run / 'iter_7.pth').is_file()
    assert train(run, resume=True, **longer)[1] == ['Phase train: finished before, skipped']


def test_without_a_longer_run_a_finished_phase_stays_as_it_is(run):
    runner, said = train(run, resume=True, **optimizer(lr=1e-5))
    assert said[-1] == 'Phase train: finished before, skipped' and group(runner)[0]['initial_lr'] == 1e-3
    for path in run.glob('iter_*.pth'):
        path.unlink()
    assert train(run, resume=True, **optimizer(lr=1e-5))[1] == [
        'Phase train: finished before, skipped; its checkpoint iter_4.pth is gone']


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(frozen=['network.encoder']), 'parameters in 1 groups, but this config trains .* cannot change on resume'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3),
                             paramwise_cfg=dict(custom_keys={'network.encoder': dict(lr_mult=0.1)}))),
     'in 1 groups, but this config trains .* cannot change on resume'),
    (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3))), 'another optimizer')])
def test_what_cannot_change_is_refused_with_the_reason(run, changes, message):
    if 'frozen' in changes:
        changes = dict(model={**config('x')['model'], **changes})
    with pytest.raises(ConfigError, match=message):
        train(run, resume=True, train_cfg=dict(max_iters=6), **changes)
    assert not (run / 'iter_6.pth').exists()


def test_a_run_cannot_be_resumed_to_train_less(tmp_path):
    runner, _ = train(tmp_path)
    runner.state['phases'] = {}
    runner._write_state()
    with pytest.raises(ConfigError, match='has trained 4 iterations and cannot be resumed to train fewer, but .*=3'):
        train(tmp_path, resume=True, train_cfg=dict(max_iters=3))


@pytest.mark.slow
def test_one_phase_is_extended(tmp_path):
    phases = {name: copy.deepcopy(PHASES[name]) for name in ('pretrain', 'supervised')}
    train(tmp_path, phases=phases)
    phases['supervised']['train_cfg'] = dict(max_iters=6)
    runner, said = train(tmp_path, resume=True, phases=phases)
    assert [runner.state['phases'][name]['iterations'] for name in phases] == [4, 6]
    assert 'Phase pretrain: finished before, skipped' in said
    assert all(record['finished'] for record in runner.state['phases'].values())


@pytest.mark.slow
def test_resume_in_the_config(run, tmp_path):
    for changes in ({}, dict(load_from=str(run / 'iter_4.pth'), work_dir=str(tmp_path / 'b'))):
        cfg = dict(config(run, iters=6, interval=4), param_scheduler=SCHEDULE, custom_hooks=[], resume=True, **changes)
        runner = MultiPhaseRunner(Config(cfg), allow_config_change=True)
        runner.train()
        state = load_checkpoint_file(runner.work_dir / 'iter_6.pth')
        assert len(state['message_hub']['log_scalars']['train/loss']['log']) == 6  # also the four before
