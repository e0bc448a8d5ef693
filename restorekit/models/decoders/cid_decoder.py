"""The decoder of CID, as published."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from restorekit.messages import InputError
from restorekit.models.blocks import DehazeBlock
from restorekit.registry import MODELS

from .base import Decoder, check_feature_maps
from .blocks import PyramidEnhancer


@MODELS.register_module()
class CIDDecoder(Decoder):
    """CID's decoder: attention blocks and pixel shuffling up to full size, then a pooling pyramid.

    The deepest map passes a ``DehazeBlock`` (its output is the embedding), is pixel-shuffled to the stride of the
    next map, passes another block and is concatenated with that map, and so on; it is then shuffled to full size,
    enhanced, and a 7x7 convolution and tanh make the image. The architecture is DW-GAN's (Fu et al., CVPRW 2021)
    as CID uses it. ``image`` is ignored: CID synthesises its output and adds no residual.

    The input is in [-1, 1]. The output is declared in [0, 1] although tanh gives [-1, 1]: the networks of this family
    are trained on targets in [0, 1] (only the input is shifted) and saved without a shift, so that the negative half
    is never wanted and is clipped. Mapping it by (y + 1) / 2 would wash out every image of a published checkpoint.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's maps, shallow to deep; published (256, 512, 1024).
        strides (Sequence[int]): Strides of the maps; ascending powers of two; published (4, 8, 16).
        enhancer_channels (int): Hidden channels of the enhancer.
        pool_sizes (Sequence[int]): Pool sizes of the enhancer's pyramid, in pixels.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        ValueError: If the maps' channels do not divide as the shuffling needs; the message says which by what.

    Example:
        >>> decoder = CIDDecoder(in_channels=(64, 128, 256), strides=(4, 8, 16))
        >>> maps = [torch.rand(1, c, 32 // s, 32 // s) for c, s in zip((64, 128, 256), (4, 8, 16))]
        >>> tuple(decoder(maps, torch.rand(1, 3, 32, 32)).shape)
        (1, 3, 32, 32)
    """

    input_range = (-1.0, 1.0)
    output_range = (0.0, 1.0)

    def __init__(self, in_channels, strides, enhancer_channels=20, pool_sizes=(32, 16, 8, 4), init_cfg=None):
        super().__init__(init_cfg)
        in_channels, strides = check_feature_maps('CIDDecoder', in_channels, strides)
        # how often each map is shuffled by 2 on its way to the next shallower one, deepest first; the last to full size
        ratios = [deep // shallow for deep, shallow in zip(strides[:0:-1], strides[-2::-1], strict=True)]
        self._shuffles = [int(math.log2(ratio)) for ratio in (*ratios, strides[0])]

        self.mid_block = DehazeBlock(in_channels[-1])
        self.attention_blocks = nn.ModuleList()
        channels = in_channels[-1]
        for ratio, skip in zip(ratios, in_channels[-2::-1], strict=True):
            _must_divide(channels, ratio, in_channels, strides)
            channels //= ratio**2
            self.attention_blocks.append(DehazeBlock(channels))
            channels += skip
        _must_divide(channels, strides[0], in_channels, strides)
        channels //= strides[0]**2
        self.enhancer = PyramidEnhancer(channels, enhancer_channels, pool_sizes)
        self.tail = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(channels, 3, 7), nn.Tanh())

        self.embedding_dim = in_channels[-1]
        self.size_divisor = math.lcm(strides[-1], *pool_sizes)
        self.min_size = self.size_divisor

    def embed(self, features):
        """Return the embedding map: the mid block on the deepest feature map."""
        return self.mid_block(features[-1])

    def decode(self, embedding, features, image):
        x = embedding
        skips = features[-2::-1]
        for block, shuffles, skip in zip(self.attention_blocks, self._shuffles[:-1], skips, strict=True):
            x = torch.cat([block(_shuffle(x, shuffles)), skip], dim=1)
        return self.tail(self.enhancer(_shuffle(x, self._shuffles[-1])))


def _shuffle(x, times):
    for _ in range(times):
        x = F.pixel_shuffle(x, 2)
    return x


def _must_divide(channels, ratio, in_channels, strides):
    if channels % ratio**2:
        raise InputError(f'CIDDecoder: with in_channels={in_channels} at strides={strides}, {channels} channels are '
                         f'to be pixel-shuffled by {ratio}, so they must divide by {ratio**2}; '
                         'change the width of the encoder or its out_indices')
