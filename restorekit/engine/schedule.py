"""Optimizer and schedule of a resumed run whose config was changed."""

import copy
import json
import warnings

from mmengine.optim import OptimWrapperDict

from restorekit.config import ConfigError, config_to_json


class TrainingSchedule:
    """What the config of a runner makes of optimizer and schedulers, taken before a checkpoint is loaded into them.

    Args:
        runner (Runner): Its optimizer and schedulers are built, and have not stepped.
    """

    def __init__(self, runner):
        self.runner = runner
        self.groups = [_values(group) for optimizer in self._optimizers() for group in optimizer.param_groups]
        self.states = [copy.deepcopy(scheduler.state_dict()) for scheduler in self._schedulers()]

    def check(self, checkpoint, source):
        """Refuse a checkpoint whose optimizer holds other parameters.

        Raises:
            ConfigError: Names the numbers of parameters, and what may have changed them.
        """
        state = checkpoint.get('optimizer')
        if state is None:
            raise ConfigError(f'{source} has no optimizer (save_optimizer=False?): training cannot continue from it; '
                              'start from its weights with --load-from')
        record = (checkpoint.get('meta') or {}).get('restorekit', {}).get('config') or '{}'
        old, new = (_kinds(json.loads(text)) for text in (record, config_to_json(self.runner.cfg)))
        if old and old != new:
            raise ConfigError(f'{source} holds the state of {", ".join(old)}, which means nothing to another '
                              f'optimizer, but got {", ".join(new)}. It cannot change on resume: take the change back, '
                              'or start anew from the weights with --load-from')
        states = [state] if 'param_groups' in state else list(state.values())
        old = [len(group['params']) for part in states if 'param_groups' in part for group in part['param_groups']]
        new = [len(group['params']) for optimizer in self._optimizers() for group in optimizer.param_groups]
        if old != new:
            raise ConfigError(
                f'the optimizer in {source} holds {sum(old)} parameters in {len(old)} groups, but this config trains '
                f'{sum(new)} in {len(new)}. What is trained cannot change on resume (frozen, paramwise_cfg, the '
                'network): take the change back, or start anew from the weights with --load-from')

    def differs(self, record):
        """Whether the config differs from the JSON ``record`` in what these are built from; so without a record."""
        if record is None:
            return False
        old, new = (_relevant(json.loads(text)) for text in (record, config_to_json(self.runner.cfg)))
        return old != new

    def replay(self, steps, offset=0):
        """Put the config's values into the optimizer, and the schedulers after ``steps`` iterations of it.

        A scheduler that watches a metric keeps the state it has.

        Args:
            steps (int): Iterations of this phase.
            offset (int): What phases before it have trained under the same schedule: iterations, or epochs in a run
                that counts these.
        """
        groups = (group for optimizer in self._optimizers() for group in optimizer.param_groups)
        for group, fresh in zip(groups, self.groups, strict=True):
            group.update(fresh)
        schedulers = []
        for scheduler, state in zip(self._schedulers(), self.states, strict=True):
            if not getattr(scheduler, 'need_val_args', False):
                optimizer = scheduler.optimizer
                vars(scheduler).clear()
                vars(scheduler).update(copy.deepcopy(state), optimizer=optimizer)
                schedulers.append(scheduler)
        epoch = len(self.runner.train_dataloader)
        with warnings.catch_warnings():  # of steps of the schedule without steps of the optimizer
            warnings.simplefilter('ignore', UserWarning)
            for _ in range(offset):
                for scheduler in schedulers:
                    scheduler.step()
            for step in range(1, steps + 1):
                for scheduler in schedulers:
                    if not scheduler.by_epoch or (step % epoch == 0 and self.runner.max_epochs > 1):
                        scheduler.step()

    def _optimizers(self):
        wrapper = self.runner.optim_wrapper
        wrappers = wrapper.optim_wrappers.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        return [wrapper.optimizer for wrapper in wrappers]

    def _schedulers(self):
        found = self.runner.param_schedulers or []
        return [s for group in found.values() for s in group] if isinstance(found, dict) else found


def _values(group):
    return {key: copy.deepcopy(value) for key, value in group.items() if key != 'params'}


def _kinds(cfg):
    """The types of the optimizers of a config."""
    wrapper = cfg.get('optim_wrapper') or {}
    parts = [wrapper] if 'optimizer' in wrapper else [part for part in wrapper.values() if isinstance(part, dict)]
    return [str(part['optimizer'].get('type')) for part in parts if isinstance(part.get('optimizer'), dict)]


def _relevant(cfg):
    loop = cfg.get('train_cfg') or {}
    return [cfg.get('optim_wrapper'), cfg.get('param_scheduler'), cfg.get('auto_scale_lr'), loop.get('max_iters'),
            loop.get('max_epochs')]
