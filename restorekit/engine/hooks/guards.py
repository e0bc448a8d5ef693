"""Hooks that watch training: gradients that are not finite, embeddings that collapse."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict

from restorekit.messages import InputError
from restorekit.models.restorers import NonFiniteGradientError
from restorekit.registry import HOOKS

from ..fully_sharded import whole


@HOOKS.register_module()
class GradientGuardHook(Hook):
    """Stop before an optimizer step whose gradients are NaN or infinite, and name the parameters.

    :class:`RestoreRunner` has it by default. It looks right before the weights would change, and before clipping,
    which spreads a NaN to all of them. With float16 the loss scaler skips such steps itself and lowers the scale; only
    steps it lets through are looked at.

    Raises:
        NonFiniteGradientError: From the optimizer's step; the training loop adds where and the last good checkpoint.
    """

    def before_train(self, runner):
        """Attach to each optimizer."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        names = {parameter: name for name, parameter in model.named_parameters()}
        wrappers = runner.optim_wrapper
        for wrapper in wrappers.optim_wrappers.values() if isinstance(wrappers, OptimWrapperDict) else [wrappers]:
            if wrapper.clip_grad_kwargs and not hasattr(wrapper, 'loss_scaler'):
                _check_before_clipping(wrapper, names)
            else:
                wrapper.optimizer.register_step_pre_hook(lambda optimizer, *_: check_gradients(optimizer, names))


def _check_before_clipping(wrapper, names):
    clip = wrapper.clip_func

    def checked(parameters, **kwargs):
        check_gradients(wrapper.optimizer, names)
        return clip(parameters, **kwargs)
    wrapper.clip_func = checked


def check_gradients(optimizer, names):
    """Raise a NonFiniteGradientError if a gradient of ``optimizer`` is not finite.

    Args:
        optimizer (Optimizer): Its parameters are looked at.
        names (dict[Parameter, str]): Their names, for the message.
    """
    if getattr(optimizer, 'grad_scale', None) is not None:  # a fused optimizer under a loss scaler skips by itself
        return
    parameters = [p for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
    if not parameters or whole(torch.nn.utils.get_total_norm([p.grad for p in parameters])).isfinite():
        return
    gradients = ((p, whole(p.grad)) for p in parameters)
    bad = {p: bool(gradient.isnan().any()) for p, gradient in gradients if not gradient.isfinite().all()}
    if not bad:  # finite, and too large for the sum of their squares
        return
    kind = 'NaN' if any(bad.values()) else 'infinite'
    shown = ', '.join(names.get(p, '(not a parameter of the model)') for p in list(bad)[:5])
    raise NonFiniteGradientError(f'the gradient of {len(bad)} of {len(parameters)} trained parameters is {kind} '
                                 f'({shown}{", ..." if len(bad) > 5 else ""})')


@HOOKS.register_module()
class EmbeddingMonitorHook(Hook):
    """Warn, once for each domain, when the spread of the embeddings collapses.

    Watches ``embedding_std_source`` and ``embedding_std_target``, which :class:`CIDRestorer` logs when it aligns: the
    standard deviation over the images of a batch, averaged over dimensions. Alignment can be had for nothing by
    embeddings that do not vary. :class:`RestoreRunner` has this hook by default.

    Args:
        fraction (float): Warn when the mean of the last ``window`` values is below this part of that of the first.
        window (int): Iterations averaged.
    """

    def __init__(self, fraction=0.1, window=20):
        if not 0 < fraction < 1 or window < 1:
            raise InputError('EmbeddingMonitorHook: fraction must be in (0, 1) and window at least 1, but got '
                             f'{fraction} and {window}')
        self.fraction, self.window = fraction, window

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Compare, and remember the start in the message hub, which is saved and resumed."""
        for domain in ('source', 'target'):
            history = runner.message_hub.log_scalars.get(f'train/embedding_std_{domain}')
            if history is None:
                continue
            values = history.data[0]
            name = f'embedding_start_{domain}'
            start = runner.message_hub.runtime_info.get(name)
            if start is None:
                if len(values) >= self.window:
                    runner.message_hub.update_info(name, float(values[-self.window:].mean()))
            elif start >= 0 and values[-self.window:].mean() < self.fraction * start:
                runner.message_hub.update_info(name, -1.0)  # warned
                runner.logger.warning(
                    f'the {domain} embeddings are collapsing: their standard deviation fell from {start:.3g} at the '
                    f'start to {values[-self.window:].mean():.3g} at iteration {runner.iter + 1}. Lower '
                    "model.alignment.loss_weight, or use estimator='relative' or 'unbiased'.")
