"""Blocks of Restormer, which all-in-one networks share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .gates import GatedFeedForward
from .norm import LayerNorm2d


class TransposedAttention(nn.Module):
    """Multi-head attention among channels instead of pixels (Restormer, Zamir et al., CVPR 2022); linear in pixels."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.depthwise(self.qkv(x)).unflatten(1, (3, self.heads, -1)).flatten(4).unbind(1)
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * self.temperature
        return self.project((scores.softmax(-1) @ v).flatten(1, 2).unflatten(2, x.shape[-2:]))


class TransformerBlock(nn.Module):
    """``x + attention(norm(x))``, then ``x + feed_forward(norm(x))``."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(channels), LayerNorm2d(channels)
        self.attention, self.feed_forward = TransposedAttention(channels, heads), GatedFeedForward(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


def transformer_stage(channels: int, blocks: int, heads: int) -> nn.Sequential:
    """Return ``blocks`` transformer blocks in a row."""
    return nn.Sequential(*(TransformerBlock(channels, heads) for _ in range(blocks)))


def shuffle_down(channels: int) -> nn.Sequential:
    """Return a 3x3 convolution to half the channels, unshuffled to half the size and twice the channels."""
    return nn.Sequential(nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2))


def shuffle_up(channels: int) -> nn.Sequential:
    """Return a 3x3 convolution to twice the channels, shuffled to twice the size and half the channels."""
    return nn.Sequential(nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False), nn.PixelShuffle(2))


#: From the names of Restormer's code to those of :class:`TransformerBlock`.
PUBLISHED_NAMES = (
    (r'\.norm(\d)\.body\.', r'.norm\1.'), (r'\.attn\.qkv_dwconv\.', '.attention.depthwise.'),
    (r'\.attn\.project_out\.', '.attention.project.'), (r'\.attn\.', '.attention.'),
    (r'\.ffn\.project_in\.', '.feed_forward.expand.'), (r'\.ffn\.dwconv\.', '.feed_forward.depthwise.'),
    (r'\.ffn\.project_out\.', '.feed_forward.project.'))
