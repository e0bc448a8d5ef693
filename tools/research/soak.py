"""Train 20,000 tiny iterations with a data worker, restore 2,000 images: memory, descriptors, processes stay flat.

    python tools/research/soak.py --iterations 20000 --images 2000 --json soak.json

Exits with 1 if the memory grows by more than 1 MB per 1,000, or descriptors or processes by any, in the second half.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from restorekit.engine import MultiPhaseRunner
from restorekit.models import AODNet
from restorekit.tasks.restore import restore

LIMIT = 1.0  # MB per 1,000


def state():
    """Resident memory in MB and open descriptors of this process and its children, and the number of children."""
    children = [child for task in Path('/proc/self/task').iterdir()
                for child in Path(task, 'children').read_text().split()]
    ours = [Path('/proc', process) for process in ('self', *children)]
    pages = sum(int((process / 'statm').read_text().split()[1]) for process in ours)
    descriptors = sum(len(os.listdir(process / 'fd')) for process in ours)
    return pages * os.sysconf('SC_PAGESIZE') / 2 ** 20, descriptors, len(children)


def slope(samples):
    """Growth per 1,000 steps of the second half of (step, state) samples: MB, descriptors, processes."""
    half = samples[len(samples) // 2:]
    steps = np.array([step for step, _ in half], float)
    return [1000 * float(np.polyfit(steps, [values[i] for _, values in half], 1)[0]) for i in range(3)]


class Sampler(Hook):
    """Note the state every so many iterations."""

    def __init__(self, every):
        self.every, self.samples = every, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Note the state."""
        if runner.iter % self.every == 0:
            self.samples.append((runner.iter, state()))


def train(folder, iterations, workers=0):
    """Train and return the samples."""
    cfg = Config(dict(
        default_scope='restorekit', work_dir=str(folder), log_level='ERROR', randomness=dict(seed=0),
        model=dict(type='Restorer', network=dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss'))),
        train_dataloader=dict(
            batch_size=1, num_workers=workers, persistent_workers=workers > 0, sampler=dict(type='CounterSampler'),
            dataset=dict(type='ProceduralScenes', length=4, height=16, width=16, cache=True, pipeline=[
                dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=(0.5, 2.0)))])),
        train_cfg=dict(type='ResumableIterLoop', max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-4)),
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=max(iterations // 4, 1),
                                           max_keep_ckpts=1), logger=dict(type='LoggerHook', interval=100))))
    runner, sampler = MultiPhaseRunner(cfg), Sampler(max(iterations // 50, 1))
    runner.hooks.append(sampler)
    runner.train()
    return sampler.samples


def restore_images(folder, images):
    """Restore images, 20 at a time, and return the samples."""
    weights = folder / 'aod.pth'
    torch.save(dict(state_dict={f'network.{key}': value for key, value in AODNet().state_dict().items()},
                    meta=dict(restorekit=dict(network='{"type": "AODNet"}'))), weights)
    (folder / 'in').mkdir()
    for i in range(20):
        cv2.imwrite(str(folder / 'in' / f'{i}.png'), np.full((48, 64, 3), 10 * i, np.uint8))
    samples = []
    for done in range(0, images, 20):
        restore([str(folder / 'in')], folder / 'out', checkpoint=weights)
        samples.append((done + 20, state()))
    return samples


def main():
    """Run; returns 1 if anything grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--iterations', type=int, default=20000)
    parser.add_argument('--images', type=int, default=2000)
    parser.add_argument('--json', metavar='FILE', help='write the figures')
    args = parser.parse_args()
    bad, figures = False, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, samples in (('iterations', train(Path(folder, 'run'), args.iterations, workers=1)),
                              ('images', restore_images(Path(folder), args.images))):
            memory, descriptors, processes = slope(samples)
            print(f'{samples[-1][0]} {name}: {samples[0][1][0]:.0f} MB at first, {samples[-1][1][0]:.0f} MB at last; '
                  f'per 1,000 of the second half {memory:+.2f} MB, {descriptors:+.2f} descriptors, '
                  f'{processes:+.2f} processes')
            figures[name] = dict(samples=samples, memory=memory, descriptors=descriptors, processes=processes)
            bad |= memory > LIMIT or descriptors > 0.5 or processes > 0.5
    if args.json:
        Path(args.json).write_text(json.dumps(figures))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
