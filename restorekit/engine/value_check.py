"""Finding values of a config that are of the wrong kind, before anything is built."""

from __future__ import annotations

import functools
import inspect
import numbers
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from restorekit import registry as registries
from restorekit.config import ConfigError

_DICT, _LIST = (dict,), (list, tuple)
#: What a top-level key holds where it is given and not None.
TOP_LEVEL_KINDS = {
    **dict.fromkeys(('model', 'train_dataloader', 'val_dataloader', 'test_dataloader', 'train_cfg', 'val_cfg',
                     'test_cfg', 'optim_wrapper', 'default_hooks', 'randomness', 'env_cfg', 'log_processor',
                     'visualizer', 'phases', 'auto_scale_lr', 'data_preprocessor', 'model_wrapper_cfg'), _DICT),
    **dict.fromkeys(('val_evaluator', 'test_evaluator', 'param_scheduler'), (dict, list, tuple)),
    'custom_hooks': _LIST, 'frozen': _LIST, 'load_from': (str,), 'work_dir': (str,), 'data_root': (str,),
    'default_scope': (str,), 'experiment_name': (str,), 'launcher': (str,), 'log_level': (str,),
    'init_from': (str,), 'resume': (bool,), 'load_matching': (bool,)}
_WORDS = {dict: 'a dict', list: 'a list', tuple: 'a list', str: 'text', bool: 'True or False', int: 'a whole number',
          float: 'a number', type(None): 'None'}
_LARGE = 2 ** 31
_NETWORK_PARTS = tuple(f'restorekit.models.{folder}.' for folder in ('networks', 'encoders', 'decoders', 'blocks'))
_LOADER = {'dataset': 'DATASETS', 'sampler': 'DATA_SAMPLERS'}
#: Where a component of one registry is due: a top-level key; a key below it, or each item of its list (0).
_PLACES = {
    ('model', None): 'MODELS', ('optim_wrapper', 'optimizer'): 'OPTIMIZERS', ('custom_hooks', 0): 'HOOKS',
    ('param_scheduler', 0): 'PARAM_SCHEDULERS', ('val_evaluator', 0): 'METRICS', ('test_evaluator', 0): 'METRICS',
    **{(f'{split}_dataloader', key): name for split in ('train', 'val', 'test') for key, name in _LOADER.items()}}


def check_kinds(cfg: Any, where: str) -> None:
    """Check that the top-level keys of a config hold dicts, lists and text where these are due, and lengths of runs.

    Raises:
        ConfigError: At the first mistake.
    """
    for key, kinds in TOP_LEVEL_KINDS.items():
        value = cfg.get(key)
        if value is not None and not isinstance(value, kinds):
            raise ConfigError(f'{where}: {key} must be {_words(kinds)}, but got {_shown(value)}')
    for key in ('default_hooks', 'phases'):
        for name, value in (cfg.get(key) or {}).items():
            if value is not None and not isinstance(value, dict):
                raise ConfigError(f'{where}: {key}.{name} must be a dict, but got {_shown(value)}')
    for key in ('mp_cfg', 'dist_cfg'):
        value = (cfg.get('env_cfg') or {}).get(key)
        if value is not None and not isinstance(value, dict):
            raise ConfigError(f'{where}: env_cfg.{key} must be a dict, but got {_shown(value)}')
    for place, part in [('', cfg), *((f'phases.{name}.', phase) for name, phase in (cfg.get('phases') or {}).items())]:
        loop = (part or {}).get('train_cfg')
        for key in ('max_iters', 'max_epochs') if isinstance(loop, dict) else ():
            length = loop.get(key)
            if length is not None and not is_count(length):
                raise ConfigError(f'{where}: {place}train_cfg.{key} must be a whole number of at least 1 (and below '
                                  f'2**31), but got {_shown(length)}')
    level = cfg.get('log_level')
    if level is not None and level not in ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'):
        raise ConfigError(f'{where}: log_level must be DEBUG, INFO, WARNING, ERROR or CRITICAL, but got {level!r}')


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number of at least 1 that is no mistake; ``1e3`` is, ``True`` is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value < _LARGE \
        and value == int(value)


def check_components(cfg: Any, where: str) -> None:
    """Check that a component, a dict with a ``type`` of the right registry, stands wherever one is due.

    Raises:
        ConfigError: At the first mistake.
    """
    for (key, part), name in _PLACES.items():
        top = cfg.get(key)
        if part == 0 and isinstance(top, (list, tuple)):
            nodes = [(f'{key}[{i}]', item) for i, item in enumerate(top)]
        elif isinstance(part, str):
            nodes = [(f'{key}.{part}', top.get(part))] if isinstance(top, dict) else []
        else:
            nodes = [(key, top)]
        for words, node in nodes:
            if node is not None:
                _check_component(node, words, getattr(registries, name), where)
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        for words, pipeline in _pipelines(loader, f'{split}_dataloader'):
            steps = list(pipeline.items()) if isinstance(pipeline, dict) else list(enumerate(pipeline)) \
                if isinstance(pipeline, (list, tuple)) else None
            if steps is None:
                raise ConfigError(f'{where}: {words} must be a list of transforms, but got {_shown(pipeline)}')
            for key, step in steps:
                if step is not None and not callable(step):
                    _check_component(step, f'{words}[{key}]', registries.TRANSFORMS, where)


def check_trainable(cfg: Any, where: str) -> None:
    """Check that a config has what a training needs, and of validation and test everything or nothing.

    Raises:
        ConfigError: At the first mistake.
    """
    missing = [key for key in ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper') if cfg.get(key) is None]
    if missing:
        raise ConfigError(f'{where}: training needs {" and ".join(missing)}, which this config does not have')
    wrapper = cfg.optim_wrapper
    if 'type' in wrapper and 'constructor' not in wrapper and wrapper.get('optimizer') is None:
        raise ConfigError(f'{where}: optim_wrapper of type {wrapper["type"]} has no optimizer; a dict of another type '
                          'replaces that of its base whole, so say optimizer=dict(type=...) again')
    for split in ('val', 'test'):
        keys = [f'{split}_{part}' for part in ('dataloader', 'cfg', 'evaluator')]
        if cfg.get(keys[0], ()) is None:  # which drops the other two
            continue
        given = [key for key in keys if cfg.get(key) is not None]
        if given and len(given) < 3 and cfg.get(keys[0], ()) is not None:  # None says: without validation
            raise ConfigError(f'{where}: {", ".join(key for key in keys if key not in given)} is missing beside '
                              f'{" and ".join(given)}; give all three, or none')
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader') or {}
        if loader and loader.get('dataset') is None:
            raise ConfigError(f'{where}: {split}_dataloader needs a dataset')


def check_values(node: dict, component: Any, place: str, where: str) -> None:
    """Check the arguments of a component against its annotations and defaults.

    Raises:
        ConfigError: At the first argument of another kind.
    """
    for key, value in node.items():
        kinds = _kinds(component).get(key)
        if kinds is None or key == 'type' or _fits(value, kinds):
            continue
        raise ConfigError(f'{where}: {place}.{key} must be {_words(kinds)}, but got {_shown(value)}')


def _check_component(node: Any, place: str, registry: Any, where: str) -> None:
    if not isinstance(node, dict):
        if isinstance(node, (str, bytes, numbers.Number, list, tuple)):
            raise ConfigError(f"{where}: {place} must be a dict with a 'type', but got {_shown(node)}")
        return
    kind = node.get('type')
    if kind is None:
        raise ConfigError(f"{where}: {place} needs a 'type', the name of a component of the {registry.name} registry")
    if isinstance(kind, str) and kind not in registry:
        raise ConfigError(f'{where}: {place}: {kind} is not a {registry.name}')


def _pipelines(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'pipeline' and value is not None:
                yield f'{place}.{key}', value
            else:
                yield from _pipelines(value, f'{place}.{key}')
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _pipelines(value, f'{place}[{i}]')


@functools.cache
def _kinds(component: Any) -> dict[str, tuple[type, ...]]:
    """By argument, the types it may have; arguments of which nothing is known are left out."""
    found: dict[str, tuple[type, ...]] = {}
    for cls in reversed(component.__mro__) if inspect.isclass(component) else [component]:
        init = cls if not inspect.isclass(cls) else cls.__dict__.get('__init__')
        if init is None or cls is object:
            continue
        own = getattr(init, '__module__', '').startswith('restorekit.')
        try:
            parameters = inspect.signature(init).parameters.values()
            hints = typing.get_type_hints(init) if own else {}
        except (TypeError, ValueError, NameError):
            continue
        for parameter in parameters:
            kinds = _of_hint(hints[parameter.name]) if parameter.name in hints else \
                _of_default(parameter.default, getattr(init, '__module__', ''))
            found.pop(parameter.name, None)
            if kinds:
                found[parameter.name] = kinds
    return found


class _Numbers:
    """In the place of a type: a list of numbers."""


class _Counts:
    """In the place of a type: a whole number of at least 1."""


def _of_hint(hint: Any) -> tuple[type, ...] | None:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_of_hint(part) for part in typing.get_args(hint)]
        return None if None in parts else tuple(kind for part in parts for kind in part or ())
    kind = origin or hint
    if kind in (int, float, bool, str, dict, type(None)):
        return (kind,)
    if kind in (list, tuple, Sequence):
        inner = {part for part in typing.get_args(hint) if part is not Ellipsis}
        return (_Numbers,) if inner and inner <= {int, float} else (list, tuple)
    return (dict,) if kind is Mapping else None


def _of_default(default: Any, module: str) -> tuple[type, ...] | None:
    """What a default tells of an argument without annotation; outside the models, these are often more lenient."""
    strict = module.startswith(_NETWORK_PARTS)
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        if strict:
            return (_Counts,) if isinstance(default, int) and default >= 1 else (float, bool, type(None))
        return (float, bool, type(None)) if module.startswith('restorekit.models') else \
            (float, bool, list, tuple, dict, type(None))
    if strict and isinstance(default, (list, tuple)) and default and all(isinstance(x, (int, float)) for x in default):
        return (_Numbers,)
    return None


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    if isinstance(value, bool):
        return bool in kinds or int in kinds
    if isinstance(value, int):
        return (_Counts in kinds and 1 <= value < _LARGE) or \
            ((int in kinds or float in kinds) and (abs(value) < _LARGE or float in kinds))
    if isinstance(value, (list, tuple)) and _Numbers in kinds:
        return len(value) > 0 and all(isinstance(item, (int, float)) and abs(item) < _LARGE for item in value)
    return isinstance(value, kinds) or not isinstance(value, (str, bytes, dict, list, tuple, float, type(None)))


def _words(kinds: tuple[type, ...]) -> str:
    words = {**_WORDS, _Numbers: 'a list of numbers', _Counts: 'a whole number of at least 1'}
    return ' or '.join(dict.fromkeys(words[kind] for kind in kinds))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
