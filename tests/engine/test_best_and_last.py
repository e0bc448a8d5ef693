"""Which weights a run leaves behind, and what it says of them."""

import math

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import PHASES, config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.cli.train import summary
from restorekit.config import ConfigError
from restorekit.engine import MultiPhaseRunner, RestoreRunner, results_table
from restorekit.engine.hooks import MeanRuntimeInfoHook, SafeCheckpointHook
from restorekit.engine.loops import ResumableIterLoop
from restorekit.tasks.train import TrainReport

STOP = dict(type='EarlyStoppingHook', monitor='PSNR', patience=1, min_delta=50)


def run(folder, iters=4, interval=2, hooks=(), checkpoint=None, **changes):
    cfg = config(folder, iters=iters, interval=interval, **changes)
    cfg['custom_hooks'] = list(hooks)
    if checkpoint is None:
        cfg['default_hooks']['checkpoint'] = None
    else:
        cfg['default_hooks']['checkpoint'] = dict(dict(type='SafeCheckpointHook'), **checkpoint)
    runner = MultiPhaseRunner(Config(cfg))
    runner.train()
    return runner


@pytest.mark.slow
def test_early_stopping_keeps_the_weights_it_measured(tmp_path):
    runner = run(tmp_path, iters=20, interval=2, hooks=[STOP], checkpoint=dict(interval=1000))
    record = runner.state['phases']['train']
    assert record['iterations'] == record['metrics_iteration'] == 4 and record['checkpoint'] == 'iter_4.pth'
    assert load_checkpoint_file(tmp_path / 'iter_4.pth')['meta']['iter'] == 4
    assert '| after train | ' in results_table(runner.state) and '| iter_4.pth |' in results_table(runner.state)


@pytest.mark.slow
def test_a_phase_after_early_stopping_starts_from_its_weights(tmp_path):
    phases = dict(first=dict(custom_hooks=[STOP]), second=dict(train_cfg=dict(max_iters=1)))
    runner = run(tmp_path, iters=20, interval=2, checkpoint=dict(interval=1000), phases=phases)
    kept = [record['checkpoint'] for record in runner.state['phases'].values()]
    assert kept == ['first/iter_4.pth', 'second/iter_1.pth']


@pytest.mark.slow
def test_an_error_between_two_iterations_loses_nothing(tmp_path, monkeypatch):
    real = ResumableIterLoop._passes

    def broken(self, first):
        for number, batch in enumerate(real(self, first)):
            if number == 3:
                raise OSError('the disk is gone')
            yield batch
    monkeypatch.setattr(ResumableIterLoop, '_passes', broken)
    with pytest.raises(OSError, match='the disk is gone'):
        run(tmp_path, interval=100, checkpoint=dict(interval=100))
    assert load_checkpoint_file(tmp_path / 'iter_3.pth')['meta']['iter'] == 3


def test_a_new_best_between_two_checkpoints_removes_the_old_one_too(tmp_path, monkeypatch):
    scores = iter([5.0, 9.0])
    real = SafeCheckpointHook.after_val_epoch
    monkeypatch.setattr(SafeCheckpointHook, 'after_val_epoch', lambda self, runner, metrics: real(
        self, runner, {**metrics, 'source/PSNR@rgb': next(scores)}))
    run(tmp_path, iters=6, interval=3, checkpoint=dict(save_best='PSNR', interval=2, max_keep_ckpts=1))
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['best_source_PSNR@rgb_iter_6.pth', 'iter_6.pth']


@pytest.mark.parametrize('name', ['auto', 'PSNR', 'PSNR@rgb', 'source/PSNR@rgb', ['auto']])
def test_the_best_by_any_name_of_the_metric(tmp_path, monkeypatch, name):
    scores = iter([5.0, 9.0, 7.0])  # greater is better, which no rule says
    real = SafeCheckpointHook.after_val_epoch
    monkeypatch.setattr(SafeCheckpointHook, 'after_val_epoch', lambda self, runner, metrics: real(
        self, runner, {**metrics, 'source/PSNR@rgb': next(scores)}))
    runner = run(tmp_path, iters=3, interval=1, checkpoint=dict(save_best=name))
    record = runner.state['phases']['train']
    assert record['best_checkpoint'] == 'best_source_PSNR@rgb_iter_2.pth' and record['checkpoint'] == 'iter_3.pth'
    assert record['best_metrics']['source/PSNR@rgb'] == 9.0
    table = results_table(runner.state).splitlines()
    assert table[-1].startswith('| best of train | 9.00') and 'best_source_PSNR@rgb_iter_2.pth' in table[-1]
    assert not math.isclose(record['metrics']['source/PSNR@rgb'], 9.0) and table[-2].startswith('| after train')


@pytest.mark.parametrize(('hooks', 'checkpoint', 'message'), [
    ((), dict(save_best='source/PSNRR@rgb'), "save_best='source/PSNRR@rgb': .*did you mean 'source/PSNR@rgb'"),
    ((), dict(save_best='SSIM'), "save_best='SSIM': the validation gives no such number"),
    ((), dict(save_best='PSNR', rule='bigger'), "rule must be 'greater' or 'less', but got 'bigger'"),
    ([dict(STOP, monitor='target/PSNR@rgb')], {}, "monitor='target/PSNR@rgb': .*did you mean 'source/PSNR@rgb'")])
def test_a_wrong_key_is_refused_before_the_first_iteration(tmp_path, hooks, checkpoint, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / 'new' / 'run', hooks=hooks, checkpoint=checkpoint)
    assert not (tmp_path / 'new').exists()  # a start that fails leaves nothing behind


def test_a_plateau_knows_which_way_is_better(tmp_path):
    cfg = config(tmp_path, iters=2, interval=1, param_scheduler=[dict(type='ReduceOnPlateauLR', monitor='PSNR')])
    runner = RestoreRunner.from_cfg(Config(cfg))
    runner.train()
    assert (runner.param_schedulers[0].monitor, runner.param_schedulers[0].rule) == ('source/PSNR@rgb', 'greater')
    cfg['param_scheduler'][0]['monitor'] = 'SSIM'
    with pytest.raises(ConfigError, match=r"param_scheduler\[0\].monitor='SSIM': the validation gives no such number"):
        RestoreRunner.from_cfg(Config(cfg)).train()


@pytest.mark.parametrize('checkpoint', [None, dict(save_last=False)])
def test_a_run_that_keeps_nothing_ends_well_and_says_so(tmp_path, checkpoint):
    runner = run(tmp_path, checkpoint=checkpoint)
    assert runner.state['phases']['train']['checkpoint'] is None and not list(tmp_path.glob('*.pth'))
    report = TrainReport(runner.work_dir, 'a.py', runner.state['phases'], None, None, False, '', None)
    assert 'No checkpoint was kept' in summary(report) and 'Try next' not in summary(report)


def test_the_summary_names_the_best_and_the_config_of_ones_own_network(tmp_path):
    report = TrainReport(tmp_path, 'own.py', {}, tmp_path / 'iter_4.pth', tmp_path / 'best.pth', True, '', None)
    text = summary(report)
    assert 'iter_4.pth' in text and 'Best:' in text
    assert any(line.startswith('Try next:    restorekit restore') and line.endswith('best.pth --config own.py')
               for line in text.splitlines())


@pytest.mark.slow
def test_phases_are_never_dropped_without_a_word(tmp_path):
    cfg = Config(config(tmp_path, phases=PHASES))
    for kind in (Runner, RestoreRunner):
        with pytest.raises(ConfigError, match='has phases .pretrain, supervised, adapt., which .* restorekit train'):
            kind.from_cfg(cfg).train()


def test_logged_losses_are_the_mean_over_the_processes(monkeypatch):
    def all_reduce(values, op):
        if op == 'max':  # of a digest of the names, the same there
            return
        assert op == 'mean'
        values += torch.tensor([4.0, 8.0])  # of the other process
        values /= 2

    seen = {}
    monkeypatch.setattr('restorekit.engine.hooks.runtime_info.get_world_size', lambda: 2)
    monkeypatch.setattr('restorekit.engine.hooks.runtime_info.all_reduce', all_reduce)
    hub = type('Hub', (), dict(update_scalar=staticmethod(lambda key, value: seen.update({key: value}))))
    runner = type('Runner', (), dict(message_hub=hub, model=torch.nn.Linear(1, 1)))
    MeanRuntimeInfoHook().after_train_iter(runner, 0, outputs=dict(loss=torch.tensor(2.0), a_psnr=0.0))
    assert seen == {'train/loss': 5.0, 'train/a_psnr': 2.0}
