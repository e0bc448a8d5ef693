"""Two processes log the mean of their losses, each the same number."""

import json
import os
from types import SimpleNamespace

import pytest
import torch
import torch._dynamo  # noqa: F401 (what every optimizer imports; children then need not)
from machine import forks
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from test_two_process_resume import port
from tiny import config, fork

from restorekit.engine import MeanRuntimeInfoHook, MultiPhaseRunner
from restorekit.engine.hooks import runtime_info

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed'),
    forks]


def run_config(folder, epochs):
    cfg = config(folder, iters=3, interval=3, launcher='pytorch', custom_hooks=[])
    if epochs:
        cfg['train_cfg'] = dict(type='EpochBasedTrainLoop', max_epochs=2)
        cfg['default_hooks']['checkpoint']['interval'] = 1
        cfg['param_scheduler'] = None
    return Config(cfg, format_python_code=False)


class Losses(Hook):
    """Writes what this process computed, and what was logged."""

    priority = 'LOWEST'

    def __init__(self, file):
        self.file, self.own, self.logged = file, [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.own.append([float(outputs[key]) for key in ('loss', 'loss_pixel')])
        self.logged.append([float(runner.message_hub.get_scalar(f'train/{key}').current())
                            for key in ('loss', 'loss_pixel')])

    def after_run(self, runner):
        with open(self.file, 'w') as file:
            json.dump(dict(own=self.own, logged=self.logged), file)


def train(rank, port, folder, epochs):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    with DefaultScope.overwrite_default_scope('restorekit'):
        runner = MultiPhaseRunner(run_config(folder, epochs))
        runner.hooks.append(Losses(f'{folder}-{rank}.json'))
        runner.train()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('epochs', [False, True])
def test_the_logged_loss_is_the_mean_of_all_processes(epochs, tmp_path):
    folder = tmp_path / 'run'
    MultiPhaseRunner(run_config(folder, epochs))  # imports what is named in the config
    assert fork(train, port(), folder, epochs, ranks=2) == [0, 0]
    first, second = (json.loads((tmp_path / f'run-{rank}.json').read_text()) for rank in (0, 1))
    own, other = (torch.tensor(record['own']) for record in (first, second))
    assert len(own) == (4 if epochs else 3) and (own - other).abs().min() > 1e-4
    assert first['logged'] == second['logged']
    assert torch.allclose(torch.tensor(first['logged']), (own + other) / 2, atol=1e-6)


def log_unlike(rank, port, folder):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    torch.distributed.init_process_group('gloo')
    said, hook, hub = [], MeanRuntimeInfoHook(), MessageHub('unlike')
    runtime_info.log = said.append
    runner = SimpleNamespace(message_hub=hub, model=torch.nn.Linear(1, 1))
    hook._said = set()
    # as many names here as there, other numbers, and nothing at all
    steps = [(dict(loss=1.0, loss_a=2.0), dict(loss=3.0, loss_b=4.0)), (dict(loss=1.0), dict(loss=2.0, loss_a=6.0)),
             (dict(loss=5.0), None), (dict(loss=1.0), dict(loss=2.0))]
    seen = []
    for step in steps:
        hook.after_train_iter(runner, 0, outputs=step[rank])
        seen.append({name: float(value.current()) for name, value in hub.log_scalars.items()})
    with open(f'{folder}/{rank}.json', 'w') as file:
        json.dump(dict(seen=seen, said=said), file)
    torch.distributed.destroy_process_group()


def test_losses_that_only_one_process_has_are_not_mixed(tmp_path):
    assert fork(log_unlike, port(), tmp_path, ranks=2, timeout=60) == [0, 0]
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in (0, 1))
    assert first['seen'] == second['seen'] == [
        {'train/loss': 2.0, 'train/loss_a': 2.0, 'train/loss_b': 4.0},
        {'train/loss': 1.5, 'train/loss_a': 6.0, 'train/loss_b': 4.0},
        {'train/loss': 5.0, 'train/loss_a': 6.0, 'train/loss_b': 4.0},
        {'train/loss': 1.5, 'train/loss_a': 6.0, 'train/loss_b': 4.0}]
    assert [text.split(' of')[0] for text in first['said']] == [
        'loss_a is computed by process 0 only,', 'loss_b is computed by process 1 only,',
        'loss is computed by process 0 only,']
