"""What tasks share about processes and folders: threads, pools of workers, import paths, numbered folders."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from restorekit.messages import InputError

Job = TypeVar('Job')
Result = TypeVar('Result')
#: Called with the number of steps done and the number of all steps.
Progress = Callable[[int, int], None]


def available_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Search for no garbage inside: the objects that imports make stay, and to go through them takes a sixth of the
    time of importing torch.

    Example:
        >>> with uncollected():
        ...     import torch
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def prepare_process(launcher: str = 'none', workers: int = 0) -> None:
    """Set the number of threads of torch and OpenCV.

    Torch gets the cores minus the busy data workers; it gets one thread in each process of a distributed run, since
    two threads beside a busy core can be many times slower than one. ``OMP_NUM_THREADS`` wins where it is set.

    Args:
        launcher (str): ``'none'``, or how the processes of a distributed run were started.
        workers (int): Number of data workers beside this process.
    """
    with uncollected():
        import torch
    _quiet_opencv()
    if 'OMP_NUM_THREADS' not in os.environ:
        torch.set_num_threads(1 if launcher != 'none' else max(1, available_cores() - workers))


def _quiet_opencv() -> None:
    import cv2
    cv2.setNumThreads(0)
    logs = getattr(cv2.utils, 'logging', cv2)  # OpenCV 4 has it one floor up
    logs.setLogLevel(0)  # silent: our errors name the broken files


def _start_worker() -> None:
    import signal

    import torch
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's, which ends the workers
    torch.set_num_threads(1)
    _quiet_opencv()


def imap(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int = 0, chunk: int = 1) -> Iterator[Result]:
    """Call ``function`` on every job, in processes of one thread each; yields the results as they come, in any order.

    Args:
        function (Callable): Can be pickled, as can the jobs and the results.
        jobs (Sequence): The argument of each call.
        workers (int): Number of processes; 0: one per core. One process is this one.
        chunk (int): Number of jobs that travel to a process at a time.

    Example:
        >>> list(imap(abs, [-1, -2], workers=1))
        [1, 2]
    """
    import torch
    import torch.multiprocessing as multiprocessing
    workers = min(workers or available_cores(), len(jobs))
    if workers <= 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in a worker
        try:
            yield from map(function, jobs)
        finally:
            torch.set_num_threads(threads)
        return
    with multiprocessing.get_context('spawn').Pool(workers, initializer=_start_worker) as pool:
        yield from pool.imap_unordered(function, jobs, chunk)


def check_workers(workers: int | None) -> None:
    """Raise an InputError unless a number of processes is None (one per core) or at least 1."""
    if workers is not None and workers < 1:
        raise InputError(f'workers must be at least 1, but got {workers}')


def what_failed(path: str, error: Exception) -> str:
    """Return what is wrong with a file, with its path."""
    return str(error) if path in str(error) else f'{path}: {error}'


def import_from_here(config: str | os.PathLike[str] | None = None) -> None:
    """Let ``custom_imports`` name modules of the working directory and of the folder of ``config``."""
    for folder in (os.getcwd(), os.path.dirname(os.path.abspath(config or ''))):
        if folder not in sys.path:
            sys.path.append(folder)


def next_free(folder: str | os.PathLike[str]) -> Path:
    """Return ``folder``, or the first of ``folder-2``, ``folder-3``, ... that does not exist."""
    number, candidate = 1, Path(folder)
    while candidate.exists():
        number += 1
        candidate = Path(f'{folder}-{number}')
    return candidate


def latest(folder: str | os.PathLike[str]) -> Path:
    """Return the last existing of ``folder``, ``folder-2``, ...; ``folder`` itself if there is none."""
    number, found = 2, Path(folder)
    while Path(f'{folder}-{number}').exists():
        found, number = Path(f'{folder}-{number}'), number + 1
    return found
