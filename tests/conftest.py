"""Shared fixtures: one thread in each process, as many processes as cores for whole folders, small image folders."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

gc.disable()  # half a million objects that stay are imported and collected: to look through them is a third of it
sys.path.insert(0, str(Path(__file__).parent / 'helpers'))
os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2
import numpy as np
import pytest
import torch

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)
if getattr(signal, 'SIGHUP', None) and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
torch.set_num_threads(1)
cv2.setNumThreads(0)
if torch.cuda.is_available():  # only then do two runs there have the same bits, and convolutions more than TF32's ten
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Spread folders of tests over the cores, where pytest-xdist is installed; single files run in this process.

    ``-n 0`` runs everything in one process, ``-n 4`` in four.
    """
    option = config.option
    if hasattr(config, 'workerinput') or getattr(option, 'numprocesses', 0) is not None or option.usepdb \
            or option.capture == 'no' or option.collectonly or any('.py' in argument for argument in config.args):
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    if cores > 1:
        option.numprocesses, option.dist = min(cores, 8), option.dist if option.dist != 'no' else 'worksteal'


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    """Collect garbage from here on, and only that of the tests."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that forks in a new process, where an earlier one had torch start threads, which no fork survives."""
    import tiny
    if pyfuncitem.function.__globals__.get('fork') is not tiny.fork or os.environ.get('RESTOREKIT_TEST_ALONE') \
            or tiny.backward_survives_a_fork():
        return None
    done = subprocess.run([sys.executable, '-m', 'pytest', '-q', '-p', 'no:xdist', '-p', 'no:cacheprovider',
                           pyfuncitem.nodeid], cwd=pyfuncitem.config.rootpath, capture_output=True, text=True,
                          env=dict(os.environ, RESTOREKIT_TEST_ALONE='1'))
    assert done.returncode == 0, done.stdout + done.stderr  # where it crashed
    return True


@pytest.fixture
def make_images():
    """Write random PNGs: ``make_images(folder, names, size=(h, w))``; returns their paths."""
    def make(folder, names, size=(24, 32)):
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for i, name in enumerate(names):
            image = np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)
            paths.append(folder / name)
            assert cv2.imwrite(str(paths[-1]), image)
        return paths
    return make
