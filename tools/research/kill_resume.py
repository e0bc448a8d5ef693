"""Cut a run 40 times by signals at random moments, resume it each time, and compare its weights bit for bit.

    python tools/research/kill_resume.py --cuts 40 --seed 0 --json cuts.json

Runs of several kinds (phases; data workers; EMA, accumulation and save_best; two processes) are trained once whole, and
once cut by KILL, TERM or INT after a random time, resumed, cut again, until it ends; then another, until the cuts are
used up. What is left is compared: the names of the checkpoints, their weights, optimizers and schedules, and no
temporary files. Exits with 1 at a difference.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import restorekit.engine  # noqa: F401  # imported once, before all forks
from restorekit.checkpoint import load_checkpoint_file
from restorekit.cli.main import main as cli
from restorekit.config import RestoreConfig

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
HAZE = dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=(0.5, 2.0)))


def scenes(**changes):
    """A small dataset made by code."""
    return dict(dict(type='ProceduralScenes', length=6, height=32, width=32, domain='source',
                     pipeline=[dict(type='RandomCrop', size=32), dict(type='RandomFlip'), HAZE]), **changes)


def config(iters, workers=0, **changes):
    """A tiny run."""
    network = dict(type='EncoderDecoder', decoder=dict(type='AffineDecoder', channels=8, head_channels=4), encoder=dict(
        type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16))
    return dict(dict(
        default_scope='restorekit', log_level='ERROR',
        randomness=dict(seed=3, deterministic=torch.cuda.is_available()),  # else no two runs on a GPU are the same
        model=dict(type='CIDRestorer', losses=dict(pixel=dict(type='L1Loss')), network=network),
        train_dataloader=dict(batch_size=2, num_workers=workers, persistent_workers=workers > 0, dataset=scenes(),
                              sampler=dict(type='CounterSampler')),
        val_dataloader=dict(batch_size=2, num_workers=0, dataset=scenes(length=3, scene_seed=9),
                            sampler=dict(type='DefaultSampler', shuffle=False)),
        val_cfg=dict(type='ValLoop'), val_evaluator=[dict(type='PSNR')],
        train_cfg=dict(type='ResumableIterLoop', max_iters=iters, val_interval=6),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
        param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=False)],
        default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', interval=4, max_keep_ckpts=2))), **changes)


def kinds(iters):
    """Name -> (config, number of processes)."""
    accumulating = config(iters, custom_hooks=[dict(type='EMAHook')])
    accumulating['optim_wrapper']['accumulative_counts'] = 3
    accumulating['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='greater')
    phases = dict(first={}, second=dict(frozen=['network.encoder']), third=dict(init_from='first'))
    found = {'phases': (config(iters, phases=phases), 1), 'workers': (config(3 * iters, workers=2), 1),
             'ema, accumulation, save_best': (accumulating, 1)}
    if not torch.cuda.is_available() or torch.cuda.device_count() > 1:
        found['two processes'] = config(iters), 2
    return found


class Fork:
    """A command in a copy of this process, which has done its imports; used like a Popen.

    Args:
        arguments (list[str]): Of the restorekit command.
        log (Path): Receives what it says.
    """

    def __init__(self, arguments, log):
        self.log, self.returncode = log, None
        self.pid = os.fork()
        if self.pid:
            return
        status = 1
        try:
            os.setsid()
            with log.open('wb') as file:
                for stream in (1, 2):
                    os.dup2(file.fileno(), stream)
            status = cli([*map(str, arguments)])
            sys.stdout.flush()
        finally:
            os._exit(status)

    def poll(self):
        """Return the exit status, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def communicate(self, timeout):
        """Wait; returns (what it said, None)."""
        limit = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > limit:
                raise subprocess.TimeoutExpired('train', timeout)
            time.sleep(0.02)
        return self.log.read_text(errors='replace'), None


def start(file, folder, processes, resume):
    """Start a run in a process group of its own; several processes are started afresh, by torchrun."""
    arguments = ['train', str(file), '--work-dir', str(folder)] + ['--resume'] * resume
    if processes == 1 and not torch.cuda.is_available():  # which copies of a process cannot use
        return Fork(arguments, file.with_suffix('.log'))
    command = ['-m', 'restorekit.cli.main', *arguments]
    if processes > 1:
        command = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}', *command,
                   '--launcher', 'pytorch']
    return subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True, env=dict(os.environ, OMP_NUM_THREADS='1'))


def kill_workers(folder):
    """Kill what trains in a folder: torchrun's workers are in groups of their own, and outlive it."""
    for entry in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if str(folder) in (entry / 'cmdline').read_text().split('\0') and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)


def end(process, sign, folder):
    """Send a signal as the terminal would, wait, and leave nothing of the group behind; returns what was said."""
    if sign is not None and process.poll() is None:
        os.killpg(process.pid, sign)
        if sign == signal.SIGKILL:
            kill_workers(folder)
    try:
        said = process.communicate(timeout=600)[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return said


def unlike(a, b, place):
    """The places where two trees of dicts, lists, tensors and numbers differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted({*a, *b}, key=str):
            yield from unlike(a.get(key), b.get(key), f'{place}.{key}')
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        for i, pair in enumerate(zip(a, b, strict=True)):
            yield from unlike(*pair, f'{place}.{i}')
    elif not (torch.equal(a, b) if torch.is_tensor(a) and torch.is_tensor(b) else type(a) is type(b) and a == b):
        yield place


def differences(whole, cut):
    """What differs between two finished runs, as a list of sentences."""
    names = [{str(path.relative_to(folder)) for path in folder.rglob('*.pth')} for folder in (whole, cut)]
    found = [f'{name} is in one only' for name in sorted(names[0] ^ names[1])]
    found += [f'{path} is left' for path in cut.rglob('.rk-*.tmp')]
    for name in sorted(names[0] & names[1]):
        a, b = (load_checkpoint_file(folder / name) for folder in (whole, cut))
        for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
            found += unlike(a.get(part), b.get(part), f'{name}: {part}')
    return found


def trial(folder, name, cfg, processes, cuts, draw, say=print):
    """Train one kind whole, and cut till the cuts are used up; returns the differences and the signals sent."""
    folder.mkdir(parents=True)
    file = folder / 'run.py'
    RestoreConfig(cfg).dump(str(file))
    begun = time.time()
    process = start(file, folder / 'whole', processes, False)
    said = end(process, None, folder / 'whole')
    seconds = time.time() - begun
    if process.returncode:
        return [said], []
    sent, found, runs = [], [], 0
    forked = isinstance(process, Fork)  # others may be cut while they import
    while True:
        cut = folder / f'cut{runs}'
        process = start(file, cut, processes, cut.exists())
        sign = draw.choice(SIGNALS) if len(sent) < cuts else None
        begun = time.time()
        if sign is not None:
            time.sleep(seconds * draw.uniform(0.05 if forked else 0.4, 0.95))
        finished = process.poll() is not None
        said = end(process, sign, cut)
        if process.returncode == 0:
            found += differences(folder / 'whole', cut)
            runs += 1
            seconds = min(seconds, time.time() - begun) if sign is None or finished else seconds  # other load by now
            if len(sent) >= cuts:
                break
            continue
        if sign is None or finished or ('Traceback' in said and forked):
            return [said], sent
        sent.append(sign.name)
    say(f'{name}: {len(sent)} cuts of {runs} runs, {len(found)} differences, whole run {seconds:.0f} s')
    return found, sent


def main():
    """Run; returns 1 at a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cuts', type=int, default=40)
    parser.add_argument('--iters', type=int, default=60)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', metavar='FILE', help='write the figures')
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored for what runs in the background
    draw, found, left, figures = random.Random(args.seed), [], args.cuts, {}
    with tempfile.TemporaryDirectory() as folder:
        runs = kinds(args.iters)
        warm = Path(folder, 'warm.py')  # what is imported when a run begins is imported once, before all forks
        RestoreConfig(config(1)).dump(str(warm))
        cli(['train', str(warm), '--work-dir', str(Path(folder, 'warm'))])
        for number, (name, (cfg, processes)) in enumerate(runs.items()):
            share = left // (len(runs) - number)
            left -= share
            differs, sent = trial(Path(folder, str(number)), name, cfg, processes, share, draw)
            found += differs
            figures[name] = dict(cuts={name: sent.count(name) for name in sorted(set(sent))}, differences=differs)
            if args.json:
                Path(args.json).write_text(json.dumps(figures, indent=1))
    print('\n'.join(found) or f'{args.cuts} cuts: every run has the bits of one that was not cut')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
