"""Ctrl-C in a training run, or a terminal that closes: what is running ends whole, and a checkpoint of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import EMAHook, Hook

from .hooks.adaptive_batch_norm import AdaptiveBatchNormHook
from .hooks.checkpoint import SafeCheckpointHook

_SWAPPING = (EMAHook, AdaptiveBatchNormHook)
_TEXT = b'\nInterrupted: stopping after this iteration; Ctrl-C again stops at once.\n'
_SIGNALS = [getattr(signal, name) for name in ('SIGINT', 'SIGHUP') if hasattr(signal, name)]  # Windows has no second
_AGAIN = 1.0  # seconds from which another signal is a second wish; launchers hand on what the terminal sent already


class Interruption:
    """Makes of Ctrl-C a wish that the training loop fulfils between iterations, where its state is whole.

    A second Ctrl-C acts as usual. A terminal that closes (SIGHUP, unless ``nohup`` has it ignored) is the same wish. In
    a distributed run all processes stop at the same iteration. Used as a context;
    outside the main thread, where Python has no signals, it does nothing.

    Args:
        runner (Runner): Its :class:`SafeCheckpointHook` saves what is left.
    """

    def __init__(self, runner):
        self.runner, self.wished, self.waiting = runner, 0.0, False
        self._previous, self._hook = {}, _StopValidation(self)

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for sign in _SIGNALS:
                if signal.getsignal(sign) in (signal.default_int_handler, signal.SIG_DFL):
                    self._previous[sign] = signal.signal(sign, self._wish)
        self.runner.register_hook(self._hook, priority='LOWEST')
        return self

    def __exit__(self, *_):
        for sign, handler in self._previous.items():
            signal.signal(sign, handler)
        self.runner.hooks.remove(self._hook)

    def _wish(self, *_):
        now = time.monotonic()
        if self.wished and now - self.wished > _AGAIN:
            raise KeyboardInterrupt
        if not self.wished:
            self.wished = now
            if self.waiting and get_world_size() == 1:
                raise KeyboardInterrupt
            with contextlib.suppress(OSError):  # nobody reads it any more
                os.write(2, _TEXT)

    def weights_are_swapped(self):
        """Whether a validation is under way for which hooks have changed the weights."""
        return self._hook.validating and any(isinstance(hook, _SWAPPING) for hook in self.runner.hooks)

    def next_batch(self, batches):
        """Return ``next(batches)``; one process alone does not wait for it any longer when interrupted."""
        try:
            self.waiting = True
            if self.wished and get_world_size() == 1:  # came between an iteration and here
                raise KeyboardInterrupt
            return next(batches)
        except KeyboardInterrupt:
            self.leave()
        finally:
            self.waiting = False

    def after_iteration(self, iteration):
        """Leave, if that was wished in any process."""
        wished = bool(self.wished)
        if get_world_size() > 1:
            if iteration % getattr(self.runner.optim_wrapper, '_accumulative_counts', 1):
                return  # what the other processes have accumulated would be lost
            flag = torch.tensor(float(wished), device=next(self.runner.model.parameters()).device)
            all_reduce(flag, op='max')
            wished = bool(flag)
        if wished:
            self.leave()

    def leave(self):
        """Save a checkpoint of the iterations done, and raise KeyboardInterrupt with the sentence about it."""
        saving = next((hook for hook in self.runner.hooks if isinstance(hook, SafeCheckpointHook)), None)
        saved = saving.save_cut(self.runner) if saving is not None else None
        raise KeyboardInterrupt(f'{saved} holds iteration {self.runner.iter}; continue with --resume' if saved else
                                'continue with --resume')


class _StopValidation(Hook):
    def __init__(self, interruption):
        self.interruption, self.validating = interruption, False

    def before_val_epoch(self, runner):
        """Remember that hooks may have put other weights in the place of those of training."""
        self.validating = True

    def after_val_epoch(self, runner, metrics=None):
        """They have put them back."""
        self.validating = False

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        """Leave a validation, which a resumed run begins again, with the weights of training in place."""
        if self.interruption.wished and get_world_size() == 1:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):
                    hook._swap_ema_parameters()
                elif isinstance(hook, AdaptiveBatchNormHook):
                    hook.after_val_epoch(runner)
            self.validating = False
            self.interruption.leave()
