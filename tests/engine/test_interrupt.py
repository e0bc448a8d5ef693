"""Ctrl-C: the iteration ends, a checkpoint of it is left, and the resumed run has the bits of one that was not cut."""

import os
import signal
import sys

import pytest
import torch
import torch._dynamo  # noqa: F401 (what every optimizer imports; children then need not)
from machine import forks
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import ValLoop
from tiny import config, fork

from restorekit.checkpoint import load_checkpoint_file
from restorekit.datasets import ProceduralScenes
from restorekit.engine import MultiPhaseRunner, ResumableIterLoop

pytestmark = [
    pytest.mark.skipif(sys.platform != 'linux', reason='forks'),
    forks]


def run_config(folder, workers=0):
    cfg = config(folder, iters=6, interval=4, workers=workers)
    cfg['custom_hooks'] = [dict(type='EMAHook'), dict(type='AdaptiveBatchNormHook', dataset=None)]
    cfg['train_cfg']['val_interval'] = 3
    cfg['optim_wrapper']['accumulative_counts'] = 2
    cfg['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
    return Config(cfg, format_python_code=False)


def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)


def before(owner, name, condition):
    original = getattr(owner, name)

    def replaced(*args, **kwargs):
        if condition(*args):
            interrupt()
        return original(*args, **kwargs)
    setattr(owner, name, replaced)


def in_an_iteration():
    before(ResumableIterLoop, 'run_iter', lambda loop, batch: loop._iter == 2)


def in_the_validation():
    before(ValLoop, 'run_iter', lambda loop, index, batch: loop.runner.iter == 3 and index == 0)


def while_data_is_read():
    before(ProceduralScenes, '__getitem__', lambda dataset, draw: getattr(draw, 'number', 0) == 6)


def train(folder, workers, how=None, resume=False):
    torch.set_num_threads(1)
    if how is not None:
        how()
    with DefaultScope.overwrite_default_scope('restorekit'):
        try:
            MultiPhaseRunner(run_config(folder, workers), resume=resume).train()
        except KeyboardInterrupt as error:
            (folder / 'said').write_text(str(error))
            os._exit(130)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The checkpoints of a run that was not cut."""
    folder = tmp_path_factory.mktemp('whole')
    with DefaultScope.overwrite_default_scope('restorekit'):
        MultiPhaseRunner(run_config(folder))  # imports what is named in the config
    assert fork(train, folder, 0) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('how, workers, iteration', [
    (in_an_iteration, 1, 3), (in_the_validation, 0, 3), (while_data_is_read, 0, 3)])
def test_ctrl_c_leaves_a_checkpoint_of_its_iteration(whole, tmp_path, how, workers, iteration):
    assert fork(train, tmp_path, workers, how) == 130
    path = tmp_path / f'iter_{iteration}.pth'
    assert (tmp_path / 'said').read_text() == f'{path} holds iteration {iteration}; continue with --resume'
    assert load_checkpoint_file(path)['meta']['iter'] == iteration and '.lock' not in os.listdir(tmp_path)
    assert fork(train, tmp_path, workers, None, True) == 0
    for name in ('iter_4.pth', 'iter_6.pth'):
        a, b = (load_checkpoint_file(folder / name) for folder in (whole, tmp_path))
        for part in ('state_dict', 'ema_state_dict'):
            assert a[part].keys() == b[part].keys()
            for key, value in a[part].items():
                assert torch.equal(torch.as_tensor(value), torch.as_tensor(b[part][key])), (name, part, key)
    names = [{path.name for path in folder.glob('*.pth')} for folder in (whole, tmp_path)]
    assert names[0] == names[1]  # the checkpoint of the cut is gone


def test_the_handler_is_taken_back(tmp_path):
    cfg = run_config(tmp_path)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg.pop(key)
    cfg.train_cfg.max_iters = 1
    cfg.default_hooks.checkpoint.update(save_best=None, rule=None)
    MultiPhaseRunner(cfg).train()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, 'SIGHUP'), reason='Windows closes terminals otherwise')
def test_a_terminal_that_closes_leaves_a_checkpoint(tmp_path, monkeypatch):
    cfg = run_config(tmp_path)
    runner = MultiPhaseRunner(cfg)

    class Closes(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 0:
                monkeypatch.setattr(os, 'write', lambda *_: (_ for _ in ()).throw(OSError(5, 'Input/output error')))
                os.kill(os.getpid(), signal.SIGHUP)
    runner.hooks.append(Closes())
    with pytest.raises(KeyboardInterrupt, match='iter_1.pth holds iteration 1'):
        runner.train()
    assert (tmp_path / 'iter_1.pth').is_file() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
