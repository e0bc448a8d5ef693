"""Gated convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class GatedConv(nn.Module):
    """``y = project(depthwise(W x) * sigmoid(G x))`` with 1x1 convolutions W, G and project, reflection padded.

    The gated convolution of gUNet (Song et al., Rethinking performance gains in image dehazing networks, 2022).

    Args:
        channels (int): Channels in and out.
        kernel_size (int): Side of the depthwise kernel, odd.

    Example:
        >>> import torch
        >>> tuple(GatedConv(8)(torch.rand(1, 8, 6, 6)).shape)
        (1, 8, 6, 6)
    """

    def __init__(self, channels: int, kernel_size: int = 5):
        super().__init__()
        self.value = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels,
                      padding_mode='reflect'))
        self.gate = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.value(x) * self.gate(x).sigmoid())


class GatedFeedForward(nn.Module):
    """``y = project(gelu(a) * b)``, a and b the halves of a depthwise 3x3 convolution of a 1x1 expansion.

    The gated feed-forward network of Restormer (Zamir et al., CVPR 2022); no bias.

    Args:
        channels (int): Channels in and out.
        expansion (float): Channels of each half over ``channels``; rounded down.

    Example:
        >>> import torch
        >>> tuple(GatedFeedForward(8)(torch.rand(1, 8, 6, 6)).shape)
        (1, 8, 6, 6)
    """

    def __init__(self, channels: int, expansion: float = 2.66):
        super().__init__()
        hidden = 2 * int(channels * expansion)
        self.expand = nn.Conv2d(channels, hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden, bias=False)
        self.project = nn.Conv2d(hidden // 2, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.depthwise(self.expand(x)).chunk(2, dim=1)
        return self.project(F.gelu(a) * b)
