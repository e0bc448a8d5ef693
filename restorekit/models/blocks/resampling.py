"""Convolutions that keep, halve or double the size of a map."""

from __future__ import annotations

from torch import nn


def reflect_conv(in_channels: int, out_channels: int, kernel_size: int = 3) -> nn.Conv2d:
    """Return a convolution with reflection padding that keeps the size.

    Example:
        >>> reflect_conv(3, 8).padding_mode
        'reflect'
    """
    return nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, padding_mode='reflect')


def downsample(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 2x2 convolution of stride 2: each output pixel sees a square of four.

    Example:
        >>> downsample(8, 16).stride
        (2, 2)
    """
    return nn.Conv2d(in_channels, out_channels, 2, stride=2)


def upsample(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return a 1x1 convolution to four times ``out_channels``, shuffled to twice the size.

    Example:
        >>> import torch
        >>> tuple(upsample(8, 4)(torch.rand(1, 8, 3, 3)).shape)
        (1, 4, 6, 6)
    """
    return nn.Sequential(nn.Conv2d(in_channels, 4 * out_channels, 1), nn.PixelShuffle(2))
