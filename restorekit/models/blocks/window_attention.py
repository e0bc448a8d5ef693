"""Self-attention inside square windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def split_windows(x: Tensor, side: int) -> Tensor:
    """Cut a map (N, C, H, W) into windows: (N * windows, side * side, C). H and W are multiples of ``side``.

    Example:
        >>> tuple(split_windows(torch.rand(2, 3, 8, 16), 8).shape)
        (4, 64, 3)
    """
    x = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # N, C, rows, side, columns, side
    return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4).flatten(0, 2)


def merge_windows(windows: Tensor, side: int, height: int, width: int) -> Tensor:
    """Join what :func:`split_windows` made to the map (N, C, height, width).

    Example:
        >>> x = torch.rand(2, 3, 8, 16)
        >>> bool((merge_windows(split_windows(x, 8), 8, 8, 16) == x).all())
        True
    """
    x = windows.reshape(-1, height // side, width // side, side, side, windows.shape[-1])
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class LogPositionAttention(nn.Module):
    """Multi-head attention among the pixels of a window, with a learned bias of their log-spaced relative position.

    ``softmax(q k^T / sqrt(d) + b) v``; b is a two-layer network of ``sign(p) log(1 + |p|)`` of the offset p of two
    pixels (Liu et al., Swin Transformer V2, CVPR 2022), with 256 hidden units.

    Args:
        channels (int): Channels of v.
        side (int): Side of a window in pixels.
        heads (int): Number of heads; must divide ``channels``.

    Forward:
        qkv (Tensor): (windows, side * side, 3 * channels): queries, keys and values.

    Example:
        >>> tuple(LogPositionAttention(8, 4, 2)(torch.rand(5, 16, 24)).shape)
        (5, 16, 8)
    """

    def __init__(self, channels: int, side: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        steps = torch.arange(side)
        places = torch.cartesian_prod(steps, steps)
        offsets = (places[:, None] - places[None]).float()
        self.register_buffer('offsets', offsets.sign() * offsets.abs().log1p())
        self.bias = nn.Sequential(nn.Linear(2, 256), nn.ReLU(), nn.Linear(256, heads))

    def forward(self, qkv: Tensor) -> Tensor:
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        scores = (q * self.scale) @ k.mT + self.bias(self.offsets).permute(2, 0, 1)
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
