"""Data workers that die, hang, or have no shared memory: sentences, and no waiting for ever."""

import os
import shutil
import signal
import sys
import time

import pytest
import torch
from mmengine.config import Config
from tiny import config, scenes

from restorekit.datasets import ProceduralScenes
from restorekit.engine import MultiPhaseRunner, RestoreRunner
from restorekit.engine import loader as loader_module
from restorekit.engine.loader import check_shared_memory
from restorekit.messages import UnavailableError
from restorekit.registry import DATASETS
from restorekit.structures import RestoreSample

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='signals and shared memory of Linux')


@DATASETS.register_module()
class FatalScenes(ProceduralScenes):
    """Scenes whose worker is killed, or sleeps, at the third draw."""

    def __init__(self, act, **kwargs):
        super().__init__(**kwargs)
        self.act = act

    def __getitem__(self, key):
        if self.as_draw(key).number == 2:
            if self.act == 'killed':
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(30)
        return super().__getitem__(key)


def train(tmp_path, act='', **loader):
    cfg = config(tmp_path, iters=4, workers=1)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks'):
        cfg.pop(key)
    if act:
        cfg['train_dataloader']['dataset'] = dict(scenes(domain='source'), type='FatalScenes', act=act)
    cfg['train_dataloader'].update(loader)
    MultiPhaseRunner(Config(cfg)).train()


def test_a_killed_worker_is_a_sentence(tmp_path):
    with pytest.raises(UnavailableError, match=r'ended by the system \((killed by signal: Killed|unexpectedly)\): '
                                               'most often there was too little memory. .*num_workers.* --resume'):
        train(tmp_path, 'killed')


@pytest.mark.slow
def test_a_silent_worker_is_waited_for_so_long_only(tmp_path):
    with pytest.raises(UnavailableError, match=r'given nothing for 0.05 minutes: .*train_dataloader.timeout'):
        train(tmp_path, 'silent', timeout=3)


def test_loaders_wait_ten_minutes_by_default():
    made = [RestoreRunner.build_dataloader(dict(batch_size=2, dataset=scenes(), num_workers=workers, **more,
                                                sampler=dict(type='DefaultSampler', shuffle=False)))
            for workers, more in ((1, {}), (1, dict(timeout=7)), (0, dict(timeout=7)))]
    assert [loader.timeout for loader in made] == [600, 7, 0]


def test_too_little_shared_memory_is_said_at_the_first_batch(tmp_path, monkeypatch):
    usage = shutil.disk_usage('/')
    monkeypatch.setattr(loader_module.shutil, 'disk_usage', lambda path: type(usage)(20000, 0, 20000))
    with pytest.raises(UnavailableError, match='/dev/shm has 0.0 MiB .* up to 2 batches of .* --shm-size=1g.*size'):
        train(tmp_path)


def test_what_is_counted(monkeypatch):
    sample = RestoreSample()
    sample.gt = torch.zeros(3, 64, 64)
    batch = dict(inputs=[torch.zeros(3, 64, 64, dtype=torch.uint8)], data_samples=[sample])  # 3 and 12 pages
    usage = shutil.disk_usage('/')
    for total, free, fits in ((10 * 61440, 61440, True), (10 * 61440, 61439, False), (10 * 61440 - 1, 10 ** 6, False)):
        monkeypatch.setattr(loader_module.shutil, 'disk_usage', lambda path, a=total, b=free: type(usage)(a, a - b, b))
        if fits:
            check_shared_memory(batch, 10)
        else:
            with pytest.raises(UnavailableError):
                check_shared_memory(batch, 10)
    monkeypatch.setattr(loader_module, 'SHARED_MEMORY', '/nowhere')
    check_shared_memory(batch, 10)
