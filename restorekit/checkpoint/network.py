"""Weights and configs of networks in checkpoints."""

import copy
import itertools
import json
import re
import threading
from contextlib import contextmanager

import numpy as np
import torch

from restorekit.messages import InputError, InputTypeError, UserError, unknown_name_message
from restorekit.registry import MODELS

from .read import CheckpointError
from .state_dict import is_weight, state_dict_problems

#: Under which keys other tools keep the weights, averaged ones first, and what they put before each name.
_WRAPPERS = ('params_ema', 'params-ema', 'ema', 'params', 'model_state_dict', 'state_dict', 'model', 'net', 'generator',
             'netG')
_PREFIXES = ('module.', '_orig_mod.', 'netG.', 'generator.')


def network_state(checkpoint, source='the checkpoint'):
    """Return the network's tensors in a checkpoint.

    Args:
        checkpoint (dict): A training checkpoint (``state_dict`` with the network under ``network.``), a network's bare
            state dict, or one under a key that other tools use (``params_ema``, ``params``, ``model``, ``net``,
            ``generator`` ...). Prefixes that all names have (``module.``, ``netG.``, ``generator.``) are taken off.
        source (str | Path): Where it is from (the file), for the error.

    Raises:
        CheckpointError: If it holds no tensors.

    Example:
        >>> list(network_state(dict(state_dict={'network.conv.weight': torch.ones(1), 'bank': torch.ones(1)})))
        ['conv.weight']
    """
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict):
        raise CheckpointError(f"{source}: 'state_dict' is a {type(state).__name__}, not a dict of tensors")
    for key in _WRAPPERS:
        if isinstance(state.get(key), dict) and any(isinstance(x, torch.Tensor) for x in state[key].values()):
            state = state[key]
            break
    state = {str(key): value for key, value in state.items()}
    while prefix := next((x for x in _PREFIXES if state and all(key.startswith(x) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    state = {key.removeprefix('module.'): value for key, value in state.items()}
    inner = {key.removeprefix('network.'): value for key, value in state.items() if key.startswith('network.')}
    state = inner or state
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and not is_weight(value):
            raise CheckpointError(f'{source}: {key[:200]} is a sparse, quantized, complex or empty tensor, which no '
                                  'network has')
    other = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if other or not state:
        keys = ', '.join(sorted(str(key)[:60] for key in checkpoint)[:10])
        raise CheckpointError(f'{source} has no network: it is neither a state dict nor a dict with one under '
                              f"'state_dict'; its keys are {keys or 'none'}")
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
    _check_fit(network, state, source)
    network.load_state_dict(state)


def load_matching_weights(network, state, source):
    """Copy from ``state`` into ``network`` what has the same name and shape; return a report of all else.

    Args:
        network (nn.Module): The network.
        state (dict): As :func:`network_state` returns it.
        source (str): Where it is from (the file), for the report.

    Returns:
        str: How many tensors and numbers were taken; then, by name and shape, those of another shape, those that keep
            their first values, and those that the file has beside.

    Raises:
        CheckpointError: If nothing fits; the network is not changed then.

    Example:
        >>> print(load_matching_weights(torch.nn.Linear(1, 1), dict(weight=torch.ones(1, 1), bias=torch.ones(2)), 'a'))
        a: 1 of 2 tensors taken (1 of 2 numbers)
          of another shape: bias (1,), in the file (2,)
    """
    own = network.state_dict()
    fit = {key: state[key] for key, value in own.items() if key in state and state[key].shape == value.shape}
    reshaped = [f'{key} {tuple(value.shape)}, in the file {tuple(state[key].shape)}' for key, value in own.items()
                if key in state and key not in fit]
    kinds = {'of another shape': reshaped,
             'not in the file': [f'{key} {tuple(value.shape)}' for key, value in own.items() if key not in state],
             'in the file only': [f'{key} {tuple(value.shape)}' for key, value in state.items() if key not in own]}
    lines = [f'  {kind}: {"; ".join(found)}' for kind, found in kinds.items() if found]
    if not fit:
        raise CheckpointError(f'{source}: no tensor has the name and shape of one of {type(network).__name__}.\n'
                              + '\n'.join(line if len(line) < 500 else f'{line[:500]} ...' for line in lines))
    network.load_state_dict({**own, **fit})
    numbers = [sum(tensor.numel() for tensor in tensors.values()) for tensors in (fit, own)]
    return '\n'.join([f'{source}: {len(fit)} of {len(own)} tensors taken ({numbers[0]:,} of {numbers[1]:,} numbers)',
                      *lines])


def _check_fit(network, state, source):
    own = network.state_dict()
    problems = state_dict_problems(state, own, limit=5)
    if problems:
        raise CheckpointError(f'{source} is a checkpoint of another network than this {type(network).__name__} '
                              f'of {len(own)} tensors.\n  ' + '\n  '.join(problems))


def checkpoint_record(checkpoint, source):
    """Return what restorekit wrote into a checkpoint about itself (``network``, ``config``, ...), a dict; or ``{}``.

    Args:
        checkpoint (dict): As :func:`~restorekit.checkpoint.load_checkpoint_file` returns it.
        source (str | Path): The file, for errors.

    Raises:
        CheckpointError: If the record is text, as in safetensors, that is not JSON.

    Example:
        >>> checkpoint_record(dict(meta=dict(restorekit='{"version": "1.0"}')), 'a.safetensors')
        {'version': '1.0'}
    """
    meta = checkpoint.get('meta')
    record = meta.get('restorekit') if isinstance(meta, dict) else None
    if isinstance(record, str):
        try:
            record = json.loads(record)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f'{source}: its metadata "restorekit" is not JSON ({error})') from error
    return record if isinstance(record, dict) else {}


def network_differences(checkpoint, cfg, source):
    """Return where a network's config differs from what a checkpoint says of its own, one text for each setting.

    Weights of one network fit another whose settings have no weights (a bound, a dilation), and give other images.

    Args:
        checkpoint (dict): As :func:`~restorekit.checkpoint.load_checkpoint_file` returns it.
        cfg (dict): The network's config.
        source (str | Path): The file, for errors.

    Returns:
        list[str]: Empty if they agree, the checkpoint says nothing, or either is no config of registered parts.

    Example:
        >>> network_differences(checkpoint, dict(type='AODNet', channels=4), 'aod.pth')  # doctest: +SKIP
        ['channels is 4 in the config and 3 in the checkpoint']
    """
    said = checkpoint_record(checkpoint, source).get('network')
    if not isinstance(said, str):
        return []
    try:
        own, said = dict(_settings(json.loads(network_json(cfg)))), dict(_settings(network_config_from_json(said)))
    except (ValueError, TypeError):  # a network that only its user's program knows
        return []
    return [f'{key} is {own.get(key, "not set")} in the config and {said.get(key, "not set")} in the checkpoint'
            for key in sorted({*own, *said}) if own.get(key, _NOTHING) != said.get(key, _NOTHING)]


def _settings(value, place=''):
    """Yield (dotted key, value) of all that is no dict."""
    for key, item in value.items():
        key = f'{place}.{key}' if place else key
        if isinstance(item, dict):
            yield from _settings(item, key)
        else:
            yield key, item


def network_description(checkpoint, source):
    """Return the config of the network that a checkpoint says it holds.

    Args:
        checkpoint (dict): As :func:`~restorekit.checkpoint.load_checkpoint_file` returns it.
        source (str | Path): The file, for errors.

    Raises:
        CheckpointError: If it says nothing, or something that is not the data of a network's config.

    Example:
        >>> network_description(load_checkpoint_file('iter_180.pth'), 'iter_180.pth')  # doctest: +SKIP
    """
    description = checkpoint_record(checkpoint, source).get('network')
    if description is None:
        raise CheckpointError(f'{source} does not say what network it holds (it was not written by restorekit, '
                              'or is a bare state dict); name its config with --config')
    try:
        return network_config_from_json(description)
    except (InputError, InputTypeError) as error:
        raise CheckpointError(f'{source}: {error}; name its config with --config') from error


def build_described_network(cfg, state, source):
    """Build the network that a file describes, after checking the description against the tensors in the file.

    It is built on the meta device first, where nothing is allocated, and given up as soon as it registers far more
    modules and parameters than the file has tensors: a few bytes of text cannot fill the memory.

    Args:
        cfg (dict): As :func:`network_config_from_json` returns it.
        state (dict): The file's tensors, as :func:`network_state` returns them.
        source (str): The file, for errors.

    Returns:
        nn.Module: On the CPU, with the weights of ``state``.

    Raises:
        CheckpointError: If the description cannot be built or does not fit the tensors.

    Example:
        >>> build_described_network(dict(type='AODNet'), state, 'aod.pth')  # doctest: +SKIP
    """
    try:
        with _registration_limit(64 + 8 * len(state)), torch.device('meta'):
            outline = MODELS.build(copy.deepcopy(cfg))
    except UserError as error:
        raise CheckpointError(f'the network described in {source} cannot be built: {error}') from error
    except (TypeError, ValueError, KeyError, OverflowError, MemoryError, RuntimeError, ArithmeticError) as error:
        # what a constructor says to numbers that a hostile or foreign file gives it
        raise CheckpointError(f'the network described in {source} cannot be built ({type(error).__name__}: {error}); '
                              'if you trust the file, name its config with --config') from error
    _check_fit(outline, state, source)
    hidden = sum(buffer.numel() for buffer in outline.buffers())
    if hidden > 10 ** 7 + 16 * sum(tensor.numel() for tensor in state.values()):
        raise CheckpointError(f'the network described in {source} computes tables of {hidden} numbers, far more than '
                              'the file holds')
    network = MODELS.build(copy.deepcopy(cfg))
    network.load_state_dict(state)
    return network


@contextmanager
def _registration_limit(limit):
    """Stop the building of a network in this thread when it registers more than ``limit`` parameters and modules."""
    thread, count = threading.get_ident(), itertools.count(1)

    def registered(module, name, value):
        if threading.get_ident() == thread and next(count) > limit:
            raise InputError(f'it has more than {limit} modules and parameters, far more than the file has tensors')
    handles = [torch.nn.modules.module.register_module_parameter_registration_hook(registered),
               torch.nn.modules.module.register_module_module_registration_hook(registered)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


#: Keys that a network's description may not have: they name files, or are instructions of the config system.
_NOTHING = object()
_DROPPED = ('_scope_', '_base_', '_delete_', 'init_cfg', 'pretrained', 'checkpoint', 'weights')
_PARTS = tuple(f'restorekit.models.{folder}.' for folder in ('networks', 'encoders', 'decoders', 'blocks'))
_MAX_TEXT, _MAX_ITEMS, _MAX_NUMBER = 1 << 20, 4096, 1 << 20


def network_json(cfg):
    """Return a network's config as JSON text for a checkpoint's meta; :func:`network_config_from_json` reads it.

    Keys that only say where weights or config parts come from (``init_cfg``, ``pretrained``, ``checkpoint``,
    ``_scope_`` and the like) are dropped; tuples become lists.

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
    if not isinstance(text, str):
        raise InputError(f'the network config in the checkpoint is not JSON text, but a {type(text).__name__}')
    if len(text) > _MAX_TEXT:
        raise InputError(f'the network config in the checkpoint has {len(text)} characters, more than {_MAX_TEXT}')
    try:
        data = json.loads(text, parse_constant=float)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f'the network config in the checkpoint is not JSON: {error}') from error
    try:
        return _network_data(data)
    except RecursionError as error:
        raise InputError('the network config in the checkpoint is nested too deeply') from error


def _without_dropped(value):
    if isinstance(value, dict):
        return {key: _without_dropped(item) for key, item in dict.items(value) if key not in _DROPPED}
    return [_without_dropped(item) for item in value] if isinstance(value, (list, tuple)) else value


def _network_data(value, place='network'):
    if place == 'network' and not (isinstance(value, dict) and 'type' in value):
        raise InputError(f"a network config is a dict with a 'type', but got {str(value)[:100]!r}")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InputTypeError(f'{place}: the key {key!r} is not text')
            if key in _DROPPED:
                raise InputError(f'{place}.{key}: a network config in a checkpoint may not have the key {key!r}')
            if key == 'type':
                _check_type(item, f'{place}.type')
        return {key: _network_data(item, f'{place}.{key}') for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > _MAX_ITEMS:
            raise InputError(f'{place} has {len(value)} items, more than {_MAX_ITEMS}')
        return [_network_data(item, f'{place}[{i}]') for i, item in enumerate(value)]
    if type(value) is int and abs(value) > _MAX_NUMBER:
        raise InputError(f'{place} is {value}; whole numbers up to {_MAX_NUMBER} are allowed in a network config')
    if isinstance(value, float) and not np.isfinite(value):
        raise InputError(f'{place} is {value}, which JSON cannot say')
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise InputTypeError(
        f'{place} is a {type(value).__name__}; a network config holds None, numbers, text, lists and dicts')


def _check_type(name, place):
    if not isinstance(name, str) or not re.fullmatch(r'\w+', name):
        raise InputError(f'{place} is {name!r}: only the plain name of a registered component is allowed, '
                         'no dotted path, no scope and no class')
    if name not in MODELS:
        raise InputError(f'{place}: ' + unknown_name_message(name, MODELS.names(), 'model registry'))
    if not _is_network_part(MODELS.get(name)):
        raise InputError(f'{place}: {name} is not a network, encoder, decoder or block, and a network config holds '
                         'nothing else')


def _is_network_part(component):
    """Whether a component only computes: those of restorekit say so by their folder, a user's own by being a module."""
    module = component.__module__
    if module.partition('.')[0] in ('restorekit', 'mmengine', 'mmcv', 'torch', 'torchvision'):
        return module.startswith(_PARTS)
    from mmengine.model import BaseModel
    return isinstance(component, type) and issubclass(component, torch.nn.Module) and not \
        issubclass(component, BaseModel)
