"""Two processes log the mean of their losses, each the same number."""

import json
import os

import pytest
import torch
import torch._dynamo  # noqa: F401 (what every optimizer imports; children then need not)
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from test_two_process_resume import port
from tiny import config, fork

from restorekit.engine import MultiPhaseRunner

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed'),
    pytest.mark.skipif(torch.cuda.is_available(), reason='forked children cannot use CUDA; CUDA_VISIBLE_DEVICES= runs '
                                                         'it')]


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
