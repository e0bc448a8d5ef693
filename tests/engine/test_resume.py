"""Gradient accumulation, validation, best checkpoints and compilation, across a cut."""

import os
import uuid

import pytest
import torch
from machine import forks
from mmengine.config import Config
from mmengine.runner import ValLoop
from tiny import PAIR, config, fork

from restorekit.checkpoint import atomic_save, load_checkpoint_file
from restorekit.engine import RestoreRunner
from restorekit.engine import runner as runner_module
from restorekit.engine.hooks import SafeCheckpointHook
from restorekit.engine.hooks.batch_norm import average_batch_norm


def quick(folder, **kwargs):
    cfg = config(folder, **kwargs)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks'):
        cfg.pop(key)
    return cfg


def train(cfg, **changes):
    runner = RestoreRunner.from_cfg(Config(dict(cfg, experiment_name=uuid.uuid4().hex, **changes),
                                           format_python_code=False))
    runner.train()
    return runner


@pytest.mark.slow
@pytest.mark.parametrize('iters', [6, 7])
def test_a_cut_accumulation_is_resumed_exactly(tmp_path, iters):
    """Checkpoints every 3 iterations fall into the middle of steps of 2; the last step of 7 has one iteration."""
    cfg = quick(tmp_path, iters=iters, interval=3)
    cfg['optim_wrapper']['accumulative_counts'] = 2
    cfg['default_hooks']['checkpoint']['max_keep_ckpts'] = 9
    whole = train(cfg).model.state_dict()
    saved = load_checkpoint_file(tmp_path / 'iter_3.pth')
    assert saved['gradients'].keys() == {f'network.{name}' for name in _trained(cfg)}
    assert {float(state['step']) for state in saved['optimizer']['state'].values()} == {1.0}
    assert 'gradients' not in load_checkpoint_file(tmp_path / 'iter_6.pth')
    resumed = train(cfg, resume=True, load_from=str(tmp_path / 'iter_3.pth')).model.state_dict()
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key


def _trained(cfg):
    from restorekit.registry import MODELS
    return [name for name, p in MODELS.build(cfg['model']['network']).named_parameters() if p.requires_grad]


def test_two_accumulated_halves_are_one_step_of_their_mean(tmp_path):
    def run(name, size, counts):
        cfg = quick(tmp_path / name, iters=counts)
        cfg['model'].update(frozen=['network'])
        cfg['train_dataloader']['batch_size'] = size
        cfg['optim_wrapper'] = dict(optimizer=dict(type='SGD', lr=1.0), accumulative_counts=counts)
        cfg.pop('param_scheduler')
        cfg['model'].update(frozen=['network.encoder'])  # BatchNorm sees the same statistics in halves
        return train(cfg).model.network.decoder.state_dict()
    one, two = run('one', 4, 1), run('two', 2, 2)
    moved = 0
    for key, value in one.items():
        if 'running' not in key and 'num_batches' not in key:
            torch.testing.assert_close(two[key], value, atol=1e-5, rtol=1e-4)
            moved += value.numel()
    assert moved


@pytest.mark.slow
def test_a_validation_cut_off_is_run_on_resume(tmp_path, monkeypatch):
    def cfg(name):
        result = config(tmp_path / name, iters=4)
        result['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
        return result
    whole = train(cfg('whole')).message_hub
    real, calls = ValLoop.run_iter, []

    def cut(self, index, batch):
        calls.append(self.runner.iter)
        if calls.count(2) == 2:
            raise KeyboardInterrupt
        real(self, index, batch)
    monkeypatch.setattr(ValLoop, 'run_iter', cut)
    with pytest.raises(KeyboardInterrupt):
        train(cfg('cut'))
    assert (tmp_path / 'cut' / 'iter_2.pth').is_file()  # the checkpoint came before
    monkeypatch.setattr(ValLoop, 'run_iter', lambda self, *args: (calls.append(self.runner.iter), real(self, *args)))
    calls.clear()
    resumed = train(cfg('cut'), resume=True, load_from=str(tmp_path / 'cut' / 'iter_2.pth')).message_hub
    assert calls == [2, 2, 4, 4]
    expected, got = (hub.get_scalar('val/source/PSNR@rgb').data[0].tolist() for hub in (whole, resumed))
    assert got == expected and len(got) == 2
    names = [{path.name for path in (tmp_path / name).glob('*.pth')} for name in ('whole', 'cut')]
    assert names[0] == names[1]


@pytest.mark.slow
def test_the_old_best_goes_only_after_the_new_one_is_there(tmp_path, monkeypatch):
    cfg = config(tmp_path, iters=2, interval=1)
    cfg['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
    scores = iter([1.0, 2.0])
    real = SafeCheckpointHook.after_val_epoch
    monkeypatch.setattr(SafeCheckpointHook, 'after_val_epoch',
                        lambda self, runner, metrics: real(self, runner, {'source/PSNR@rgb': next(scores)}))
    seen = []

    def save(obj, path):
        if 'best_source' in path:
            seen.append(sorted(path.name for path in tmp_path.glob('best*')))
        atomic_save(obj, path)
    monkeypatch.setattr(runner_module, 'atomic_save', save)
    train(cfg)
    assert seen == [[], ['best_source_PSNR@rgb_iter_1.pth']]  # it is there while the new one is written
    assert [path.name for path in tmp_path.glob('best*')] == ['best_source_PSNR@rgb_iter_2.pth']


def test_save_best_of_a_metric_that_is_not_measured(tmp_path):
    cfg = config(tmp_path, iters=2)
    cfg['default_hooks']['checkpoint'].update(save_best='source/PNSR@rgb', rule='greater')
    with pytest.raises(ValueError, match="save_best='source/PNSR@rgb': the .*did you mean 'source/PSNR@rgb'"):
        train(cfg)


@pytest.mark.slow
def test_compile_compiles_the_network_and_not_the_training_step(tmp_path):
    cfg = quick(tmp_path / 'compiled', iters=2)
    cfg['train_dataloader']['dataset'] = PAIR
    cfg['model'].update(reweighter=dict(type='DecorrelationReweighter'), alignment=dict(type='CORALLoss'))
    compiled = train(dict(cfg, compile=dict(backend='eager')))
    network = compiled.model.network
    assert all('_torchdynamo_orig_callable' in vars(getattr(network, name)) for name in
               ('forward', 'forward_features', 'embed'))
    assert 'train_step' not in vars(compiled.model)
    plain = train(dict(cfg, work_dir=str(tmp_path / 'plain'))).model.state_dict()
    assert plain.keys() == compiled.model.state_dict().keys()
    for key, value in compiled.model.state_dict().items():
        torch.testing.assert_close(value, plain[key], atol=1e-5, rtol=1e-4)
    assert 'forward' not in vars(train(dict(cfg, work_dir=str(tmp_path / 'off'), compile=False)).model.network)


def _interval_of_rank(rank, folder):
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    norm = torch.nn.BatchNorm1d(2)
    norm.running_mean.fill_(float(rank))
    average_batch_norm(torch.nn.Sequential(norm))
    assert norm.running_mean.tolist() == [0.5, 0.5]
    hook = SafeCheckpointHook(interval=3)

    class Runner:
        cfg = {}  # noqa: RUF012
        work_dir = str(folder)
        message_hub = type('Hub', (), dict(
            runtime_info={}, get_info=staticmethod(lambda name, default=None: default)))
        optim_wrapper = type('Wrapper', (), dict(_accumulative_counts=2))
    with pytest.raises(ValueError, match='interval=3 is not a multiple of optim_wrapper.accumulative_counts=2.* use 4'):
        hook.before_train(Runner)
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
def test_processes_share_statistics_and_cut_no_accumulation(tmp_path):
    assert fork(_interval_of_rank, tmp_path, ranks=2) == [0, 0]


def _train_as_rank(rank, folder):
    os.environ['LOCAL_RANK'] = str(rank)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    for interval in (1, 3):
        cfg = quick(folder / str(interval), iters=3, interval=interval)
        model = train(cfg, launcher='pytorch').model.module
        torch.save(model.state_dict(), folder / f'{interval}_{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
@forks
def test_statistics_are_common_and_do_not_depend_on_when_checkpoints_are_written(tmp_path):
    assert fork(_train_as_rank, tmp_path, ranks=2) == [0, 0]
    first, *others = (torch.load(tmp_path / f'{interval}_{rank}.pt') for interval in (1, 3) for rank in range(2))
    assert any('running_mean' in key for key in first)
    for other in others:
        for key, value in first.items():
            assert torch.equal(value, other[key]), key
