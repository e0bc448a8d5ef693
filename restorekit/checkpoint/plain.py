"""Turns training state into plain data that ``torch.load(weights_only=True)`` accepts, and back."""

import enum
import os
from collections import OrderedDict

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from restorekit.files.atomic import atomic_write
from restorekit.messages import InputTypeError, WriteError

HISTORY = 'HistoryBuffer'  # value of the key 'type' of a history written as plain data


class CheckpointWriteError(WriteError):
    """A checkpoint cannot be written; what was there before is untouched."""


def plain(obj, place='checkpoint'):
    """Return ``obj`` as data that ``torch.load(weights_only=True)`` accepts without any allow-list.

    A HistoryBuffer becomes ``dict(type='HistoryBuffer', log=tensor, count=tensor, max_length=int)``, which
    :func:`restore_history` turns back. Numpy arrays become tensors (of text: lists), numpy scalars and enums Python's,
    subclasses of dict, list, tuple and str their base, a Path a str. Tensors are not copied.

    Args:
        obj: Nested dicts, lists, tuples, tensors, numbers, text and the above.
        place (str): Name of ``obj`` in an error.

    Raises:
        TypeError: If something in it is not data; the message gives its place.

    Example:
        >>> plain(dict(loss=np.float64(0.5), steps=(np.int64(3), Path('a'))))
        {'loss': 0.5, 'steps': (3, 'a')}
    """
    if isinstance(obj, torch.Tensor):
        return obj if type(obj) in (torch.Tensor, torch.nn.Parameter) else obj.as_subclass(torch.Tensor)
    if obj is None or isinstance(obj, (bool, torch.Size, torch.device, torch.dtype)):
        return obj
    if isinstance(obj, enum.Enum):
        return plain(obj.value, place)
    for kinds, base in ((int, int), ((float, np.floating), float), ((complex, np.complexfloating), complex),
                        (str, str)):
        if isinstance(obj, kinds):
            return base(obj)
    if isinstance(obj, (np.integer, np.bool_)):
        return obj.item()
    if isinstance(obj, (bytes, bytearray)):
        return bytes(obj) or bytearray()  # torch reads back empty bytearrays, but not empty bytes
    if isinstance(obj, os.PathLike):
        return os.fspath(obj)
    if isinstance(obj, HistoryBuffer):
        log, count = (plain(np.asarray(part), place) for part in obj.data)
        return {'type': HISTORY, 'log': log, 'count': count, 'max_length': int(obj.max_length)}
    if isinstance(obj, np.ndarray):
        if obj.dtype.kind not in 'biufc':
            return plain(obj.tolist(), place)
        return torch.from_numpy(obj.astype(obj.dtype.newbyteorder('='), order='C'))
    if isinstance(obj, dict):
        result = OrderedDict() if type(obj) is OrderedDict else {}
        result.update((plain(key, f'a key of {place}'), plain(value, f'{place}[{key!r}]'))
                      for key, value in dict.items(obj))
        if hasattr(obj, '_metadata') and type(obj) is OrderedDict:
            result._metadata = plain(obj._metadata, f'{place}._metadata')  # the versions in a state dict
        return result
    for kind, base in ((list, list), (tuple, tuple), ((set, frozenset), set)):
        if isinstance(obj, kind):
            return base([plain(value, f'{place}[{i}]') for i, value in enumerate(obj)])
    raise InputTypeError(
        f'{place} is a {type(obj).__module__}.{type(obj).__qualname__}, which is not data: a checkpoint '
        'holds tensors, arrays, numbers, text, and dicts, lists and tuples of them. Return such from the '
        'state_dict() or hook that put it there.')


def restore_history(obj):
    """Return ``obj`` with the histories that :func:`plain` wrote as dicts made HistoryBuffers again.

    Example:
        >>> float(restore_history(plain(dict(loss=HistoryBuffer([1., 3.], [1, 1]))))['loss'].mean())
        2.0
    """
    if isinstance(obj, dict):
        if obj.get('type') == HISTORY and set(obj) == {'type', 'log', 'count', 'max_length'}:
            log, count, length = obj['log'], obj['count'], obj['max_length']
            if all(isinstance(part, torch.Tensor) and part.ndim == 1 for part in (log, count)) and \
                    len(log) == len(count) and type(length) is int and length > 0:
                return HistoryBuffer(log.cpu().numpy(), count.cpu().numpy(), length)
            return dict(obj)  # no history: who reads it finds no HistoryBuffer
        result = OrderedDict() if type(obj) is OrderedDict else {}
        result.update((key, restore_history(value)) for key, value in obj.items())
        if hasattr(obj, '_metadata') and type(obj) is OrderedDict:
            result._metadata = obj._metadata
        return result
    if type(obj) in (list, tuple):
        return type(obj)(map(restore_history, obj))
    return obj


def atomic_save(obj, path):
    """``torch.save`` to ``path`` so that the file is the old one or the whole new one, whatever happens in between."""
    atomic_write(path, lambda file: torch.save(obj, file))
