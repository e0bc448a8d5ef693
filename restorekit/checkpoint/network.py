"""Weights and configs of networks in checkpoints."""

import json
import re

import numpy as np
import torch

from restorekit.messages import InputError, InputTypeError, unknown_name_message
from restorekit.registry import MODELS

from .read import CheckpointError
from .state_dict import state_dict_problems


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
        raise InputError(f"a network config is a dict with a 'type', not {str(value)[:100]!r}")
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
        return [_network_data(item, f'{place}[{i}]') for i, item in enumerate(value)]
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
