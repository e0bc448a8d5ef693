"""Averaged weights of schedule-free optimizers where weights are looked at or kept."""

from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict

from restorekit.config import ConfigError
from restorekit.registry import HOOKS


@HOOKS.register_module()
class ScheduleFreeHook(Hook):
    """Validate, save and hand over the averaged weights of a schedule-free optimizer; train on with its own.

    Such an optimizer (``AdamWScheduleFree``) trains at a point between its fastest weights and their average, and has
    ``train()`` and ``eval()`` to go from one to the other. Here the weights of training are put aside and back, so that
    neither a validation nor a checkpoint changes a bit of them; a checkpoint holds both. It does nothing with other
    optimizers. :class:`RestoreRunner` has it by default.

    Raises:
        ConfigError: Beside an ``EMAHook``: the average would be averaged again.
    """

    priority = 'NORMAL'

    def before_train(self, runner):
        """Begin in training mode; a phase that continues another is given the average and leaves it."""
        self.model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        wrappers = runner.optim_wrapper
        wrappers = list(wrappers.optim_wrappers.values()) if isinstance(wrappers, OptimWrapperDict) else [wrappers]
        self.optimizers = [wrapper.optimizer for wrapper in wrappers
                           if hasattr(wrapper.optimizer, 'eval') and hasattr(wrapper.optimizer, 'train')]
        if self.optimizers and any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise ConfigError('a schedule-free optimizer keeps an average of the weights itself; drop EMAHook')
        for optimizer in self.optimizers:
            if getattr(runner, 'continued_from', None) is not None and not runner._resume:
                _set_mode(optimizer, False)
            optimizer.train()
        self.aside = None

    def before_val_epoch(self, runner):
        """Put the average in the place of the weights."""
        if getattr(self, 'optimizers', None):
            self.aside = self._average()
            self._swap()

    def after_val_epoch(self, runner, metrics=None):
        """Put the weights of training back."""
        if getattr(self, 'aside', None) is not None:
            self._swap()
            self.aside = None

    def before_save_checkpoint(self, runner, checkpoint):
        """Save the average as the weights, and those of training beside it."""
        if getattr(self, 'optimizers', None):
            average = self._average() if self.aside is None else [p.detach().clone() for p in self._trained()]
            training = [p.detach().clone() for p in self._trained()] if self.aside is None else self.aside
            names = {parameter: name for name, parameter in self.model.named_parameters()}
            state = checkpoint['state_dict']
            checkpoint['training_state_dict'] = {
                names[p]: value.to(state[names[p]].device)
                for p, value in zip(self._trained(), training, strict=True)}
            state.update({names[p]: value.to(state[names[p]].device)
                          for p, value in zip(self._trained(), average, strict=True)})

    def after_load_checkpoint(self, runner, checkpoint):
        """Resume from the weights of training."""
        if runner._resume and 'training_state_dict' in checkpoint:
            checkpoint['state_dict'].update(checkpoint['training_state_dict'])

    def _trained(self):
        return [p for optimizer in self.optimizers for group in optimizer.param_groups for p in group['params']]

    def _average(self):
        """The averaged weights; those of the model are as before, to the bit."""
        kept = [p.detach().clone() for p in self._trained()]
        for optimizer in self.optimizers:
            optimizer.eval()
        average = [p.detach().clone() for p in self._trained()]
        for p, value in zip(self._trained(), kept, strict=True):
            p.data.copy_(value)
        for optimizer in self.optimizers:
            _set_mode(optimizer, True)
        return average

    def _swap(self):
        for i, p in enumerate(self._trained()):
            value = p.detach().clone()
            p.data.copy_(self.aside[i])
            self.aside[i] = value


def _set_mode(optimizer, training):
    for group in optimizer.param_groups:
        group['train_mode'] = training
