"""Residual blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ResidualDenseBlock(nn.Module):
    """Dense 3x3 convolutions, each on all maps before it, joined by a 1x1 convolution, plus the input.

    Zhang et al., Residual dense network for image super-resolution, CVPR 2018.

    Args:
        channels (int): Channels in and out.
        growth (int): Channels that each convolution adds.
        layers (int): Number of 3x3 convolutions.

    Example:
        >>> tuple(ResidualDenseBlock(8)(torch.rand(1, 8, 6, 6)).shape)
        (1, 8, 6, 6)
    """

    def __init__(self, channels: int, growth: int = 16, layers: int = 4):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels + i * growth, growth, 3, padding=1) for i in range(layers))
        self.join = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = x
        for conv in self.convs:
            maps = torch.cat([maps, conv(maps).relu()], dim=1)
        return self.join(maps) + x
