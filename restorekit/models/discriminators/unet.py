"""The U-Net discriminator of Real-ESRGAN."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from restorekit.models.module import Module
from restorekit.registry import MODELS


def _conv(inputs, outputs, kernel_size=3, stride=1):
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel_size, stride, 1, bias=False))


@MODELS.register_module()
class UNetDiscriminator(Module):
    """A U-Net that gives every pixel a score, with spectral normalisation.

    Schönfeld et al., "A U-Net based discriminator for generative adversarial networks", CVPR 2020, in the form of
    Real-ESRGAN (Wang et al., ICCVW 2021): three strided 4x4 convolutions down, bilinear enlarging and 3x3 convolutions
    up, skips added, leaky ReLU of 0.2.

    Args:
        channels (int): Channels at full size; doubled from level to level.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Forward:
        x (Tensor): (N, 3, H, W) in [0, 1], H and W multiples of 8.

    Returns:
        Tensor: Scores (N, 1, H, W), larger for images taken as real.

    Example:
        >>> import torch
        >>> tuple(UNetDiscriminator(channels=8)(torch.rand(1, 3, 32, 40)).shape)
        (1, 1, 32, 40)
    """

    def __init__(self, channels: int = 64, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        widths = [channels * 2 ** i for i in range(4)]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.downs = nn.ModuleList(_conv(shallow, deep, 4, 2) for shallow, deep in pairs)
        self.ups = nn.ModuleList(_conv(deep, shallow) for shallow, deep in pairs)
        self.head = nn.Sequential(_conv(channels, channels), nn.LeakyReLU(0.2), _conv(channels, channels),
                                  nn.LeakyReLU(0.2), nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        maps = [F.leaky_relu(self.stem(2 * x - 1), 0.2)]
        for down in self.downs:
            maps.append(F.leaky_relu(down(maps[-1]), 0.2))
        x = maps.pop()
        for up in reversed(self.ups):
            skip = maps.pop()
            x = F.interpolate(x, skip.shape[-2:], mode='bilinear', align_corners=False)
            x = F.leaky_relu(up(x), 0.2) + skip
        return self.head(x)
