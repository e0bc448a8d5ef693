"""What changed in a config between the start of a run and its continuation."""

import json

from restorekit.config import config_to_json

# where things are and what is shown of them: none of it changes what is learned
_IRRELEVANT = {'work_dir', 'load_from', 'resume', 'experiment_name', 'launcher', 'data_root', 'filename', 'log_level',
               'log_processor', 'visualizer', 'env_cfg', 'num_workers', 'persistent_workers', 'pin_memory',
               'prefetch_factor', 'timeout', 'cache', 'logger', 'timer', 'compile', 'test_dataloader', 'test_cfg',
               'test_evaluator', 'runner_type', 'model_wrapper_cfg'}


def relevant(cfg):
    """Return a config as plain data, without the keys that do not change what is learned.

    Example:
        >>> relevant(dict(work_dir='a', train_dataloader=dict(batch_size=8, num_workers=2)))
        {'train_dataloader': {'batch_size': 8}}
    """
    return _without(json.loads(config_to_json(cfg)))


def differences(old, new):
    """Return what differs between two of :func:`relevant`'s results, a line for each value.

    Example:
        >>> differences(dict(optimizer=dict(lr=0.1)), dict(optimizer=dict(lr=0.2)))
        ['optimizer.lr: 0.1 -> 0.2']
    """
    return [f'{key}: {old_value} -> {new_value}' for key, old_value, new_value in _differences(old, new, '')]


def _without(value):
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in _IRRELEVANT}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


def _differences(old, new, place):
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f'{place}.{key}' if place else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from _differences(a, b, f'{place}[{i}]')
    elif old != new:
        yield place, *(value if value is _ABSENT else _shortened(json.dumps(value)) for value in (old, new))


class _Absent:
    def __str__(self):
        return '(not set)'


_ABSENT = _Absent()


def _shortened(text):
    return text if len(text) <= 100 else f'{text[:97]}...'
