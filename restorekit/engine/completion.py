"""What a config leaves unsaid: units that follow from its loop, and what follows from a part that is None."""

import inspect
import math

import torch
from mmengine.hooks import EMAHook
from mmengine.runner import EpochBasedTrainLoop as EpochLoop
from mmengine.runner import Priority, get_priority

from restorekit.config import ConfigError
from restorekit.registry import HOOKS, LOOPS, MODELS, PARAM_SCHEDULERS

from .loops import ResumableEpochLoop

_WARM_UPS = ('LinearLR', 'ConstantLR', 'LinearParamScheduler', 'ConstantParamScheduler')


def complete_config(cfg, where, schedule_length=None):
    """Complete a config in place, before it is built; doing it again changes nothing.

    - Components that count iterations or epochs (``by_epoch``) count what the training loop counts. One that is told
      to count epochs in a run of iterations would never act, and is refused.
    - A loader without a sampler gets one: training draws at random (``shuffle=False``: in order), the others read in
      order, each process its share.
    - A hook, scheduler, metric or backend that is None is dropped. ``val_dataloader=None`` trains without validation.
    - A schedule that cannot be built, or a warm-up that is longer than the run, is refused.

    Args:
        cfg (Config | dict): The complete config of one run.
        where (str): Its file (and phase), for messages.
        schedule_length (int, optional): Iterations that the schedule runs over; default: those of the loop.

    Raises:
        ConfigError: For a contradiction; the message names the key.
    """
    _drop_none(cfg, where)
    _set_samplers(cfg)
    if cfg.get('train_cfg') is None:
        return
    by_epoch = _counts_epochs(cfg, where)
    _check_length(cfg, where)
    hooks = cfg.get('default_hooks') or {}
    if hooks.get('param_scheduler', True) is None and cfg.get('param_scheduler'):
        raise ConfigError(f'{where}: default_hooks.param_scheduler=None: without this hook param_scheduler has no '
                          'effect; leave it, or set param_scheduler=None too')
    cfg['default_hooks'] = {'checkpoint': dict(type='SafeCheckpointHook'), **hooks}
    for name, hook in cfg['default_hooks'].items():
        _complete_hook(hook, f'default_hooks.{name}', by_epoch, where)
    for i, hook in enumerate(cfg.get('custom_hooks') or ()):
        _complete_hook(hook, f'custom_hooks[{i}]', by_epoch, where)
    if not isinstance(cfg.get('log_processor'), dict):
        cfg['log_processor'] = {}
    _set_unit(cfg['log_processor'], 'log_processor', by_epoch, where)
    _check_validation(cfg, where)
    for place, scheduler in schedulers(cfg.get('param_scheduler'), 'param_scheduler'):
        _complete_scheduler(scheduler, place, by_epoch, schedule_length or loop_length(cfg), where)


def _check_length(cfg, where):
    for key in ('max_iters', 'max_epochs'):
        value = cfg['train_cfg'].get(key)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and 1 <= value < math.inf and value == int(value)):
            raise ConfigError(f'{where}: train_cfg.{key} must be a whole number of at least 1, but got {value!r}')


def _check_validation(cfg, where):
    loop, length = cfg['train_cfg'], loop_length(cfg)
    if cfg.get('val_dataloader') is None:
        return
    for key in ('val_begin', 'val_interval'):
        value = loop.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ConfigError(f'{where}: train_cfg.{key} must be a whole number of at least 1, but got {value!r}; to '
                              'train without validation, set val_dataloader=None')
    if length is not None and isinstance(length, int) and loop.get('val_begin', 1) > length:
        raise ConfigError(f'{where}: train_cfg.val_begin={loop["val_begin"]}: a run of {length} ends before it, so '
                          'that it would never validate; lower it, or set val_dataloader=None')


def loop_length(cfg):
    """Return how many iterations, or epochs, the config of a run trains; None if it does not say."""
    loop = cfg.get('train_cfg') or {}
    return loop.get('max_iters') or loop.get('max_epochs')


def _drop_none(cfg, where):
    for key in ('custom_hooks', 'param_scheduler', 'val_evaluator', 'test_evaluator'):
        if isinstance(cfg.get(key), (list, tuple)):
            cfg[key] = [item for item in cfg[key] if item is not None]
    backends = (cfg.get('visualizer') or {}).get('vis_backends')
    if isinstance(backends, (list, tuple)):
        cfg['visualizer']['vis_backends'] = [item for item in backends if item is not None]
    for split in ('val', 'test'):
        loader, rest = f'{split}_dataloader', (f'{split}_cfg', f'{split}_evaluator')
        if cfg.get(loader) is None:
            for key in rest:
                if cfg.get(key) is not None:
                    cfg[key] = None
        elif not cfg.get(rest[1]) and split == 'val' and cfg.get('train_cfg') is not None:  # not a dataset alone
            raise ConfigError(f'{where}: val_dataloader is given, but no val_evaluator to measure with; give one, or '
                              'set val_dataloader=None to train without validation')
        elif cfg.get(rest[1]) and cfg.get(rest[0]) is None:
            cfg[rest[0]] = {}


def _set_samplers(cfg):
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if not isinstance(loader, dict) or loader.get('sampler') is not None or loader.get('batch_sampler'):
            continue
        shuffle = loader.pop('shuffle', None)
        loader['sampler'] = dict(type='CounterSampler' if split == 'train' else 'DefaultSampler',
                                 shuffle=split == 'train' if shuffle is None else shuffle)


def _counts_epochs(cfg, where):
    loop = cfg['train_cfg']
    if 'type' not in loop:
        by_epoch = loop.pop('by_epoch', 'max_epochs' in loop)
        loop['type'] = 'EpochBasedTrainLoop' if by_epoch else 'ResumableIterLoop'
    kind = LOOPS.get(loop['type']) if isinstance(loop['type'], str) else loop['type']
    epochs = issubclass(kind, (EpochLoop, ResumableEpochLoop))
    for key, hint in (('max_epochs', "type='EpochBasedTrainLoop', max_epochs"), ('max_iters', 'max_iters')):
        if loop.get(key) is not None and (key == 'max_epochs') != epochs:
            raise ConfigError(f'{where}: train_cfg: {loop["type"]} counts {"epochs" if epochs else "iterations"}, but '
                              f'got {key}={loop[key]}; to count the other, say '
                              f'train_cfg=dict(_delete_=True, {hint}={loop[key]})')
    return epochs


def _complete_hook(hook, place, by_epoch, where):
    if not isinstance(hook, dict) or not isinstance(hook.get('type'), (str, type)):
        return
    kind = HOOKS.get(hook['type']) if isinstance(hook['type'], str) else hook['type']
    try:
        get_priority(hook.get('priority', 'NORMAL'))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f'{where}: {place}.priority must be a number from 0 to 100 or one of '
                          f'{", ".join(Priority.__members__)}, but got {hook["priority"]!r}') from error
    arguments = _arguments(kind)
    if 'by_epoch' in arguments:
        _set_unit(hook, place, by_epoch, where)
    if 'log_metric_by_epoch' in arguments:
        hook.setdefault('log_metric_by_epoch', by_epoch)
    if inspect.isclass(kind) and issubclass(kind, EMAHook):
        _check_average(hook, kind, place, where)
    if hook.get('begin_epoch') and not by_epoch:
        raise ConfigError(f'{where}: {place}.begin_epoch={hook["begin_epoch"]}: this run counts iterations, so that it '
                          'would never begin; say begin_iter')


def _check_average(hook, kind, place, where):
    """Build the moving average of a hook of weights, whose arguments MMEngine reads after the start."""
    own = set(inspect.signature(EMAHook.__init__).parameters) | set(inspect.signature(kind.__init__).parameters)
    options = {key: value for key, value in hook.items() if key == 'ema_type' or key not in {*own, 'type', 'priority'}}
    name = options.pop('ema_type', 'ExponentialMovingAverage')
    try:
        MODELS.build(dict(options, type=name), default_args=dict(model=torch.nn.Linear(1, 1)))
    except (ValueError, TypeError, AssertionError, KeyError) as error:
        raise ConfigError(f'{where}: {place}: {error}') from error


def _arguments(kind):
    """Names of the arguments of a class and of those its ``**kwargs`` go to."""
    return {name for cls in getattr(kind, '__mro__', ()) if '__init__' in vars(cls) and cls is not object
            for name in inspect.signature(cls.__init__).parameters}


def _set_unit(node, place, by_epoch, where):
    if node.get('by_epoch') and not by_epoch:
        raise ConfigError(f'{where}: {place}.by_epoch=True: this run counts iterations (train_cfg.max_iters), so that '
                          'it would never act; leave by_epoch out, and give iterations')
    node.setdefault('by_epoch', by_epoch)


def schedulers(node, place):
    """Yield the place and config of each scheduler: a dict, a list, or either by the name of an optimizer."""
    if isinstance(node, dict) and 'type' in node:
        yield place, node
    elif isinstance(node, dict):
        for name, inner in node.items():
            yield from schedulers(inner, f'{place}.{name}')
    elif isinstance(node, (list, tuple)):
        for i, inner in enumerate(node):
            yield from schedulers(inner, f'{place}[{i}]')


def _complete_scheduler(scheduler, place, by_epoch, length, where):
    name = scheduler['type'] if isinstance(scheduler['type'], str) else scheduler['type'].__name__
    if name.split('.')[-1].startswith('ReduceOnPlateau'):
        if scheduler.get('by_epoch') is False:
            raise ConfigError(f'{where}: {place}: {name} acts after each validation, whatever the loop counts; leave '
                              'by_epoch=False out')
        return
    if not scheduler.get('convert_to_iter_based'):
        _set_unit(scheduler, place, by_epoch, where)
    elif scheduler.get('by_epoch') is False:
        raise ConfigError(f'{where}: {place}: convert_to_iter_based=True turns epochs into iterations, but '
                          'by_epoch=False says that it is given in iterations; drop one of the two')
    if scheduler.get('by_epoch', True) != by_epoch or length is None:  # its length is known when the data is
        return
    end = scheduler.get('end', length)
    unit = 'epochs' if by_epoch else 'iterations'
    if not isinstance(end, (int, float)):
        raise ConfigError(f'{where}: {place}.end must be a number of {unit}, but got {end!r}')
    if name.split('.')[-1] in _WARM_UPS and end > length:
        raise ConfigError(f'{where}: {place}: {name}(end={end}) does not end in a run of {length} {unit}; set end to '
                          f'{length} or less, or drop it')
    _check_acts(scheduler, f'{where}: {place}: {name}', length, unit)
    weight = torch.nn.Parameter(torch.zeros(1))
    try:
        PARAM_SCHEDULERS.build(dict(scheduler, end=end), default_args=dict(
            optimizer=torch.optim.SGD([weight], lr=1.0, momentum=0.9), epoch_length=1))
    except (ValueError, TypeError, AssertionError, KeyError) as error:
        raise ConfigError(f'{where}: {place}: {name} in a run of {length} {unit}: {error}') from error


def _check_acts(scheduler, what, length, unit):
    """Refuse a schedule that changes nothing before the run ends."""
    milestones, begin = scheduler.get('milestones'), scheduler.get('begin', 0)
    first = {}
    if isinstance(milestones, (list, tuple)) and milestones and all(isinstance(x, int) for x in milestones):
        first['milestones'] = begin + min(milestones)
    if isinstance(scheduler.get('step_size'), int):
        first['step_size'] = begin + scheduler['step_size']
    for key, step in first.items():
        if isinstance(step, (int, float)) and step >= length:
            raise ConfigError(f'{what}({key}={scheduler[key]}) never acts in a run of {length} {unit}; lower {key}, or '
                              'drop the schedule')
