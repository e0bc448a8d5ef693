"""Normalisation layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Normalise the channels of each pixel of a map (N, C, H, W), then scale and shift them.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias`` with the moments over C (Ba et al., Layer normalization, 2016).

    Args:
        channels (int): C.
        eps (float): Added to the variance.

    Example:
        >>> y = LayerNorm2d(8)(torch.rand(1, 8, 4, 4))
        >>> bool(y.mean(1).abs().max() < 1e-5)
        True
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).square().mean(1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + self.eps) * self.weight[:, None, None] + self.bias[:, None, None]
