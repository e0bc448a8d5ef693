"""DEA-Net: detail-enhanced convolutions and content-guided attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.blocks import reflect_conv
from restorekit.registry import MODELS

from .base import FeatureNetwork


class DetailConv(nn.Module):
    """Five parallel 3x3 convolutions, four of them of differences of pixels, computed as one.

    Plain, central difference, angular difference, horizontal and vertical difference. Each is linear, so that one
    3x3 kernel, made of the five, gives their sum (:meth:`fused`).
    """

    # neighbours of a 3x3 kernel in rows, turned by one place around the centre
    _TURNED = (3, 0, 1, 6, 4, 2, 7, 8, 5)

    def __init__(self, channels: int):
        super().__init__()
        self.central, self.angular, self.plain = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.horizontal, self.vertical = (nn.Conv1d(channels, channels, 3, padding=1) for _ in range(2))

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Return weight (C, C, 3, 3) and bias (C,) of the equivalent convolution."""
        central, angular = self.central.weight, self.angular.weight.flatten(2)
        centre = F.pad(central.sum((2, 3))[..., None, None], (1, 1, 1, 1))
        turned = (angular - angular[..., self._TURNED]).view_as(central)
        row, column = self.horizontal.weight, self.vertical.weight
        horizontal = torch.stack([row, torch.zeros_like(row), -row], dim=3)
        vertical = torch.stack([column, torch.zeros_like(column), -column], dim=2)
        weight = central - centre + horizontal + vertical + turned + self.plain.weight
        parts = (self.central, self.horizontal, self.vertical, self.angular, self.plain)
        return weight, sum(part.bias for part in parts)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.kernel(), padding=1)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """Return the equivalent plain convolution."""
        weight, bias = self.kernel()
        conv = nn.Conv2d(*weight.shape[1::-1], 3, padding=1, device=weight.device, dtype=weight.dtype)
        conv.weight.copy_(weight)
        conv.bias.copy_(bias)
        return conv


class ContentAttention(nn.Module):
    """A gate in (0, 1) for every value of a map, from its own content guided by channel and spatial attention."""

    def __init__(self, channels: int, reduction: int = 8):
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.spatial = reflect_conv(2, 1, 7)
        self.channel = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1))
        self.pixel = nn.Conv2d(2 * channels, channels, 7, padding=3, groups=channels, padding_mode='reflect')

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1))
        coarse = coarse + self.channel(x.mean((2, 3), keepdim=True))
        return self.pixel(torch.stack([x, coarse], dim=2).flatten(1, 2)).sigmoid()  # a channel beside its guide


class DetailBlock(nn.Module):
    """``x + conv(relu(detail(x)) + x)``, the second term gated by :class:`ContentAttention` where ``attention``."""

    def __init__(self, channels: int, attention: bool):
        super().__init__()
        self.detail, self.conv = DetailConv(channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.attention = ContentAttention(channels) if attention else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(F.relu(self.detail(x)) + x)
        return x + (out if self.attention is None else out * self.attention(out))


class ContentFusion(nn.Module):
    """Mix two maps by a gate from their sum: ``conv(x + y + g x + (1 - g) y)``."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.attention, self.conv = ContentAttention(channels, reduction), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # the authors' code takes the sigmoid of a gate that has already passed one, and its weights were trained so
        gate = self.attention(x + y).sigmoid()
        return self.conv(x + y + gate * x + (1 - gate) * y)


def _level(channels, blocks, attention=False):
    return nn.Sequential(*(DetailBlock(channels, attention) for _ in range(blocks)))


@MODELS.register_module()
class DEANet(FeatureNetwork):
    """DEA-Net: a U-Net of three scales with detail-enhanced convolutions and content-guided attention.

    Chen et al., "DEA-Net: Single image dehazing based on detail-enhanced convolution and content-guided attention",
    TIP 2024. Each detail-enhanced convolution is five in training and can be fused to one, with equal outputs, by
    :meth:`fuse`; ``fused=True`` builds that form, which the authors' published files hold. Input and output in [0, 1].
    Channel attention looks at the whole image.

    Args:
        channels (int): Channels at full size; doubled at each of two smaller ones.
        fused (bool): Build plain convolutions instead of the detail-enhanced ones.
        blocks (Sequence[int]): Blocks at full, half and quarter size.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> network, x = DEANet(channels=8, blocks=(1, 1, 1)).eval(), torch.rand(1, 3, 16, 16)
        >>> before = network(x)
        >>> bool(torch.allclose(network.fuse()(x), before, atol=1e-5))
        True
    """

    size_divisor = 4
    min_size = 16  # four pixels at the smallest size, for the reflection of 7x7 kernels
    weights_licence = 'not stated'
    published_names = (
        (r'^down1\.0\.', 'stem.'), (r'^up3\.0\.', 'head.'), (r'^down2\.0\.', 'downs.0.'), (r'^down3\.0\.', 'downs.1.'),
        (r'^up1\.0\.', 'ups.1.'), (r'^up2\.0\.', 'ups.0.'),
        (r'^fe_level_2\.', 'enter.0.'), (r'^fe_level_3\.', 'enter.1.'),
        (r'^mix1\.', 'mixes.1.'), (r'^mix2\.', 'mixes.0.'),
        *((rf'^{way}_level{level + 1}_block{i + 1}\.', f'{way}_levels.{level}.{i}.')
          for way in ('down', 'up') for level in range(2) for i in range(4)),
        *((rf'^level3_block{i + 1}\.', f'down_levels.2.{i}.') for i in range(8)),
        *((rf'\.conv1\.conv1_{i + 1}\.(?:conv\.)?', f'.detail.{name}.')
          for i, name in enumerate(('central', 'horizontal', 'vertical', 'angular', 'plain'))),
        (r'\.conv1\.', '.detail.'), (r'\.conv2\.', '.conv.'),
        (r'\.sa\.sa\.', '.attention.spatial.'), (r'\.ca\.ca\.', '.attention.channel.'),
        (r'\.pa\.pa2\.', '.attention.pixel.'))

    def __init__(self, channels: int = 32, fused: bool = False, blocks: tuple[int, int, int] = (4, 4, 8),
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        widths = [channels, 2 * channels, 4 * channels]
        self.stem, self.head = nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, 3, 3, padding=1)
        self.downs, self.ups, self.enter = (nn.ModuleList() for _ in range(3))
        for shallow, deep in zip(widths, widths[1:], strict=False):
            self.downs.append(nn.Conv2d(shallow, deep, 3, stride=2, padding=1))
            self.enter.append(nn.Conv2d(deep, deep, 3, padding=1))
            self.ups.append(nn.ConvTranspose2d(deep, shallow, 3, stride=2, padding=1, output_padding=1))
        self.down_levels = nn.ModuleList([_level(widths[0], blocks[0]), _level(widths[1], blocks[1]),
                                          _level(widths[2], blocks[2], attention=True)])
        self.up_levels = nn.ModuleList([_level(widths[0], blocks[0]), _level(widths[1], blocks[1])])
        self.mixes = nn.ModuleList([ContentFusion(widths[1], 4), ContentFusion(widths[2], 8)])
        self.embedding_dim = widths[2]
        if fused:
            self.fuse()

    def fuse(self) -> DEANet:
        """Replace every detail-enhanced convolution by the plain one that equals it, in place; returns the network."""
        for block in self.modules():
            if isinstance(block, DetailBlock) and isinstance(block.detail, DetailConv):
                block.detail = block.detail.fused()
        return self

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        full = self.down_levels[0](self.stem(x))
        half = F.relu(self.downs[0](full))
        quarter = F.relu(self.downs[1](self.down_levels[1](self.enter[0](half))))
        deep = self.down_levels[2](self.enter[1](quarter))
        return self.mixes[1](quarter, deep), half

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        features = self.up_levels[1](F.relu(self.ups[1](embedding)))
        features = F.relu(self.ups[0](self.mixes[0](skips[0], features)))
        return self.head(self.up_levels[0](features))
