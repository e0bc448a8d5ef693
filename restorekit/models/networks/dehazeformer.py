"""DehazeFormer: window attention adapted to dehazing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.messages import InputError
from restorekit.models.blocks import (
    LogPositionAttention,
    SKFusion,
    downsample,
    init_deep,
    merge_windows,
    reflect_conv,
    split_windows,
    upsample,
)
from restorekit.registry import MODELS

from .base import FeatureNetwork

WINDOW = 8


class RescaleNorm(nn.Module):
    """Normalise each image over all its values, and return with it the scale and shift that give mean and size back.

    ``y = (x - m) / s * weight + bias``; the block's output is multiplied by a linear function of s and shifted by one
    of m, so that brightness is not lost (Song et al., TIP 2023).
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.scale, self.shift = nn.Conv2d(1, channels, 1), nn.Conv2d(1, channels, 1)
        for conv, start in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.trunc_normal_(conv.weight, std=0.02)
            nn.init.constant_(conv.bias, start)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = x.mean((1, 2, 3), keepdim=True)
        std = torch.sqrt((x - mean).square().mean((1, 2, 3), keepdim=True) + self.eps)
        return (x - mean) / std * self.weight + self.bias, self.scale(std), self.shift(mean)


class Mixer(nn.Module):
    """Depthwise 5x5 convolution of the values, plus, with ``heads``, attention in (shifted) windows."""

    def __init__(self, channels: int, heads: int | None, shift: int):
        super().__init__()
        self.shift = shift
        self.value, self.project = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.conv = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, padding_mode='reflect')
        if heads:
            self.query_key = nn.Conv2d(channels, 2 * channels, 1)
            self.attention = LogPositionAttention(channels, WINDOW, heads)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        value = self.value(x)
        out = self.conv(value)
        if self.heads:
            out = out + self._attend(torch.cat([self.query_key(x), value], dim=1))
        return self.project(out)

    def _attend(self, qkv: Tensor) -> Tensor:
        height, width = qkv.shape[-2:]
        # a shifted grid of windows starts outside the image; what is outside is reflected, not wrapped around
        right, bottom = (-(size + self.shift) % WINDOW for size in (width, height))
        qkv = F.pad(qkv, (self.shift, right, self.shift, bottom), mode='reflect')
        out = self.attention(split_windows(qkv, WINDOW))
        out = merge_windows(out, WINDOW, *qkv.shape[-2:])
        return out[..., self.shift:self.shift + height, self.shift:self.shift + width]


class FormerBlock(nn.Module):
    """``x + mixer(x)``, normalised and rescaled around the mixer where it has attention, then ``x + mlp(x)``."""

    def __init__(self, channels: int, expansion: float, heads: int | None, shift: int):
        super().__init__()
        self.norm = RescaleNorm(channels) if heads else None
        self.mixer = Mixer(channels, heads, shift)
        self.mlp = nn.Sequential(nn.Conv2d(channels, int(channels * expansion), 1), nn.ReLU(),
                                 nn.Conv2d(int(channels * expansion), channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.norm is None:
            x = x + self.mixer(x)
        else:
            normed, scale, shift = self.norm(x)
            x = x + self.mixer(normed) * scale + shift
        return x + self.mlp(x)


@MODELS.register_module()
class DehazeFormer(FeatureNetwork):
    """DehazeFormer: a U-Net of depthwise convolutions and shifted windows of attention.

    Song et al., "Vision transformers for single image dehazing", TIP 2023. The head predicts a gain K of one channel
    and a bias B of three: ``J = K x - B + x``, in [-1, 1]. In stage i the last ``attention[i]`` of the blocks attend;
    every second block's windows are shifted by half a window, and what lies outside is reflected. T, S and B differ in
    ``depths`` and ``attention``. The norm and the fusion look at the whole image.

    Args:
        depths (Sequence[int]): Blocks of the five stages.
        channels (Sequence[int]): Channels of the three levels.
        heads (Sequence[int]): Heads of attention of the five stages.
        attention (Sequence[float]): Share of each stage's blocks that attend, the last ones.
        expansions (Sequence[float]): Hidden channels of each stage's MLPs over its channels.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If the lists are not of length five (three for ``channels``).

    Example:
        >>> network = DehazeFormer(depths=(1, 1, 1, 1, 1), channels=(8, 8, 8), heads=(1, 1, 1, 1, 1))
        >>> tuple(network(torch.rand(1, 3, 32, 32)).shape)
        (1, 3, 32, 32)
    """

    input_range = (-1.0, 1.0)
    output_range = (-1.0, 1.0)
    size_divisor = 4
    min_size = 4 * WINDOW
    weights_licence = 'MIT'
    published_names = (
        (r'^patch_embed\.proj\.', 'stem.'), (r'^patch_unembed\.proj\.0\.', 'head.'),
        (r'^patch_merge1\.proj\.', 'downs.0.'), (r'^patch_merge2\.proj\.', 'downs.1.'),
        (r'^patch_split1\.proj\.', 'ups.1.'), (r'^patch_split2\.proj\.', 'ups.0.'),
        (r'^skip1\.', 'skips.0.'), (r'^skip2\.', 'skips.1.'),
        (r'^fusion1\.mlp\.0\.', 'fusions.1.reduce.'), (r'^fusion1\.mlp\.2\.', 'fusions.1.expand.'),
        (r'^fusion2\.mlp\.0\.', 'fusions.0.reduce.'), (r'^fusion2\.mlp\.2\.', 'fusions.0.expand.'),
        *((rf'^layer{i + 1}\.blocks\.', f'stages.{i}.') for i in range(5)),
        (r'\.norm1\.meta1\.', '.norm.scale.'), (r'\.norm1\.meta2\.', '.norm.shift.'), (r'\.norm1\.', '.norm.'),
        (r'\.attn\.V\.', '.mixer.value.'), (r'\.attn\.QK\.', '.mixer.query_key.'),
        (r'\.attn\.proj\.', '.mixer.project.'), (r'\.attn\.conv\.', '.mixer.conv.'),
        (r'\.attn\.attn\.meta\.', '.mixer.attention.bias.'),
        (r'\.attn\.attn\.relative_positions$', '.mixer.attention.offsets'), (r'\.mlp\.mlp\.', '.mlp.'))

    def __init__(self, depths: Sequence[int] = (4, 4, 4, 2, 2), channels: Sequence[int] = (24, 48, 96),
                 heads: Sequence[int] = (2, 4, 6, 1, 1), attention: Sequence[float] = (0, 0.5, 1, 0, 0),
                 expansions: Sequence[float] = (2, 4, 4, 2, 2), init_cfg: dict | None = None):
        super().__init__(init_cfg)
        lengths = [len(values) for values in (channels, depths, heads, attention, expansions)]
        if lengths != [3, 5, 5, 5, 5]:
            raise InputError('DehazeFormer has three levels of channels and five stages of depths, heads, attention '
                             f'and expansions, but got lists of lengths {lengths}')
        self.stem = reflect_conv(3, channels[0])
        self.stages = nn.ModuleList()
        for stage, level in enumerate((0, 1, 2, 1, 0)):
            first = depths[stage] - attention[stage] * depths[stage]
            self.stages.append(nn.Sequential(*(
                FormerBlock(channels[level], expansions[stage], heads[stage] if i >= first else None,
                            i % 2 * WINDOW // 2) for i in range(depths[stage]))))
        for name, part in self.stages.named_modules():
            if name.endswith(('.mixer', '.mlp')):
                init_deep(part, sum(depths))
            if name.endswith('.query_key'):
                init_deep(part, 1 / 8)  # what the softmax sees is not added up: no gain
        self.downs, self.ups, self.skips, self.fusions = (nn.ModuleList() for _ in range(4))
        for shallow, deep in zip(channels[:2], channels[1:], strict=True):
            self.downs.append(downsample(shallow, deep))
            self.ups.append(upsample(deep, shallow))
            self.skips.append(nn.Conv2d(shallow, shallow, 1))
            self.fusions.append(SKFusion(shallow))
        self.head = reflect_conv(channels[0], 4)
        self.embedding_dim = channels[2]

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        first = self.stages[0](self.stem(x))
        second = self.stages[1](self.downs[0](first))
        return self.stages[2](self.downs[1](second)), self.skips[0](first), self.skips[1](second)

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        features = embedding
        for level in (1, 0):
            features = self.ups[level](features)
            features = self.fusions[level](features, skips[level]) + features
            features = self.stages[4 - level](features)
        gain, bias = self.head(features).split((1, 3), dim=1)
        return gain * x - bias + x
