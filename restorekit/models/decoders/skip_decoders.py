"""Light decoders for any encoder: a U-Net's skips, and a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .base import Decoder


def _resize(x, like):
    return x if x.shape[-2:] == like.shape[-2:] else \
        F.interpolate(x, like.shape[-2:], mode='bilinear', align_corners=False)


class _ResidualHead(nn.Module):
    """At full size: features beside a shallow view of the image, and a correction of it that starts at zero."""

    def __init__(self, channels):
        super().__init__()
        self.view = nn.Conv2d(3, channels, 3, padding=1)
        self.convs = nn.Sequential(nn.ReLU(), nn.Conv2d(2 * channels, channels, 3, padding=1), nn.ReLU(),
                                   nn.Conv2d(channels, 3, 3, padding=1))
        nn.init.zeros_(self.convs[-1].weight)
        nn.init.zeros_(self.convs[-1].bias)

    def forward(self, features, image):
        return image + self.convs(torch.cat([_resize(features, image), self.view(image)], dim=1))


class _SkipDecoder(Decoder):

    def __init__(self, in_channels, strides, init_cfg):
        super().__init__(init_cfg)
        in_channels, strides = tuple(in_channels), tuple(strides)
        if len(in_channels) != len(strides) or not strides or list(strides) != sorted(strides) or min(strides) < 1:
            raise InputError(f'{type(self).__name__} needs a map or more with strides that do not fall from map to map,'
                             f' but the encoder gives in_channels={in_channels} at strides={strides}')
        self.in_channels = in_channels
        # two pixels of the deepest map, so that its statistics mean something
        self.min_size = 2 * strides[-1]


@MODELS.register_module()
class UNetSkipDecoder(_SkipDecoder):
    """The upward path of a U-Net on the maps of any encoder: ``J = x + head(features)``.

    From the deepest map up: enlarge to the next map's size (bilinear), concatenate it, two 3x3 convolutions
    (Ronneberger et al., MICCAI 2015). Maps may have any strides, equal ones too. The deepest map after a 3x3
    convolution is the embedding. An untrained decoder returns its input.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's maps, shallow to deep; at least one.
        strides (Sequence[int]): Strides of the maps, not falling.
        channels (int): Channels of the upward path.
        head_channels (int): Channels at full size, where most of the time goes.
        embedding_channels (int): Channels of the embedding.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If the maps do not fit.

    Example:
        >>> decoder = UNetSkipDecoder(in_channels=(8, 16), strides=(4, 14), channels=8)
        >>> maps, image = [torch.rand(1, 8, 14, 14), torch.rand(1, 16, 4, 4)], torch.rand(1, 3, 56, 56)
        >>> bool((decoder(maps, image) == image).all())
        True
    """

    def __init__(self, in_channels: Sequence[int], strides: Sequence[int], channels: int = 64, head_channels: int = 16,
                 embedding_channels: int = 128, init_cfg: dict | None = None):
        super().__init__(in_channels, strides, init_cfg)
        self.enter = nn.Sequential(nn.Conv2d(self.in_channels[-1], embedding_channels, 3, padding=1), nn.ReLU())
        self.joins, width = nn.ModuleList(), embedding_channels
        for skip in self.in_channels[-2::-1]:
            self.joins.append(nn.Sequential(nn.Conv2d(width + skip, channels, 3, padding=1), nn.ReLU(),
                                            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()))
            width = channels
        self.project, self.head = nn.Conv2d(width, head_channels, 1), _ResidualHead(head_channels)
        self.embedding_dim = embedding_channels

    def embed(self, features: Sequence[Tensor]) -> Tensor:
        return self.enter(features[-1])

    def decode(self, embedding: Tensor, features: Sequence[Tensor], image: Tensor) -> Tensor:
        x = embedding
        for join, skip in zip(self.joins, features[-2::-1], strict=True):
            x = join(torch.cat([_resize(x, skip), skip], dim=1))
        return self.head(self.project(x), image)


@MODELS.register_module()
class FPNDecoder(_SkipDecoder):
    """A feature pyramid on the maps of any encoder: ``J = x + head(features)``.

    1x1 convolutions bring every map to ``channels``; from deep to shallow each is enlarged and added to the next (Lin
    et al., "Feature pyramid networks for object detection", CVPR 2017); a 3x3 convolution smooths each, and all are
    enlarged to the shallowest and added, as for panoptic segmentation (Kirillov et al., CVPR 2019). The deepest map
    after its 1x1 convolution is the embedding. An untrained decoder returns its input.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's maps, shallow to deep; at least one.
        strides (Sequence[int]): Strides of the maps, not falling.
        channels (int): Channels of the pyramid.
        head_channels (int): Channels at full size.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If the maps do not fit.

    Example:
        >>> decoder = FPNDecoder(in_channels=(8, 16), strides=(16, 16), channels=8)
        >>> maps, image = [torch.rand(1, 8, 2, 2), torch.rand(1, 16, 2, 2)], torch.rand(1, 3, 32, 32)
        >>> bool((decoder(maps, image) == image).all())
        True
    """

    def __init__(self, in_channels: Sequence[int], strides: Sequence[int], channels: int = 64, head_channels: int = 16,
                 init_cfg: dict | None = None):
        super().__init__(in_channels, strides, init_cfg)
        self.laterals = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in self.in_channels)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in self.in_channels)
        self.project, self.head = nn.Conv2d(channels, head_channels, 1), _ResidualHead(head_channels)
        self.embedding_dim = channels

    def embed(self, features: Sequence[Tensor]) -> Tensor:
        return self.laterals[-1](features[-1])

    def decode(self, embedding: Tensor, features: Sequence[Tensor], image: Tensor) -> Tensor:
        level, total = embedding, 0
        for i in reversed(range(len(features))):
            if i < len(features) - 1:
                lateral = self.laterals[i](features[i])
                level = lateral + _resize(level, lateral)
            total = total + _resize(F.relu(self.smooth[i](level)), features[0])
        return self.head(self.project(total), image)
