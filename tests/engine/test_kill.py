"""Killed ten times, anywhere, a run ends as if it had not been: the same bits."""

import os
import random
import signal
import sys

import pytest
import torch
import torch._dynamo  # noqa: F401 (what every optimizer imports; children then need not)
from machine import forks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import ValLoop
from tiny import PHASES, config, fork

import restorekit.engine.hooks.checkpoint as hook_module
from restorekit.checkpoint import load_checkpoint_file
from restorekit.engine import MultiPhaseRunner, ResumableIterLoop
from restorekit.engine.hooks import SafeCheckpointHook

ITERS, INTERVAL = 6, 2


def run_config(folder):
    cfg = config(folder, iters=ITERS, interval=INTERVAL, workers=2, phases=PHASES)
    cfg['custom_hooks'] = []
    cfg['default_hooks']['checkpoint'].update(max_keep_ckpts=1, save_best='source/PSNR@rgb', rule='greater')
    cfg['default_hooks']['logger'] = dict(type='LoggerHook', interval=100)
    return Config(cfg, format_python_code=False)


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner, name, condition):
    """Make ``owner.name`` die where ``condition(*args)`` holds."""
    original = getattr(owner, name)

    def replaced(*args, **kwargs):
        if condition(*args):
            die()
        return original(*args, **kwargs)
    setattr(owner, name, replaced)


def phase_of(runner):
    return os.path.basename(runner.work_dir)


# each: how to arrange to die in a phase, at an iteration (or at the checkpoint after it)

def in_an_iteration(phase, at):
    """After the backward pass, before the weights change."""
    original = ResumableIterLoop.run_iter

    def replaced(self, batch):
        if phase_of(self.runner) == phase and self._iter == at:
            self.runner.optim_wrapper.step = die
        original(self, batch)
    ResumableIterLoop.run_iter = replaced


def in_a_checkpoint(phase, at):
    """With half of the file written."""
    original = torch.save

    def replaced(obj, file):
        if f'/{phase}/.rk-' in file.name and obj['meta']['iter'] == checkpoint_of(at):
            original(obj, file)
            file.truncate(file.tell() // 2)
            die()
        original(obj, file)
    torch.save = replaced


def after_the_rename(phase, at):
    """The new checkpoint is there, ``last_checkpoint`` names the old one."""
    before(hook_module, 'atomic_write_text',
           lambda text, path: f'/{phase}/' in path and text == f'iter_{checkpoint_of(at)}.pth')


def before_the_old_one_goes(phase, at):
    before(SafeCheckpointHook, '_remove',
           lambda hook, steps: hook.last_ckpt.endswith(f'{phase}/iter_{checkpoint_of(at)}.pth') and list(steps))


def in_validation(phase, at):
    before(ValLoop, 'run_iter', lambda loop, index, batch: phase_of(loop.runner) == phase and index == 1
           and loop.runner.iter >= at)


def before_the_state_file(phase, at):
    before(MultiPhaseRunner, '_write_state', lambda runner: runner.state['phases'].get(phase, {}).get('finished'))


def in_the_state_file(phase, at):
    original = os.fsync
    names = {}

    def replaced(descriptor):
        if os.readlink(f'/proc/self/fd/{descriptor}').endswith('.tmp') and names:
            die()
        original(descriptor)
    os.fsync = replaced
    write = MultiPhaseRunner._write_state

    def marked(runner):
        if runner.state['phases'].get(phase, {}).get('finished'):
            names[phase] = True
        write(runner)
    MultiPhaseRunner._write_state = marked


def between_phases(phase, at):
    before(MultiPhaseRunner, '_train_phase',
           lambda runner, name: runner.state['phases'].get(phase, {}).get('finished') and name != phase)


def checkpoint_of(at):
    return at // INTERVAL * INTERVAL + INTERVAL


def kill_points(seed):
    """Ten kills in the order of the run: (how, phase, iteration), iterations drawn from the seed."""
    draw = random.Random(seed)
    return [
        (in_an_iteration, 'pretrain', draw.randrange(1, INTERVAL)),
        (in_a_checkpoint, 'pretrain', draw.randrange(INTERVAL, 2 * INTERVAL)),
        (after_the_rename, 'pretrain', draw.randrange(2 * INTERVAL, 3 * INTERVAL)),
        (before_the_state_file, 'pretrain', ITERS),
        (between_phases, 'pretrain', ITERS),
        (in_validation, 'supervised', draw.choice([INTERVAL, 2 * INTERVAL])),
        (before_the_old_one_goes, 'supervised', draw.randrange(2 * INTERVAL, 3 * INTERVAL)),
        (in_the_state_file, 'supervised', ITERS),
        (in_an_iteration, 'adapt', draw.randrange(INTERVAL, 2 * INTERVAL)),
        (in_validation, 'adapt', ITERS),
    ]


def train(folder, trace, resume, point=None):
    """Train in this (forked) process, noting every iteration begun, and die at ``point``."""
    torch.set_num_threads(1)
    original = ResumableIterLoop.run_iter

    def noted(self, batch):
        with open(trace, 'a') as file:
            file.write(f'{phase_of(self.runner)} {self._iter}\n')
        original(self, batch)
    ResumableIterLoop.run_iter = noted
    if point is not None:
        how, phase, at = point
        how(phase, at)
    with DefaultScope.overwrite_default_scope('restorekit'):
        MultiPhaseRunner(run_config(folder), resume=resume).train()


def newest(folder):
    """The last complete checkpoint of every phase that has one."""
    return {phase: max(int(path.stem[5:]) for path in (folder / phase).glob('iter_*.pth'))
            for phase in PHASES if list((folder / phase).glob('iter_*.pth'))}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='forks, and looks into /proc')
@forks
def test_ten_kills_change_nothing_and_lose_no_more_than_since_the_last_checkpoint(tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    MultiPhaseRunner(run_config(whole))  # imports what is named in the config
    assert fork(train, whole, tmp_path / 'whole.txt', False) == 0
    expected_trace = (tmp_path / 'whole.txt').read_text().splitlines()
    assert expected_trace == [f'{phase} {i}' for phase in PHASES for i in range(ITERS)]

    done = {}
    for number, point in enumerate([*kill_points(seed=0), None]):
        trace = tmp_path / f'{number}.txt'
        code = fork(train, killed, trace, number > 0, point)
        assert code == (0 if point is None else -signal.SIGKILL), (number, point and point[0].__name__)
        lines = [line.split() for line in trace.read_text().splitlines()] if trace.exists() else []
        begun = {}
        for phase, i in lines:
            begun.setdefault(phase, int(i))
        for phase, first in begun.items():  # what was saved is not done again
            assert first == done.get(phase, 0), (number, point)
        done = newest(killed)
        for phase, i in done.items():  # every file that has a checkpoint's name is one
            assert load_checkpoint_file(killed / phase / f'iter_{i}.pth')['meta']['iter'] == i

    for phase in PHASES:
        names = [sorted(path.name for path in (folder / phase).iterdir() if path.is_file() and path.suffix != '.py')
                 for folder in (whole, killed)]
        assert names[0] == names[1], phase  # nothing left over
        for name in names[0]:
            if name.endswith('.pth'):
                a, b = (load_checkpoint_file(folder / phase / name) for folder in (whole, killed))
                assert a['state_dict'].keys() == b['state_dict'].keys()
                for key, value in a['state_dict'].items():
                    assert torch.equal(value, b['state_dict'][key]), (phase, name, key)
    assert not list(killed.rglob('*.tmp'))
