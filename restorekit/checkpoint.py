"""Checkpoints that are data: read without running code, written whole or not at all.

Everything that reads a checkpoint file goes through :func:`load_checkpoint_file`; everything that writes one goes
through :func:`plain` and :func:`atomic_save`.
"""

import enum
import json
import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from .functional.state_dict import state_dict_problems
from .registry import MODELS, unknown_name_message

HISTORY = 'HistoryBuffer'  # value of the key 'type' of a history written as plain data


class CheckpointError(RuntimeError):
    """A checkpoint file cannot be read, may not be read, or belongs to another network."""


class CheckpointWriteError(OSError):
    """A checkpoint cannot be written; what was there before is untouched."""


# ---- reading

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


def load_from_local(filename, map_location=None):
    """mmengine's checkpoint loader for files: :func:`load_checkpoint_file`."""
    return load_checkpoint_file(filename, map_location)


def load_from_http(filename, map_location=None, model_dir=None, progress=None):
    """mmengine's checkpoint loader for http(s): download into torch.hub's cache, then :func:`load_checkpoint_file`.

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


# ---- writing

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
    raise TypeError(f'{place} is a {type(obj).__module__}.{type(obj).__qualname__}, which is not data: a checkpoint '
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
            return HistoryBuffer(obj['log'].cpu().numpy(), obj['count'].cpu().numpy(), obj['max_length'])
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
    _atomic(path, lambda file: torch.save(obj, file))


def atomic_write_text(text, path):
    """Write ``text`` (UTF-8) to ``path`` so that the file is the old one or the whole new one."""
    atomic_write_bytes(text.encode(), path)


def atomic_write_bytes(data, path):
    """Write ``data`` to ``path`` so that the file is the old one or the whole new one."""
    _atomic(path, lambda file: file.write(data))


def remove_temporaries(folder):
    """Remove what a killed :func:`atomic_save` or :func:`atomic_write_text` left in ``folder``."""
    for path in Path(folder).glob('*.tmp-*'):
        if path.name.rpartition('.tmp-')[2].isdecimal():
            path.unlink(missing_ok=True)


def _atomic(path, write):
    path = os.fspath(path)
    temporary = f'{path}.tmp-{os.getpid()}'
    try:
        with open(temporary, 'wb') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise
    if os.name == 'posix':  # elsewhere a folder cannot be opened
        folder = os.open(os.path.dirname(path) or '.', os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# ---- networks

def network_state(checkpoint):
    """Return the network's tensors in a checkpoint.

    Args:
        checkpoint (dict): A training checkpoint (``state_dict`` with the network under ``network.``), or a network's
            bare state dict. A leading ``module.`` of data-parallel training is taken off.

    Raises:
        CheckpointError: If it holds no tensors.

    Example:
        >>> list(network_state(dict(state_dict={'network.conv.weight': torch.ones(1), 'bank': torch.ones(1)})))
        ['conv.weight']
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict):
        raise CheckpointError(f"the checkpoint's 'state_dict' is a {type(state).__name__}, not a dict of tensors")
    state = {str(key).removeprefix('module.'): value for key, value in state.items()}
    inner = {key.removeprefix('network.'): value for key, value in state.items() if key.startswith('network.')}
    state = inner or state
    other = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if other or not state:
        raise CheckpointError('the checkpoint has no network: it is neither a state dict nor a dict with one under '
                              f"'state_dict'; its keys are {', '.join(sorted(map(str, checkpoint))[:10]) or 'none'}")
    return state


def load_network_weights(network, state, source):
    """Copy ``state`` into ``network``; every name and shape must agree.

    Args:
        network (nn.Module): The network.
        state (dict): As :func:`network_state` returns it.
        source (str): Where it is from (the file), for the error.

    Raises:
        CheckpointError: If names or shapes differ; the network is not changed then.

    Example:
        >>> load_network_weights(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1).state_dict(), 'a.pth')
    """
    own = network.state_dict()
    problems = state_dict_problems(state, own, limit=5)
    if problems:
        raise CheckpointError(f'{source} is a checkpoint of another network than this {type(network).__name__} '
                              f'of {len(own)} tensors.\n  ' + '\n  '.join(problems))
    network.load_state_dict(state)


_DROPPED = ('_scope_', '_base_', '_delete_', 'init_cfg', 'pretrained')


def network_json(cfg):
    """Return a network's config as JSON text for a checkpoint's meta; :func:`network_config_from_json` reads it.

    Keys that only say where weights or config parts come from (``init_cfg``, ``pretrained``, ``_scope_`` and the like)
    are dropped; tuples become lists.

    Raises:
        ValueError, TypeError: If the config is not plain data or a ``type`` in it is not registered in ``MODELS``.
    """
    return json.dumps(_network_data(_without_dropped(cfg)))


def network_config_from_json(text):
    """Return the network config in ``text``, held to be data: nothing in it can name code that is not registered.

    Raises:
        ValueError: If it is not JSON, holds a key that configs in checkpoints may not have, or names a ``type`` that is
            not registered in ``MODELS``.
    """
    try:
        data = json.loads(text, parse_constant=float)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f'the network config in the checkpoint is not JSON: {error}') from error
    try:
        return _network_data(data)
    except RecursionError as error:
        raise ValueError('the network config in the checkpoint is nested too deeply') from error


def _without_dropped(value):
    if isinstance(value, dict):
        return {key: _without_dropped(item) for key, item in dict.items(value) if key not in _DROPPED}
    return [_without_dropped(item) for item in value] if isinstance(value, (list, tuple)) else value


def _network_data(value, place='network'):
    if place == 'network' and not (isinstance(value, dict) and 'type' in value):
        raise ValueError(f"a network config is a dict with a 'type', not {str(value)[:100]!r}")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f'{place}: the key {key!r} is not text')
            if key in _DROPPED:
                raise ValueError(f'{place}.{key}: a network config in a checkpoint may not have the key {key!r}')
            if key == 'type':
                _check_type(item, f'{place}.type')
        return {key: _network_data(item, f'{place}.{key}') for key, item in value.items()}
    if isinstance(value, list):
        return [_network_data(item, f'{place}[{i}]') for i, item in enumerate(value)]
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(f'{place} is {value}, which JSON cannot say')
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f'{place} is a {type(value).__name__}; a network config holds None, numbers, text, lists and dicts')


def _check_type(name, place):
    if not isinstance(name, str) or not re.fullmatch(r'\w+', name):
        raise ValueError(f'{place} is {name!r}: only the plain name of a registered component is allowed, '
                         'no dotted path, no scope and no class')
    if name not in MODELS:
        raise ValueError(f'{place}: ' + unknown_name_message(name, MODELS.names(), 'model registry'))
