"""Restormer: attention among channels at four scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restorekit.models.blocks import shuffle_down, shuffle_up, transformer_stage
from restorekit.models.blocks.transformer import PUBLISHED_NAMES
from restorekit.registry import MODELS

from .base import FeatureNetwork


class TransformerUNet(FeatureNetwork):
    """The way down of Restormer and of what is built on it: transformer blocks at four scales.

    Args:
        channels (int): Channels at full size; doubled at each of three smaller ones.
        blocks (Sequence[int]): Blocks per level.
        heads (Sequence[int]): Heads per level.
        init_cfg (dict, optional): MMEngine's initialisation config.
    """

    size_divisor = 8
    min_size = 16  # two pixels at the deepest scale: torch.export takes a side of one for a constant
    weights_licence = 'non-commercial (Academic Public Licence)'
    published_names = (
        (r'^patch_embed\.proj\.', 'stem.'), (r'^output\.', 'head.'),
        *((rf'^encoder_level{i + 1}\.', f'encoder.{i}.') for i in range(3)), (r'^latent\.', 'encoder.3.'),
        *((rf'^decoder_level{i + 1}\.', f'decoder.{i}.') for i in range(3)),
        *((rf'^down{i + 1}_{i + 2}\.body\.', f'downs.{i}.') for i in range(3)),
        *((rf'^up{i + 2}_{i + 1}\.body\.', f'ups.{i}.') for i in range(3)),
        *((rf'^reduce_chan_level{i + 2}\.', f'joins.{i}.') for i in range(2)), *PUBLISHED_NAMES)

    def __init__(self, channels: int, blocks: Sequence[int], heads: Sequence[int], init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.widths = [channels * 2 ** i for i in range(4)]
        self.stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(
            transformer_stage(*level) for level in zip(self.widths, blocks, heads, strict=True))
        self.downs = nn.ModuleList(shuffle_down(width) for width in self.widths[:3])
        self.embedding_dim = self.widths[3]

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        features, skips = self.stem(x), []
        for level, down in zip(self.encoder, self.downs, strict=False):
            skips.append(level(features))
            features = down(skips[-1])
        return self.encoder[3](features), *skips


@MODELS.register_module()
class Restormer(TransformerUNet):
    """Restormer: a U-Net of transformer blocks whose attention is among channels, so that its cost is linear in pixels.

    Zamir et al., "Restormer: Efficient transformer for high-resolution image restoration", CVPR 2022, the form with
    one output in RGB. Output ``x + head(features)``, in [0, 1] like the input. Attention looks at the whole image.

    Args:
        channels (int): Channels at full size; doubled at each of three smaller ones.
        blocks (Sequence[int]): Blocks per level.
        refinement_blocks (int): Blocks after the decoder.
        heads (Sequence[int]): Heads per level.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> network = Restormer(channels=8, blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 1, 1))
        >>> tuple(network(torch.rand(1, 3, 16, 24)).shape)
        (1, 3, 16, 24)
    """

    def __init__(self, channels: int = 48, blocks: Sequence[int] = (4, 6, 6, 8), refinement_blocks: int = 4,
                 heads: Sequence[int] = (1, 2, 4, 8), init_cfg: dict | None = None):
        super().__init__(channels, blocks, heads, init_cfg)
        widths = self.widths
        self.ups = nn.ModuleList(shuffle_up(width) for width in widths[1:])
        self.joins = nn.ModuleList(nn.Conv2d(2 * width, width, 1, bias=False) for width in widths[1:3])
        # at full size nothing is reduced after the concatenation: twice the channels
        self.decoder = nn.ModuleList(
            transformer_stage(*level) for level in zip((widths[1], *widths[1:3]), blocks[:3], heads[:3], strict=True))
        self.refinement = transformer_stage(widths[1], refinement_blocks, heads[0])
        self.head = nn.Conv2d(widths[1], 3, 3, padding=1, bias=False)

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        features = embedding
        for i in (2, 1, 0):
            features = torch.cat([self.ups[i](features), skips[i]], dim=1)
            features = self.decoder[i](self.joins[i - 1](features) if i else features)
        return self.head(self.refinement(features)) + x
