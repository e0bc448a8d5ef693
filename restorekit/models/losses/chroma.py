"""Colour as a loss: what PSNR hardly notices when a picture turns grey."""

from __future__ import annotations

import torch
from torch import nn

from restorekit.functional.colour import chroma
from restorekit.functional.precision import at_least_float32
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weighted_reduce


def chroma_loss(pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None = None,
                balance: float = 1.0, reduction: str = 'mean') -> torch.Tensor:
    """Return the chroma loss. Arguments as in :class:`ChromaLoss`; reduction 'mean', 'sample' (N,) or 'none'."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    a, b = chroma(pred), chroma(target)
    error = (a - b).abs()
    if weight is not None and weight.ndim == 4:
        weight = weight.mean(dim=1, keepdim=True)
    elif weight is not None:
        weight = weight.view(-1, 1, 1, 1)
    one = 1 if weight is None else weight

    def amount(x):  # mean length of the chroma vector of each image
        return ((x.square().sum(dim=1, keepdim=True) + 1e-6).sqrt() * one).mean(dim=(1, 2, 3), keepdim=True)
    return weighted_reduce(error, weight, reduction) + balance * weighted_reduce((amount(a) - amount(b)).abs(), None,
                                                                                 reduction)


@MODELS.register_module()
class ChromaLoss(nn.Module):
    """loss_weight * (mean(w |C_p - C_t|) + balance * mean_n |m(C_p) - m(C_t)|) with the chroma C = (Cb, Cr).

    The second term compares m, the mean length of an image's chroma vectors. Where colours are uncertain, the least
    absolute error is grey; the second term says that a picture as colourful as the truth is better. Cb and Cr are
    those of Rec. 601 in [-0.5, 0.5]. Computed in float32.

    Args:
        balance (float): Weight of the second term.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred (Tensor): (N, 3, H, W), RGB in [0, 1].
        target (Tensor): The same shape and range.
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, 3, H, W).

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> grey = torch.full((1, 3, 2, 2), 0.5)
        >>> ChromaLoss()(grey, grey + 0.25)
        tensor(0.)
    """

    def __init__(self, balance: float = 1.0, loss_weight: float = 1.0):
        super().__init__()
        self.balance, self.loss_weight = balance, loss_weight

    def forward(self, pred, target, weight=None):
        return self.loss_weight * chroma_loss(pred, target, weight, self.balance)

    def extra_repr(self):
        return f'balance={self.balance}, loss_weight={self.loss_weight}'
