"""Two optimizers for two networks that are trained from one batch."""

from __future__ import annotations

from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from restorekit.messages import InputError
from restorekit.registry import OPTIM_WRAPPER_CONSTRUCTORS

from .optim import TrainableOptimWrapperConstructor


class AdversarialOptimWrapper(OptimWrapperDict):
    """Optimizers whose losses were added: one backward pass, then a step of each.

    What a loss does not depend on has no gradient of it, so that each optimizer follows its own loss. Each clips,
    accumulates and follows its schedule by itself. Mixed precision is bfloat16 without a loss scaler.
    """

    @property
    def _first(self):
        return next(iter(self.optim_wrappers.values()))

    @property
    def _accumulative_counts(self):
        return self._first._accumulative_counts

    def optim_context(self, model: nn.Module):
        """The context of the first wrapper."""
        return self._first.optim_context(model)

    def initialize_count_status(self, model: nn.Module, cur_iter: int, max_iters: int) -> None:
        """Tell every wrapper where training is."""
        for wrapper in self.optim_wrappers.values():
            wrapper.initialize_count_status(model, cur_iter, max_iters)

    def update_params(self, loss: Tensor, step_kwargs: dict | None = None, zero_kwargs: dict | None = None) -> None:
        """Go back through ``loss``, the sum of all, and step every optimizer that is due."""
        self._first.backward(self._first.scale_loss(loss))
        for wrapper in self.optim_wrappers.values():
            if wrapper is not self._first:
                wrapper._inner_count += 1
            if wrapper.should_update():
                wrapper.step(**step_kwargs or {})
                wrapper.zero_grad(**zero_kwargs or {})


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AdversarialOptimWrapperConstructor:
    """One optimizer for a restorer's ``discriminator``, one for all else: see :class:`AdversarialRestorer`.

    Args:
        optim_wrapper_cfg (dict): As of any run.
        paramwise_cfg (dict, optional): ``discriminator`` names what its optimizer has otherwise; the rest as of any
            run, for the first optimizer.

    Raises:
        InputError: If the model has no discriminator, or a wrapper scales its loss.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        self.own = dict(paramwise_cfg or {})
        self.other = dict(self.own.pop('discriminator', None) or {})
        self.cfg = optim_wrapper_cfg

    def __call__(self, model: nn.Module) -> AdversarialOptimWrapper:
        inner = getattr(model, 'module', model)
        if not isinstance(getattr(inner, 'discriminator', None), nn.Module):
            raise InputError(f'{type(inner).__name__} has no discriminator; use AdversarialRestorer, or drop '
                             'optim_wrapper.constructor')
        wrappers = {}
        for name in ('network', 'discriminator'):
            mine = name == 'discriminator'
            cfg = dict(self.cfg, optimizer=dict(self.cfg['optimizer'], **(self.other if mine else {})))
            chosen = {id(p) for p in inner.discriminator.parameters()}
            hidden = [p for p in inner.parameters() if p.requires_grad and (id(p) in chosen) != mine]
            for parameter in hidden:
                parameter.requires_grad_(False)
            try:
                wrappers[name] = TrainableOptimWrapperConstructor(cfg, {} if mine else self.own)(model)
            finally:
                for parameter in hidden:
                    parameter.requires_grad_(True)
        if any(hasattr(wrapper, 'loss_scaler') for wrapper in wrappers.values()):
            raise InputError('two optimizers cannot share a loss scaler; adversarial training runs in float32 '
                             "(optim_wrapper type 'OptimWrapper') or, on the CPU, in bfloat16")
        return AdversarialOptimWrapper(**wrappers)
