"""Errors of data workers: the exception object itself reaches the main process, not a text about it."""

import pickle
import traceback
from functools import partial

from torch.utils.data import DataLoader, get_worker_info


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
        loader.collate_fn = partial(_collate, loader.collate_fn)
        return loader

    def __iter__(self):
        for batch in super().__iter__():
            if isinstance(batch, _Failure):
                raise batch.error from WorkerTraceback(batch.traceback)
            yield batch


def _start_worker(start, worker_id):
    if start is not None:
        start(worker_id)
    dataset = get_worker_info().dataset
    fetch = getattr(dataset, '__getitems__', None) or partial(_fetch, dataset)
    dataset.__getitems__ = partial(_guarded, fetch)  # what torch's workers call


def _fetch(dataset, keys):
    return [dataset[key] for key in keys]


def _collate(collate, items):
    if isinstance(items, _Failure):
        return items
    return collate(items) if get_worker_info() is None else _guarded(collate, items)


def _guarded(function, argument):
    try:
        return function(argument)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # whatever its class does when it is copied; torch then sends a text
            raise error from None
        return _Failure(error)
