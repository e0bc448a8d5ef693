"""Initialisation of deep residual networks."""

from __future__ import annotations

import math

from torch import nn


def init_deep(module: nn.Module, depth: float) -> None:
    """Draw the convolutions of a residual branch so that the sum of ``depth`` branches keeps its variance.

    Normal draws, cut at 2, of standard deviation ``(8 depth)^(-1/4) sqrt(2 / (fan_in + fan_out))`` and no bias, as
    DehazeFormer and gUNet do (Song et al., TIP 2023).

    Args:
        module (nn.Module): Its 2-D convolutions are drawn.
        depth (float): Number of blocks of the network; 1 / 8 means no gain.

    Example:
        >>> conv = nn.Conv2d(8, 8, 1)
        >>> init_deep(conv, 4)
        >>> bool((conv.bias == 0).all())
        True
    """
    gain = (8 * depth) ** -0.25
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(conv.weight)
            nn.init.trunc_normal_(conv.weight, std=gain * math.sqrt(2 / (fan_in + fan_out)))
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
