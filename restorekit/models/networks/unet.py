"""A plain U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .base import FeatureNetwork


class _Pair(nn.Sequential):
    """Two 3x3 convolutions, ReLU after each."""

    def __init__(self, in_channels, out_channels):
        super().__init__(nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(out_channels, out_channels, 3, padding=1), nn.ReLU())


@MODELS.register_module()
class UNet(FeatureNetwork):
    """A plain U-Net that predicts a correction of its input: ``J = x + head(features)``.

    Ronneberger et al., "U-Net: Convolutional networks for biomedical image segmentation", MICCAI 2015, with padded
    convolutions: pairs of 3x3 convolutions, max-pooling by two, transposed 2x2 convolutions upwards, concatenated
    skips. No normalisation, nothing global: tiles that overlap enough give the result of the whole image. The head
    starts at zero, so that an untrained network returns its input.

    Args:
        channels (Sequence[int]): Channels of each level, full size first; at least two levels.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If there are fewer than two levels.

    Example:
        >>> network, x = UNet((8, 16)), torch.rand(1, 3, 16, 16)
        >>> bool((network(x) == x).all())
        True
    """

    tiling = 'exact'

    def __init__(self, channels: Sequence[int] = (32, 64, 128, 256), init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if len(channels) < 2:
            raise InputError(f'UNet needs the channels of at least two levels, but got {tuple(channels)}')
        self.downs = nn.ModuleList(_Pair(*pair) for pair in zip((3, *channels), channels, strict=False))
        steps = list(zip(channels, channels[1:], strict=False))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(deep, shallow, 2, stride=2) for shallow, deep in steps)
        self.joins = nn.ModuleList(_Pair(2 * shallow, shallow) for shallow, _ in steps)
        self.head = nn.Conv2d(channels[0], 3, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        depth = len(steps)
        self.size_divisor = 2 ** depth
        self.embedding_dim = channels[-1]
        # two convolutions down and two up per level, one pair at the deepest; pooling and its inverse align squares
        reach = sum(4 * 2 ** level for level in range(depth)) + 2 * 2 ** depth + 2 ** depth - 1
        self.receptive_field = 2 * reach + 1

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        skips = []
        for i, down in enumerate(self.downs):
            x = down(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        return skips[-1], *skips[:-1]

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        features = embedding
        for i in reversed(range(len(skips))):
            features = self.joins[i](torch.cat([self.ups[i](features), skips[i]], dim=1))
        return x + self.head(features)
