"""The patch discriminator of pix2pix."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from restorekit.models.module import Module
from restorekit.registry import MODELS


@MODELS.register_module()
class PatchDiscriminator(Module):
    """PatchGAN: one score for every patch, of 70 pixels with three layers.

    Isola et al., "Image-to-image translation with conditional adversarial networks", CVPR 2017: 4x4 convolutions, the
    first ``layers`` of stride 2, leaky ReLU of 0.2. Spectral normalisation (Miyato et al., ICLR 2018) stands for the
    paper's BatchNorm, so that a score does not depend on the other images of the batch.

    Args:
        channels (int): Channels of the first layer; doubled from layer to layer, up to eight times.
        layers (int): Number of strided layers.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Forward:
        x (Tensor): (N, 3, H, W) in [0, 1], H and W of at least 2 ** (layers + 2).

    Returns:
        Tensor: Scores (N, 1, h, w), larger for images taken as real.

    Example:
        >>> import torch
        >>> tuple(PatchDiscriminator(channels=8)(torch.rand(1, 3, 64, 64)).shape)
        (1, 1, 6, 6)
    """

    def __init__(self, channels: int = 64, layers: int = 3, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        widths = [3] + [channels * min(2 ** i, 8) for i in range(layers + 1)]
        convs = []
        for i, (inputs, outputs) in enumerate(zip(widths, widths[1:], strict=False)):
            convs += [spectral_norm(nn.Conv2d(inputs, outputs, 4, 2 if i < layers else 1, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*convs, spectral_norm(nn.Conv2d(widths[-1], 1, 4, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(2 * x - 1)
