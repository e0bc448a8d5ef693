"""Reads checkpoints as data: no code from a file is ever run."""

import json
import pickle
import re
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from restorekit.files.download import download
from restorekit.files.reader import read_file
from restorekit.messages import MissingFileError, UserError


class CheckpointError(UserError, RuntimeError):
    """A checkpoint file cannot be read, may not be read, or belongs to another network."""


def load_checkpoint_file(path, map_location='cpu'):
    """Read a checkpoint without ever running code from it.

    Reads what ``torch.load(weights_only=True)`` accepts, ``.safetensors``, and training checkpoints of stock mmengine:
    their histories and numpy numbers are rebuilt from their bytes by this module, not by the classes the file names.

    Args:
        path (str | Path): The file.
        map_location: As for ``torch.load``; what is read is checked on the CPU before it is moved to a device. For
            ``.safetensors`` a device (anything else means the CPU).

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
        raise MissingFileError(f'{path} {what}')
    size = path.stat().st_size
    if size == 0:
        raise CheckpointError(f'{path} is empty (0 bytes): its writing or download was interrupted; get it again')
    if path.suffix == '.safetensors':
        return _load_safetensors(path, size, map_location)
    to_device = isinstance(map_location, (str, torch.device))
    try:
        with open(path, 'rb') as file, torch.serialization.safe_globals(_STAND_INS), _bounded():
            _check_archive(file, path, size)
            checkpoint = torch.load(file, map_location='cpu' if to_device else map_location, weights_only=True)
        _check_amounts(checkpoint, path, size)
        checkpoint = _check_dict(_rebuild(checkpoint), path, size)
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
    return _moved(checkpoint, map_location, {}) if to_device and str(map_location) != 'cpu' else checkpoint


def _moved(obj, device, done):
    """Move ordinary tensors in dicts, lists and tuples to a device; what is there twice stays one."""
    if id(obj) not in done:
        moved = obj
        if isinstance(obj, torch.Tensor):
            odd = obj.layout is not torch.strided or obj.is_meta or obj.is_nested or obj.is_quantized
            moved = obj if odd else obj.to(device)
        elif isinstance(obj, dict):
            for key, value in obj.items():
                obj[key] = _moved(value, device, done)
        elif isinstance(obj, list):
            obj[:] = [_moved(item, device, done) for item in obj]
        elif type(obj) is tuple:
            moved = tuple(_moved(item, device, done) for item in obj)
        done[id(obj)] = obj, moved
    return done[id(obj)][1]


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
    from safetensors import SafetensorError
    from safetensors.torch import load
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
    data = read_file(path, MAX_BYTES, 'checkpoint')  # a mapped file that is cut meanwhile would end the process
    try:
        state = {key: value.to(device) for key, value in load(data).items()}
    except (SafetensorError, KeyError) as error:  # KeyError: a type that this torch does not have
        raise _damaged(path, size, error) from error
    return {'state_dict': state, 'meta': json.loads(data[8:8 + int.from_bytes(data[:8], 'little')]
                                                    ).get('__metadata__') or {}}


def load_from_http(filename, map_location=None, model_dir=None, progress=None):
    """Download a checkpoint (:func:`~restorekit.files.download.download`), then :func:`load_checkpoint_file`."""
    from mmengine.dist import barrier, get_dist_info
    rank, _ = get_dist_info()
    try:
        if rank == 0:
            download(filename, folder=model_dir)
    finally:
        barrier()  # a failed download must not leave the other ranks waiting
    return load_checkpoint_file(download(filename, folder=model_dir), map_location)  # of a disk that is not shared


# A small file must not fill the memory: what is built from it is bounded by its size.

MAX_DEPTH = 100  # of nested dicts and lists
MAX_BYTES = 2 ** 36  # of a safetensors file
_SLACK = 1 << 20


def _check_archive(file, path, size):
    """Refuse a zip archive with compressed parts: torch writes none, and a few bytes could expand to gigabytes."""
    unpacked = 0
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(part.file_size for part in archive.infolist())
    file.seek(0)
    if unpacked > size:
        raise CheckpointError(f'{path} ({size} bytes) would unpack to {unpacked} bytes. torch.save compresses nothing, '
                              'so this file was not written by it; get it from its author as torch.save wrote it')


@contextmanager
def _bounded():
    """Let what a file says make no more than it holds: bytes as a number says, tensors past the end of their data."""
    unpickler, serialization, thread = torch._weights_only_unpickler, torch.serialization, threading.get_ident()
    with _PATCH:
        allowed, reader = unpickler._get_allowed_globals, serialization._open_zipfile_reader
        bounded = {**allowed(), 'builtins.bytearray': _bytearray}
        unpickler._get_allowed_globals = lambda: bounded if threading.get_ident() == thread else allowed()
        serialization._open_zipfile_reader = lambda file: \
            _exact(reader(file)) if threading.get_ident() == thread else reader(file)
        try:
            yield
        finally:
            unpickler._get_allowed_globals, serialization._open_zipfile_reader = allowed, reader


_PATCH = threading.RLock()


@contextmanager
def _exact(opened):
    with opened as reader:
        yield _Reader(reader)


class _Reader:
    """torch's reader of archives, which in older torch believes a tensor's length, and reads on in foreign memory."""

    def __init__(self, reader):
        self._reader = reader

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def get_storage_from_record(self, name, count, kind):
        held = len(self._reader.get_record(name))
        if count > held:
            raise ValueError(f'{name} holds {held} bytes, but a tensor asks for {count}')
        return self._reader.get_storage_from_record(name, count, kind)


def _bytearray(source=b'', *encoding):
    if isinstance(source, int):
        raise pickle.UnpicklingError('the attribute bytearray of builtins with a number')
    return bytearray(source, *encoding)


def _check_amounts(checkpoint, path, size):
    """Refuse tensors larger than their data, and containers shared so often that walking them would never end."""
    storages = {}
    sizes = {}  # of each container by its id: how many objects a walk through it meets

    def walk(obj, depth):
        if isinstance(obj, torch.Tensor):
            if obj.layout is torch.strided and obj.device.type != 'meta':
                storage = obj.untyped_storage()
                storages[storage.data_ptr()] = storage.nbytes()
                if obj.numel() * obj.element_size() > storage.nbytes() + _SLACK:
                    raise CheckpointError(f'{path}: a tensor of shape {tuple(obj.shape)} is spread over '
                                          f'{storage.nbytes()} bytes of data; save it with .contiguous()')
            return 1
        if not isinstance(obj, (dict, list, tuple, set)):
            return 1
        if id(obj) not in sizes:
            if depth > MAX_DEPTH:
                raise CheckpointError(f'{path}: its contents are nested more than {MAX_DEPTH} levels deep, or hold '
                                      'themselves; a checkpoint is a dict of tensors, numbers, text, dicts and lists')
            sizes[id(obj)] = float('inf')  # while it is walked through: what holds itself never ends
            items = [*obj, *obj.values()] if isinstance(obj, dict) else obj
            sizes[id(obj)] = 1 + sum(walk(item, depth + 1) for item in items)
        return sizes[id(obj)]

    met = walk(checkpoint, 0)
    if met > 20 * size + _SLACK:
        raise CheckpointError(f'{path} ({size} bytes) holds containers that hold each other so often that they expand '
                              'to more than the file could say; it was not written by restorekit or MMEngine')
    if sum(storages.values()) > size + _SLACK:
        raise CheckpointError(f'{path} ({size} bytes) asks for tensors of {sum(storages.values())} bytes, more than it '
                              'holds')


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


def _rebuild(obj, done=None):
    """Replace the stand-ins in ``obj`` by what they stand for; dicts and lists are changed in place, each once."""
    done = {} if done is None else done
    if id(obj) in done:
        return done[id(obj)][1]
    result = obj
    if isinstance(obj, (_Array, _History)):
        result = obj.rebuild()
    elif isinstance(obj, dict):
        done[id(obj)] = obj, obj
        for key, value in obj.items():
            obj[key] = _rebuild(value, done)
    elif isinstance(obj, list):
        done[id(obj)] = obj, obj
        obj[:] = [_rebuild(item, done) for item in obj]
    elif type(obj) is tuple:
        result = tuple(_rebuild(item, done) for item in obj)
    elif isinstance(obj, _Dtype):
        result = obj.spec
    elif callable(obj) and any(obj is stand_in for stand_in, _ in _STAND_INS):
        raise pickle.UnpicklingError(f'the attribute {obj.__name__} of a checkpoint')
    if isinstance(obj, (tuple, _Array, _History)):
        done[id(obj)] = obj, result
    return result
