"""Whether what a checkpoint says of a training run can be resumed from, found before anything is changed."""

from __future__ import annotations

import json
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict

from restorekit.checkpoint import CheckpointError
from restorekit.checkpoint.state_dict import is_weight

from .value_check import check_kinds

_LIMIT = 2 ** 53
_SHAPED = ('exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg', 'sum')  # as their parameter


def check_resumable(checkpoint: dict, runner: Any, model: torch.nn.Module, source: str) -> None:
    """Raise a CheckpointError unless ``runner`` can be resumed from ``checkpoint``; it names the file and the part.

    Args:
        checkpoint (dict): As read from the file.
        runner (Runner): Its optimizer and schedules are built.
        model (nn.Module): The restorer.
        source (str): The file.
    """
    def need(condition: object, what: str) -> None:
        if not condition:
            raise CheckpointError(f'{source} cannot be resumed from: {what}. It was not written by a run like this '
                                  'one; to start from its network alone, pass --load-from instead of --resume')
    for key in ('meta', 'state_dict', 'message_hub'):
        need(isinstance(checkpoint.get(key), dict), f'{key!r} is {_kind(checkpoint.get(key))}, not a dict')
    meta = checkpoint['meta']
    for key in ('iter', 'epoch'):
        need(_whole(meta.get(key), _LIMIT), f'meta.{key} is {_kind(meta.get(key))}, not a count')
    need(meta.get('seed') is None or _whole(meta['seed'], 2 ** 32), f'meta.seed is {_kind(meta.get("seed"))}, no seed')
    record = meta.get('restorekit', {})
    need(isinstance(record, dict) and isinstance(record.get('config', ''), str), f'meta.restorekit is {_kind(record)}')
    try:
        config = json.loads(record.get('config', '{}'))
        check_kinds(config if isinstance(config, dict) else dict(model=config), source)
    except (ValueError, RecursionError) as error:
        need(False, f'meta.restorekit.config is not a config as JSON ({str(error)[:200]})')
    hub = checkpoint['message_hub']
    for key in ('log_scalars', 'runtime_info', 'resumed_keys'):
        need(isinstance(hub.get(key), dict) and all(isinstance(name, str) for name in hub[key]),
             f'message_hub.{key} is {_kind(hub.get(key))}, not a dict of names')
    for key, value in hub['runtime_info'].items():
        if key.startswith(('best_score', 'embedding_start_')):
            need(isinstance(value, (int, float)), f'message_hub.runtime_info.{key} is {_kind(value)}, not a number')
        if key.startswith('early_stopping_'):
            need(isinstance(value, list) and len(value) == 3 and all(isinstance(x, (int, float)) for x in value),
                 f'message_hub.runtime_info.{key} is {_kind(value)}, not three numbers')
    need(all(isinstance(key, str) and is_weight(value) for key, value in checkpoint['state_dict'].items()),
         "'state_dict' holds what is no ordinary tensor with a name")
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    for key, prefix in (('gradients', ''), ('ema_state_dict', 'module.')):
        part = checkpoint.get(key, {})
        need(isinstance(part, dict), f'{key!r} is {_kind(part)}, not a dict')
        for name, value in part.items():
            need(isinstance(name, str) and is_weight(value), f'{key!r} holds what is no ordinary tensor')
            own = shapes.get(name.removeprefix(prefix), value.shape)
            need(value.shape == own, f'{key}[{name!r}] has the shape {tuple(value.shape)}, not {tuple(own)}')
    if 'optimizer' in checkpoint:
        _check_optimizers(checkpoint['optimizer'], runner.optim_wrapper, need)
    if 'param_schedulers' in checkpoint and runner.param_schedulers is not None:
        _check_schedules(checkpoint['param_schedulers'], runner.param_schedulers, need)


def _check_optimizers(saved, wrapper, need):
    need(isinstance(saved, dict), f"'optimizer' is {_kind(saved)}, not a dict")
    if isinstance(wrapper, OptimWrapperDict):
        for name, part in wrapper.items():
            _check_optimizers(saved.get(name), part, need)
        return
    groups, state = saved.get('param_groups'), saved.get('state')
    own = wrapper.optimizer.param_groups
    need(isinstance(groups, list) and isinstance(state, dict), "'optimizer' has no list 'param_groups' and dict "
         "'state'")
    need(all(isinstance(group, dict) and isinstance(group.get('params'), list)
             and all(type(i) is int for i in group['params']) for group in groups),
         "a group in 'param_groups' of the optimizer lists no parameters by number")
    if [len(group['params']) for group in groups] != [len(group['params']) for group in own]:
        return  # TrainingSchedule.check says what may have changed them
    parameters = {}
    for number, (group, mine) in enumerate(zip(groups, own, strict=True)):
        parameters.update(zip(group['params'], mine['params'], strict=True))
        for key, value in mine.items():
            if key != 'params':
                need(_alike(group[key], value) if key in group else key != 'lr',
                     f'{key} of group {number} of the optimizer is {_kind(group.get(key))}, where {value!r} is usual')
    for index, entries in state.items():
        need(index in parameters and isinstance(entries, dict), f'the optimizer has a state of {index!r}, no parameter')
        for key, value in entries.items():
            expected = parameters[index].shape
            need(isinstance(value, (torch.Tensor, int, float, type(None))), f'the optimizer\'s {key} is {_kind(value)}')
            need(key not in _SHAPED or value is None or getattr(value, 'shape', None) == expected,
                 f"the optimizer's {key} of parameter {index} has another shape than the parameter's {tuple(expected)}")
            need(key != 'step' or not isinstance(value, torch.Tensor) or value.numel() == 1,
                 f"the optimizer's step of parameter {index} is no number")


def _check_schedules(saved, own, need):
    need(type(saved) is type(own) or not isinstance(own, dict), f"'param_schedulers' is {_kind(saved)}, not a dict")
    groups = [(saved.get(name), part) for name, part in own.items()] if isinstance(own, dict) else [(saved, own)]
    for states, schedules in groups:
        need(isinstance(states, list) and all(isinstance(state, dict) for state in states),
             f"'param_schedulers' is {_kind(states)}, not a list of dicts")
        for state, schedule in zip(states, schedules, strict=False):
            mine = schedule.state_dict()
            for key, value in state.items():
                need(isinstance(key, str) and not hasattr(type(schedule), key),
                     f'a schedule of learning rates holds {key!r}')
                need(key not in mine or _alike(value, mine[key]),
                     f'{key} of a schedule of learning rates is {_kind(value)}, where {mine.get(key)!r} is usual')


def _alike(value, usual):
    """Whether a value can stand where ``usual`` stands: both numbers, both lists of numbers, or of one type."""
    if usual is None or value is None:
        return value is None or isinstance(value, (bool, int, float))
    if isinstance(usual, (list, tuple)):
        return isinstance(value, (list, tuple)) and (
            not usual or all(_alike(item, usual[0]) for item in value))  # of other lengths: the schedule's own check
    if isinstance(usual, (bool, int, float, torch.Tensor)):
        return isinstance(value, (bool, int, float)) or (isinstance(value, torch.Tensor) and value.numel() == 1)
    return isinstance(value, type(usual)) or isinstance(usual, type(value))


def _whole(value, limit):
    return type(value) is int and 0 <= value < limit


def _kind(value):
    return 'missing' if value is None else repr(value)[:40] if isinstance(value, (str, int, float)) else \
        f'a {type(value).__name__}'
