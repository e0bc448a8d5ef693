"""Errors of data workers: the exception object itself reaches the main process, not a text about it."""

import contextlib
import os
import pickle
import re
import shutil
import signal
import traceback
from functools import partial

import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader, get_worker_info

from restorekit.messages import UnavailableError

SHARED_MEMORY = '/dev/shm'
TIMEOUT = 600  # seconds; a loader's own ``timeout`` wins


class WorkerTraceback(Exception):
    """The traceback of a data worker, as text: the cause of the error that the main process raises."""

    def __str__(self):
        return f'\n"""\n{self.args[0]}"""'


class _Failure:
    """An exception on its way from a worker to the main process, in the place of a batch."""

    def __init__(self, error):
        self.error, self.traceback = error, ''.join(traceback.format_exception(error))


class CarryingLoader(DataLoader):
    """A torch ``DataLoader`` that raises what a worker raised: the same exception, caused by the worker's traceback.

    torch's own raises an exception of the same type whose message is the text of the traceback.
    """

    @classmethod
    def adopt(cls, loader):
        """Turn a ``DataLoader`` that has not been iterated into one of this class, in place; returns it."""
        loader.__class__ = cls  # MMEngine's runner names the class it builds
        loader.worker_init_fn = partial(_start_worker, loader.worker_init_fn)
        loader.collate_fn = partial(_collate, loader.collate_fn, loader.num_workers * (loader.prefetch_factor or 2))
        return loader

    def __iter__(self):
        for batch in super().__iter__():
            if isinstance(batch, _Failure):
                raise batch.error from WorkerTraceback(batch.traceback)
            yield batch


@contextlib.contextmanager
def explained_workers(name):
    """Turn torch's errors about dead or silent data workers into sentences.

    Args:
        name (str): The loader's key in the config.

    Raises:
        UnavailableError: In place of such an error.
    """
    try:
        yield
    except RuntimeError as error:
        text = _death(str(error), name) if type(error) is RuntimeError else None
        if text is None:
            raise
        raise UnavailableError(text) from error


def _death(text, name):
    silent = re.search(r'DataLoader timed out after ([\d.]+) seconds', text)
    if silent:
        return (f'the data workers have given nothing for {float(silent[1]) / 60:.3g} minutes: the disk or network '
                'that the images lie on stalls, or a worker hangs. See whether the images can be read, and continue '
                f'with --resume; where batches do take so long, set {name}.timeout (seconds)')
    if 'DataLoader worker' not in text:
        return None
    change = f'fewer workers ({name}.num_workers) or smaller batches ({name}.batch_size)'
    if 'Bus error' in text:
        return f'a data worker was killed: {SHARED_MEMORY} is full. Make it larger, or use {change}; then --resume'
    cause = re.search(r'killed by signal: ([^.]+)', text) or re.search(r'unexpectedly(?: with exit code \d+)?', text)
    return (f'a data worker was ended by the system ({cause[0].strip() if cause else text.splitlines()[0]}): most '
            f'often there was too little memory. Use {change}, and continue with --resume')


def _start_worker(start, worker_id):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's, which ends the workers
    if start is not None:
        start(worker_id)
    dataset = get_worker_info().dataset
    fetch = getattr(dataset, '__getitems__', None) or partial(_fetch, dataset)
    dataset.__getitems__ = partial(_guarded, fetch)  # what torch's workers call


def _fetch(dataset, keys):
    return [dataset[key] for key in keys]


def _collate(collate, ahead, items):
    if isinstance(items, _Failure):
        return items
    return collate(items) if get_worker_info() is None else _guarded(partial(_collated, collate, ahead), items)


def _collated(collate, ahead, items):
    batch = collate(items)
    check_shared_memory(batch, ahead)
    return batch


def check_shared_memory(batch, ahead):
    """Raise an UnavailableError if the shared memory cannot hold what workers hand over; torch would hang or die.

    Args:
        batch: What a worker is about to hand over.
        ahead (int): Number of batches that are under way at a time.
    """
    if not os.path.isdir(SHARED_MEMORY):
        return
    usage, size = shutil.disk_usage(SHARED_MEMORY), _tensor_bytes(batch)
    if size * ahead > usage.total or size > usage.free:
        raise UnavailableError(
            f'{SHARED_MEMORY} has {usage.total / 2**20:.1f} MiB ({usage.free / 2**20:.1f} free), but data workers '
            f'hand over up to {ahead} batches of {size / 2**20:.1f} MiB through it. Make it larger (docker run '
            f'--shm-size={max(1, -(-2 * size * ahead // 2**30))}g), or lower batch_size, num_workers or '
            'prefetch_factor; num_workers=0 needs none')


def _tensor_bytes(data):
    if isinstance(data, torch.Tensor):
        return -(-data.numel() * data.element_size() // 4096) * 4096  # whole pages
    if isinstance(data, BaseDataElement):
        return sum(map(_tensor_bytes, data.values()))
    if isinstance(data, dict):
        return sum(map(_tensor_bytes, data.values()))
    return sum(map(_tensor_bytes, data)) if isinstance(data, (list, tuple)) else 0


def _guarded(function, argument):
    try:
        return function(argument)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # whatever its class does when it is copied; torch then sends a text
            raise error from None
        return _Failure(error)
