"""gUNet: a U-Net of gated convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from restorekit.messages import InputError
from restorekit.models.blocks import GatedConv, SKFusion, downsample, init_deep, reflect_conv, upsample
from restorekit.registry import MODELS

from .base import FeatureNetwork


class GatedBlock(nn.Module):
    """``x + gated_convolution(batch_norm(x))``."""

    def __init__(self, channels: int, kernel_size: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = GatedConv(channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.norm(x))


@MODELS.register_module()
class GUNet(FeatureNetwork):
    """gUNet: a U-Net whose blocks are gated depthwise convolutions, with selective-kernel fusion of the skips.

    Song et al., "Rethinking performance gains in image dehazing networks", 2022 (arXiv 2209.11448). Output
    ``x + head(features)``, in [-1, 1] like the input. Four sizes: T, S, B and D have depths of 2, 4, 8 and 16 blocks
    per stage and twice as many in the middle. The paper divides by powers of two: its 0.805 M parameters and 2.60 G
    multiply-adds of T are 844,905 and 2.79 G. The fusion looks at the whole image.

    Args:
        depths (Sequence[int]): Blocks per stage; an odd number of stages, the middle one the deepest.
        base_channels (int): Channels of the first stage; doubled from stage to stage down.
        kernel_size (int): Side of the depthwise kernels.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If ``depths`` is not of odd length.

    Example:
        >>> import torch
        >>> tuple(GUNet(depths=(1, 1, 1), base_channels=8)(torch.rand(1, 3, 32, 32)).shape)
        (1, 3, 32, 32)
    """

    input_range = (-1.0, 1.0)
    output_range = (-1.0, 1.0)
    weights_licence = 'MIT'
    published_names = (
        (r'^inconv\.proj\.', 'stem.'), (r'^outconv\.proj\.0\.', 'head.'),
        (r'^layers\.(\d+)\.blocks\.', r'stages.\1.'),
        (r'\.conv\.Wv\.', '.conv.value.'), (r'\.conv\.Wg\.0\.', '.conv.gate.'), (r'\.conv\.proj\.', '.conv.project.'),
        (r'^(downs|ups)\.(\d+)\.proj\.', r'\1.\2.'),
        (r'\.mlp\.1\.', '.reduce.'), (r'\.mlp\.3\.', '.expand.'))

    def __init__(self, depths: Sequence[int] = (2, 2, 2, 4, 2, 2, 2), base_channels: int = 24, kernel_size: int = 5,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if len(depths) % 2 == 0:
            raise InputError(f'GUNet: depths names the blocks of each stage, down and up again, so it has an odd '
                             f'length, but got {tuple(depths)}')
        levels = len(depths) // 2
        widths = [base_channels * 2 ** i for i in (*range(levels + 1), *range(levels - 1, -1, -1))]
        self.stem = reflect_conv(3, base_channels)
        self.stages = nn.ModuleList(
            nn.Sequential(*(GatedBlock(width, kernel_size) for _ in range(depth)))
            for width, depth in zip(widths, depths, strict=True))
        init_deep(self.stages, sum(depths))
        self.downs, self.ups, self.skips, self.fusions = (nn.ModuleList() for _ in range(4))
        for shallow, deep in zip(widths[:levels], widths[1:levels + 1], strict=True):
            self.downs.append(downsample(shallow, deep))
            self.ups.append(upsample(deep, shallow))
            self.skips.append(nn.Conv2d(shallow, shallow, 1))
            self.fusions.append(SKFusion(shallow))
        self.head = reflect_conv(base_channels, 3)
        self.size_divisor = 2 ** levels
        # reflection needs more pixels than it adds
        self.min_size = 2 ** levels * (kernel_size // 2 + 1)
        self.embedding_dim = widths[levels]

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        x, skips = self.stem(x), []
        for stage, skip, down in zip(self.stages, self.skips, self.downs, strict=False):
            x = stage(x)
            skips.append(skip(x))
            x = down(x)
        return self.stages[len(skips)](x), *skips

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        features, levels = embedding, len(skips)
        for i in reversed(range(levels)):
            features = self.fusions[i](self.ups[i](features), skips[i])
            features = self.stages[2 * levels - i](features)
        return x + self.head(features)
