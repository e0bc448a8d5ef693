"""Losses on edges: differences of neighbouring pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.functional.precision import at_least_float32, no_autocast
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weighted_reduce

SOBEL = ((-1 / 8, 0, 1 / 8), (-2 / 8, 0, 2 / 8), (-1 / 8, 0, 1 / 8))
LAPLACE = ((0, 1, 0), (1, -4, 1), (0, 1, 0))
KERNELS = dict(sobel=(SOBEL, tuple(zip(*SOBEL, strict=True))), laplacian=(LAPLACE,))


def edges(image: Tensor, operator: str = 'sobel') -> Tensor:
    """Return the edges of an image (N, C, H, W): (N, K C, H, W), K = 2 for 'sobel' (along x, along y), else 1.

    The Sobel kernels are divided by 8, so that a ramp of slope 1 gives 1; borders are repeated.

    Example:
        >>> ramp = torch.arange(5.0).expand(1, 1, 5, 5)
        >>> edges(ramp)[0, :, 2, 2].tolist()
        [1.0, 0.0]
    """
    kernels = image.new_tensor(KERNELS[operator])
    channels = image.shape[1]
    padded = F.pad(image, (1, 1, 1, 1), mode='replicate')
    with no_autocast(image):
        maps = [F.conv2d(padded, kernel.expand(channels, 1, 3, 3), groups=channels) for kernel in kernels]
    return torch.cat(maps, dim=1)


def edge_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, operator: str = 'sobel',
              eps: float = 0.0, reduction: str = 'mean') -> Tensor:
    """Return the mean of w sqrt((E(pred) - E(target))^2 + eps^2). Arguments as in :class:`EdgeLoss`."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    difference = edges(pred - target, operator)
    error = torch.sqrt(difference.square() + eps ** 2) if eps else difference.abs()
    if weight is not None and weight.ndim == 4 and weight.shape[1] > 1:
        weight = weight.repeat(1, error.shape[1] // weight.shape[1], 1, 1)
    return weighted_reduce(error, weight, reduction)


@MODELS.register_module()
class EdgeLoss(nn.Module):
    """loss_weight * mean(w |E(pred) - E(target)|) with the edges E of each channel.

    With 'laplacian' and ``eps=1e-3`` it is the edge loss of MPRNet (Zamir et al., CVPR 2021) at one scale.

    Args:
        operator (str): 'sobel' (two directions) or 'laplacian'.
        eps (float): Above 0, the Charbonnier penalty sqrt(x^2 + eps^2) instead of |x|.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`; a pixel's weight multiplies the edge at that pixel.

    Raises:
        InputError: For another operator.

    Example:
        >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
        >>> EdgeLoss('laplacian')(ramp, torch.zeros_like(ramp)).item()  # only the two border columns bend
        0.5
    """

    def __init__(self, operator: str = 'sobel', eps: float = 0.0, loss_weight: float = 1.0):
        super().__init__()
        if operator not in KERNELS:
            raise InputError(f"EdgeLoss: operator must be 'sobel' or 'laplacian', but got {operator!r}")
        self.operator, self.eps, self.loss_weight = operator, eps, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.loss_weight * edge_loss(pred, target, weight, self.operator, self.eps)
