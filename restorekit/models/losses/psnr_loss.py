"""PSNR as a loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorekit.registry import MODELS

from .pixel import mse_loss


def psnr_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, eps: float = 1e-8) -> Tensor:
    """Return the mean over images of w 10 log10((mse + eps) / eps). Arguments as in :class:`PSNRLoss`."""
    pixels = weight if weight is not None and weight.ndim == 4 else None
    decibels = 10 * torch.log10(mse_loss(pred, target, pixels, reduction='sample') / eps + 1)
    return (decibels if weight is None or weight.ndim == 4 else decibels * weight).mean()


@MODELS.register_module()
class PSNRLoss(nn.Module):
    """loss_weight * mean_n w_n 10 log10((mse_n + eps) / eps): the decibels that an image lacks to ``-10 log10(eps)``.

    The same gradient as minus the PSNR, and not negative: with eps = 1e-8, an image of 30 dB has a loss of 50. Used by
    HINet and NAFNet (Chen et al., ECCV 2022). A weight per pixel multiplies the squared error.

    Args:
        eps (float): Squared error under which nothing is gained.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`, in [0, 1].

    Example:
        >>> round(PSNRLoss()(torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.1)).item(), 3)  # 20 dB
        60.0
    """

    def __init__(self, eps: float = 1e-8, loss_weight: float = 1.0):
        super().__init__()
        self.eps, self.loss_weight = eps, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.loss_weight * psnr_loss(pred, target, weight, self.eps)
