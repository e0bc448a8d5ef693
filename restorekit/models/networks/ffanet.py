"""FFA-Net: feature attention at full resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restorekit.models.blocks import DehazeBlock, PixelAttention
from restorekit.registry import MODELS

from .base import FeatureNetwork


@MODELS.register_module()
class FFANet(FeatureNetwork):
    """FFA-Net: three groups of attention blocks at full resolution, mixed by channel weights.

    Qin et al., "FFA-Net: Feature fusion attention network for single image dehazing", AAAI 2020. The authors shift and
    scale the input per channel before the network, and the image that is added at the end is that shifted one; both
    happen in here, so that the input is in [0, 1] like the output. Channel attention looks at the whole image.

    Args:
        groups (int): Number of groups.
        blocks (int): Attention blocks per group; 19 in the paper.
        channels (int): Channels throughout.
        mean (Sequence[float]): Subtracted from the input, per channel.
        std (Sequence[float]): Divides the input after that.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> tuple(FFANet(blocks=1, channels=16)(torch.rand(1, 3, 17, 20)).shape)
        (1, 3, 17, 20)
    """

    weights_licence = 'not stated'
    published_names = (
        (r'^pre\.0\.', 'pre.'), *((rf'^g{i + 1}\.gp\.', f'groups.{i}.') for i in range(3)),
        (r'\.calayer\.ca\.', '.channel_attention.gate.'), (r'(^|\.)palayer\.pa\.', r'\1pixel_attention.gate.'),
        (r'^ca\.1\.', 'mix.0.'), (r'^ca\.3\.', 'mix.2.'))

    def __init__(self, groups: int = 3, blocks: int = 19, channels: int = 64,
                 mean: Sequence[float] = (0.64, 0.6, 0.58), std: Sequence[float] = (0.14, 0.15, 0.152),
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)
        self.pre = nn.Conv2d(3, channels, 3, padding=1)
        self.groups = nn.ModuleList(
            nn.Sequential(*(DehazeBlock(channels) for _ in range(blocks)), nn.Conv2d(channels, channels, 3, padding=1))
            for _ in range(groups))
        hidden = max(channels // 16, 1)
        self.mix = nn.Sequential(nn.Conv2d(groups * channels, hidden, 1), nn.ReLU(),
                                 nn.Conv2d(hidden, groups * channels, 1), nn.Sigmoid())
        self.pixel_attention = PixelAttention(channels)
        self.post = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, 3, 3, padding=1))
        self.embedding_dim = channels

    def encode(self, x: Tensor) -> tuple[Tensor]:
        features, maps = self.pre((x - self.mean) / self.std), []
        for group in self.groups:
            features = group(features) + features
            maps.append(features)
        maps = torch.cat(maps, dim=1)
        mixed = maps * self.mix(maps.mean((2, 3), keepdim=True))
        return (mixed.unflatten(1, (len(self.groups), -1)).sum(1),)

    def decode(self, x: Tensor, embedding: Tensor) -> Tensor:
        return self.post(self.pixel_attention(embedding)) + (x - self.mean) / self.std
