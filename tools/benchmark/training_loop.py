"""Time an iteration of RestoreRunner beside one of a bare PyTorch loop.

Both train the same small network (AOD-Net, batches of 4 crops of 64) with Adam on the same images in memory, without
workers. The bare loop is a DataLoader, forward, L1, backward and step; the runner adds its sampler, seeds for every
iteration, the data preprocessor, the check of loss and gradients, logging and the other default hooks. A pair is both,
one after the other; the figure is the median over the pairs of the difference per iteration, in wall-clock time.
"""

import itertools
import logging
import tempfile
import time
import uuid

import torch
from common import parser, table, write
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from restorekit.config import load_config
from restorekit.engine import RestoreRunner
from restorekit.models import AODNet
from restorekit.registry import DATASETS
from restorekit.structures import RestoreSample

BATCH, CROP, IMAGES = 4, 64, 64


@DATASETS.register_module()
class ImagesInMemory(torch.utils.data.Dataset):
    """Random pairs, made once."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (IMAGES, 2, 3, CROP, CROP), generator=generator, dtype=torch.uint8)

    def __len__(self):
        return IMAGES

    def __getitem__(self, key):
        hazy, clear = self.images[getattr(key, 'index', key)]
        return dict(inputs=hazy, data_samples=RestoreSample(gt=clear))


def bare(iterations):
    """Seconds per iteration of a plain loop."""
    dataset = ImagesInMemory()
    loader = DataLoader(dataset.images, batch_size=BATCH, shuffle=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    network = AODNet()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    start = None
    for i in range(iterations + WARMUP):
        if i == WARMUP:
            start = time.perf_counter()
        hazy, clear = (next(batches).float() / 255).unbind(1)
        optimizer.zero_grad()
        (network(hazy) - clear).abs().mean().backward()
        optimizer.step()
    return (time.perf_counter() - start) / iterations


WARMUP = 20


def with_runner(iterations):
    """Seconds per iteration of the runner with the default hooks of configs/_base_/default_runtime.py."""
    base = load_config('baselines/aod_net_1xb8-20k_paired')
    with tempfile.TemporaryDirectory() as folder:
        cfg = Config(dict(
            default_scope='restorekit', work_dir=folder, experiment_name=uuid.uuid4().hex, log_level='WARNING',
            model=dict(type='Restorer', network=dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss'))),
            train_dataloader=dict(batch_size=BATCH, num_workers=0, sampler=dict(type='CounterSampler'),
                                  dataset=dict(type='ImagesInMemory')),
            train_cfg=dict(type='ResumableIterLoop', max_iters=iterations + WARMUP),
            optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
            param_scheduler=base.param_scheduler, default_hooks=base.default_hooks, visualizer=base.visualizer,
            log_processor=base.log_processor, randomness=dict(seed=0)), format_python_code=False)
        runner = RestoreRunner.from_cfg(cfg)
        times = []

        class Clock(Hook):
            def before_train_iter(self, runner, batch_idx, data_batch=None):
                if batch_idx == WARMUP:
                    times.append(time.perf_counter())

            def after_train(self, runner):
                times.append(time.perf_counter())
        runner.register_hook(Clock(), priority='VERY_HIGH')
        runner.train()
        logging.shutdown()
    return (times[1] - times[0]) / iterations


def main():
    options = parser(__doc__, rounds=5)
    options.add_argument('--iterations', type=int, default=200, help='timed iterations of each (default 200)')
    args = options.parse_args()
    torch.set_num_threads(1)
    rows, pairs = [['pair', 'bare loop', 'RestoreRunner', 'difference']], []
    with DefaultScope.overwrite_default_scope('restorekit'):
        for number in range(args.rounds):
            pairs.append((1e3 * bare(args.iterations), 1e3 * with_runner(args.iterations)))
            rows.append([number + 1, *(f'{ms:.2f} ms' for ms in pairs[-1]), f'{pairs[-1][1] - pairs[-1][0]:.2f} ms'])
    median = sorted(b - a for a, b in pairs)[len(pairs) // 2]
    rows.append(['median', '', '', f'{median:.2f} ms'])
    table(rows)
    write(args.json, pairs_ms=pairs, median_ms=median)


if __name__ == '__main__':
    main()
