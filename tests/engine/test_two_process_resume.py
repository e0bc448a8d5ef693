"""Two processes, both killed in the second of three phases, end with the bits of two that were not."""

import os
import signal
import socket

import pytest
import torch
import torch._dynamo  # noqa: F401 (what every optimizer imports; children then need not)
from machine import forks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import PHASES, config, fork

from restorekit.checkpoint import load_checkpoint_file
from restorekit.engine import MultiPhaseRunner, ResumableIterLoop

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed'),
    forks]


def run_config(folder):
    phases = dict(PHASES, adapt=dict(PHASES['adapt'], init_from='best'))
    cfg = config(folder, iters=4, interval=2, phases=phases, launcher='pytorch')
    cfg['custom_hooks'] = []
    cfg['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
    return Config(cfg, format_python_code=False)


def habits_config(folder):
    """EMA, accumulation, mixed precision and layer-wise decay at once."""
    cfg = config(folder, iters=4, interval=2, phases=dict(first={}, second={}), launcher='pytorch')
    cfg['custom_hooks'] = [dict(type='EMAHook', momentum=0.1)]
    cfg['optim_wrapper'] = dict(
        type='AmpOptimWrapper', dtype='bfloat16', optimizer=dict(type='AdamW', lr=1e-3), accumulative_counts=2,
        constructor='LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay=0.5))
    return Config(cfg, format_python_code=False)


def train(rank, port, folder, resume, die_at=None, make=run_config):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    original = ResumableIterLoop.run_iter

    def run_iter(self, batch):
        if (os.path.basename(self.runner.work_dir), self._iter) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, batch)
    ResumableIterLoop.run_iter = run_iter
    with DefaultScope.overwrite_default_scope('restorekit'):
        MultiPhaseRunner(make(folder), resume=resume).train()
    torch.distributed.destroy_process_group()


def port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def test_resumed_processes_end_with_the_same_bits(tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    MultiPhaseRunner(run_config(whole))  # imports what is named in the config
    assert fork(train, port(), whole, False, ranks=2) == [0, 0]
    assert fork(train, port(), killed, False, ('supervised', 3), ranks=2) == [-signal.SIGKILL] * 2
    assert not (killed / 'adapt').exists()
    assert fork(train, port(), killed, True, ranks=2) == [0, 0]
    for phase in PHASES:
        a, b = (load_checkpoint_file(folder / phase / 'iter_4.pth')['state_dict'] for folder in (whole, killed))
        assert a.keys() == b.keys()
        for key, value in a.items():
            assert torch.equal(value, b[key]), (phase, key)


@pytest.mark.slow
def test_habits_together_resume_to_the_same_bits(tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    MultiPhaseRunner(habits_config(whole))  # imports what is named in the config
    assert fork(train, port(), whole, False, None, habits_config, ranks=2) == [0, 0]
    assert fork(train, port(), killed, False, ('second', 3), habits_config, ranks=2) == [-signal.SIGKILL] * 2
    assert fork(train, port(), killed, True, None, habits_config, ranks=2) == [0, 0]
    a, b = (load_checkpoint_file(folder / 'second/iter_4.pth') for folder in (whole, killed))
    rates = {round(group['initial_lr'] / 1e-3, 6) for group in a['optimizer']['param_groups']}
    assert rates == {1.0, 0.5, 0.25, 0.125, 0.0625} and int(a['optimizer']['state'][0]['step']) == 2
    for part in ('state_dict', 'ema_state_dict'):
        assert a[part].keys() == b[part].keys()
        assert all(torch.equal(value, b[part][key]) for key, value in a[part].items()), part
    key = 'network.encoder.conv1.0.weight'
    assert not torch.equal(a['state_dict'][key], a['ema_state_dict'][f'module.{key}'])
