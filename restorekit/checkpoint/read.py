"""Reads checkpoints as data: no code from a file is ever run."""

import os
import pickle
import re
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from restorekit.messages import UserError


class CheckpointError(UserError, RuntimeError):
    """A checkpoint file cannot be read, may not be read, or belongs to another network."""


def load_checkpoint_file(path, map_location='cpu'):
    """Read a checkpoint without ever running code from it.

    Reads what ``torch.load(weights_only=True)`` accepts, ``.safetensors``, and training checkpoints of stock mmengine:
    their histories and numpy numbers are rebuilt from their bytes by this module, not by the classes the file names.

    Args:
        path (str | Path): The file.
        map_location: As for ``torch.load``. For ``.safetensors`` a device (anything else means the CPU).

    Returns:
        dict: The checkpoint. Of a ``.safetensors`` file: ``state_dict`` and ``meta`` (its metadata, a dict of str).

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is empty, damaged, no checkpoint, or asks for code to be run.

    Example:
        >>> checkpoint = load_checkpoint_file('iter_1000.pth')  # doctest: +SKIP
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = 'is a folder, not a checkpoint file' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'{path} {what}')
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(f'{path} is empty (0 bytes): its writing or download was interrupted; get it again')
    if path.suffix == '.safetensors':
        return _load_safetensors(path, size, map_location)
    try:
        with torch.serialization.safe_globals(_STAND_INS):
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        return _check_dict(_rebuild(checkpoint), path, size)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        if refused is None:
            raise _damaged(path, size, error) from error
        what = next(filter(None, refused.groups()))
        raise CheckpointError(
            f'{path} was not loaded: it asks for {what}, which is not data. Loading it could run code on this machine, '
            'so restorekit never does. Ask its author for a state dict or a .safetensors file; or convert it where you '
            'trust it, with the program that wrote it: torch.save(model.state_dict(), "new.pth").'
        ) from error
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # torch answers damaged files with a dozen different types
        if 'deserialize object on' in str(error):  # a device that is not there
            raise
        raise _damaged(path, size, error) from error


_REFUSED = re.compile(r'GLOBAL (\S+) (?:was not an allowed|whose module)|unrecognized function (.+)|'
                      r'allowlisted via `add_safe_globals`,? but got (.+)|(the attribute .+)')


def _damaged(path, size, error):
    reason = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
    if 'WeightsUnpickler error:' in str(error):
        reason = str(error).split('WeightsUnpickler error:')[1].strip().splitlines()[0][:200]
    return CheckpointError(f'{path} ({size} bytes) is not a checkpoint, or is cut short or damaged ({reason}). '
                           'Compare its size with the original and get it again.')


def _check_dict(checkpoint, path, size):
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{path} ({size} bytes) is not a checkpoint: it holds a {type(checkpoint).__name__}, '
                              'and a checkpoint is a dict')
    return checkpoint


def _load_safetensors(path, size, map_location):
    from safetensors import SafetensorError, safe_open
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
    try:
        with safe_open(path, framework='pt', device=device) as file:
            return {'state_dict': {key: file.get_tensor(key) for key in file.keys()},  # noqa: SIM118 (no mapping)
                    'meta': dict(file.metadata() or {})}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, size, error) from error


def load_from_http(filename, map_location=None, model_dir=None, progress=None):
    """Download a checkpoint into torch.hub's cache, then :func:`load_checkpoint_file`.

    A file name that ends in ``-<8 or more hex digits>`` is held to that sha256, as torch.hub does (a date is none).
    """
    from mmengine.dist import barrier, get_dist_info
    folder = Path(model_dir or os.path.join(torch.hub.get_dir(), 'checkpoints'))
    path = folder / Path(filename.split('?')[0]).name
    rank, _ = get_dist_info()
    try:
        if rank == 0:
            _download(filename, path, progress)
    finally:
        barrier()  # a failed download must not leave the other ranks waiting
    if not path.is_file():  # a node that does not share the first one's disk
        _download(filename, path, progress)
    return load_checkpoint_file(path, map_location)


def _download(url, path, progress):
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = re.search(r'-(?=\d*[a-f])([a-f0-9]{8,})\.', path.name)
    progress = os.isatty(2) if progress is None else progress
    torch.hub.download_url_to_file(url, str(path), digest and digest[1], progress=progress)


# Stand-ins for the globals in a stock mmengine checkpoint. They only record: nothing of numpy or mmengine is called
# with what the file says (numpy's own __setstate__ believes its input, down to object pointers).

class _Dtype:
    def __init__(self, spec, align=False, copy=False):
        if not re.fullmatch(r'[biufcUS]\d+', str(spec)):
            raise pickle.UnpicklingError(f'the attribute {spec!r} of numpy.dtype')
        self.spec = spec

    def __setstate__(self, state):
        self.spec = (state[1] if state[1] in ('<', '>') else '') + self.spec


class _Array:
    def __setstate__(self, state):
        _, self.shape, self.dtype, self.fortran, self.data = state

    def rebuild(self):
        array = np.frombuffer(_bytes(self.data), np.dtype(self.dtype.spec))
        return array.reshape(self.shape, order='F' if self.fortran else 'C').copy()


class _History:
    def __setstate__(self, state):
        self.state = state

    def rebuild(self):
        log, count = (_rebuild(self.state[key]) for key in ('_log_history', '_count_history'))
        return HistoryBuffer(log, count, self.state['max_length'])


def _new_array(*_):
    return _Array()


def _scalar(dtype, data):
    return np.frombuffer(_bytes(data), np.dtype(dtype.spec))[0]


def _bytes(data=b''):
    return data if isinstance(data, bytes) else str(data).encode('latin1')


def _history_method(owner, name):
    """What ``getattr`` is in a stock checkpoint: it only ever names a statistic of HistoryBuffer."""
    if owner is not _History or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'the attribute {name!r} of {owner!r}')
    return name


_STAND_INS = [
    (_History, 'mmengine.logging.history_buffer.HistoryBuffer'), (_history_method, 'builtins.getattr'),
    (_Array, 'numpy.ndarray'), (_Dtype, 'numpy.dtype'), (_bytes, 'builtins.bytes'),
    *((function, f'numpy.{core}.multiarray.{name}') for core in ('core', '_core')
      for function, name in ((_new_array, '_reconstruct'), (_scalar, 'scalar'))),
]


def _rebuild(obj):
    """Replace the stand-ins in ``obj`` by what they stand for; dicts and lists are changed in place."""
    if isinstance(obj, (_Array, _History)):
        return obj.rebuild()
    if isinstance(obj, dict):
        for key, value in obj.items():
            obj[key] = _rebuild(value)
    elif isinstance(obj, list):
        obj[:] = map(_rebuild, obj)
    elif type(obj) is tuple:
        return tuple(map(_rebuild, obj))
    elif isinstance(obj, _Dtype):
        return obj.spec
    elif callable(obj) and any(obj is stand_in for stand_in, _ in _STAND_INS):
        raise pickle.UnpicklingError(f'the attribute {obj.__name__} of a checkpoint')
    return obj
