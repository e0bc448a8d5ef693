"""Losses that compare pixel with pixel: L1, MSE, Charbonnier."""

import torch
from torch import nn

from restorekit.functional.precision import at_least_float32
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weighted_reduce


def l1_loss(pred, target, weight=None, reduction='mean'):
    """Return the mean of w |pred - target|. Arguments as in :class:`L1Loss`; reduction 'mean', 'sample' or 'none'."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    return weighted_reduce((pred - target).abs(), weight, reduction)


def mse_loss(pred, target, weight=None, reduction='mean'):
    """Return the mean of w (pred - target)^2. Arguments as in :class:`MSELoss`; reduction 'mean', 'sample', 'none'."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    return weighted_reduce((pred - target).square(), weight, reduction)


def charbonnier_loss(pred, target, weight=None, eps=1e-3, reduction='mean'):
    """Return the mean of w sqrt((pred - target)^2 + eps^2). Arguments as in :class:`CharbonnierLoss`."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    return weighted_reduce(torch.sqrt((pred - target).square() + eps ** 2), weight, reduction)


class _PixelLoss(nn.Module):

    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def extra_repr(self):
        return f'loss_weight={self.loss_weight}'


@MODELS.register_module()
class L1Loss(_PixelLoss):
    """Mean absolute error: loss_weight * mean(w |pred - target|).

    Args:
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred (Tensor): (N, C, H, W), usually RGB in [0, 1].
        target (Tensor): The same shape and range.
        weight (Tensor | None): Per sample (N,) or per pixel (N, 1, H, W) or (N, C, H, W); it multiplies the error
            before the mean, so weights of one change nothing.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> L1Loss()(torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4))
        tensor(1.)
    """

    def forward(self, pred, target, weight=None):
        return self.loss_weight * l1_loss(pred, target, weight)


@MODELS.register_module()
class MSELoss(_PixelLoss):
    """Mean squared error: loss_weight * mean(w (pred - target)^2).

    Args:
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`.

    Example:
        >>> MSELoss()(torch.zeros(2, 3, 4, 4), torch.full((2, 3, 4, 4), 2.0))
        tensor(4.)
    """

    def forward(self, pred, target, weight=None):
        return self.loss_weight * mse_loss(pred, target, weight)


@MODELS.register_module()
class CharbonnierLoss(_PixelLoss):
    """A smooth L1: loss_weight * mean(w sqrt((pred - target)^2 + eps^2)).

    Source: Charbonnier et al., "Two deterministic half-quadratic regularization algorithms for computed imaging",
    1994. Its value for equal images is eps.

    Args:
        eps (float): Error below which the loss turns quadratic, in units of the image; positive.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`.

    Raises:
        ValueError: If eps is not positive (the gradient at equal pixels would be 0/0).

    Example:
        >>> CharbonnierLoss(eps=3.0)(torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 4.0))
        tensor(5.)
    """

    def __init__(self, eps=1e-3, loss_weight=1.0):
        super().__init__(loss_weight)
        if not eps > 0:
            raise InputError(f'CharbonnierLoss: eps must be positive, but got {eps}; for eps=0 use L1Loss')
        self.eps = eps

    def forward(self, pred, target, weight=None):
        return self.loss_weight * charbonnier_loss(pred, target, weight, self.eps)

    def extra_repr(self):
        return f'eps={self.eps}, {super().extra_repr()}'
