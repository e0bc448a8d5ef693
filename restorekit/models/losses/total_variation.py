"""Total variation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.functional.precision import at_least_float32
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weighted_reduce


def tv_loss(image: Tensor, weight: Tensor | None = None, reduction: str = 'mean') -> Tensor:
    """Return the mean of w (|d_x image| + |d_y image|), forward differences, zero at the last row and column.

    Args:
        image (Tensor): (N, C, H, W).
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, C, H, W).
        reduction (str): 'mean', 'sample' or 'none'.

    Example:
        >>> import torch
        >>> tv_loss(torch.tensor([[[[0.0, 2.0], [0.0, 2.0]]]])).item()
        1.0
    """
    image = at_least_float32(image)
    x = F.pad((image[..., 1:] - image[..., :-1]).abs(), (0, 1))
    y = F.pad((image[..., 1:, :] - image[..., :-1, :]).abs(), (0, 0, 0, 1))
    return weighted_reduce(x + y, weight, reduction)


@MODELS.register_module()
class TVLoss(nn.Module):
    """Total variation of the prediction: loss_weight * mean(w (|d_x pred| + |d_y pred|)), anisotropic.

    Rudin, Osher and Fatemi, "Nonlinear total variation based noise removal algorithms", 1992. The target is ignored.

    Args:
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`.

    Example:
        >>> import torch
        >>> flat = torch.full((1, 3, 4, 4), 0.5)
        >>> TVLoss()(flat, flat).item()
        0.0
    """

    compares = False

    def __init__(self, loss_weight: float = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        check_loss_inputs(pred, target, weight)
        return self.loss_weight * tv_loss(pred, weight)
