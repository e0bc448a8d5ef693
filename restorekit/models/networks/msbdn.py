"""MSBDN: boosting with dense fusion over five scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.blocks import reflect_conv
from restorekit.registry import MODELS

from .base import FeatureNetwork


class _Residual(nn.Module):
    """``x + 0.1 conv(prelu(conv(x)))``."""

    def __init__(self, channels):
        super().__init__()
        self.conv1, self.conv2 = (reflect_conv(channels, channels) for _ in range(2))
        self.act = nn.PReLU()

    def forward(self, x):
        return x + 0.1 * self.conv2(self.act(self.conv1(x)))


def _strided(channels, out_channels, kind):
    return nn.Sequential(kind(channels, out_channels, 4, stride=2, padding=1), nn.PReLU())


class BackProjection(nn.Module):
    """Correct a map by its differences from maps of other scales, the farthest scale first.

    For each other map: bring the current one to its scale by steps of two, subtract, bring the difference back, add
    (dense feature fusion of MSBDN, "back-projection" in its paper).

    Args:
        channels (int): Channels of the map.
        steps (int): Number of other maps.
        up (bool): The other maps are larger (with half the channels per step) instead of smaller.
    """

    def __init__(self, channels: int, steps: int, up: bool):
        super().__init__()
        there, back = (nn.ConvTranspose2d, nn.Conv2d) if up else (nn.Conv2d, nn.ConvTranspose2d)
        widths = [channels // 2 ** i if up else channels * 2 ** i for i in range(steps + 1)]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.there = nn.ModuleList(_strided(near, far, there) for near, far in pairs)
        self.back = nn.ModuleList(_strided(far, near, back) for near, far in pairs)

    def forward(self, x: Tensor, others: Sequence[Tensor]) -> Tensor:
        for steps, other in zip(range(len(others), 0, -1), others, strict=True):
            far = x
            for layer in self.there[:steps]:
                far = layer(far)
            far = far - other
            for layer in reversed(self.back[:steps]):
                far = layer(far)
            x = x + far
        return x


@MODELS.register_module()
class MSBDN(FeatureNetwork):
    """MSBDN: a U-Net of five scales with boosting in the decoder and dense back-projection at every scale.

    Dong et al., "Multi-scale boosted dehazing network with dense feature fusion", CVPR 2020 (MSBDN-DFF). Each decoder
    stage adds the upsampled features to the skip, refines the sum and subtracts the features again (strengthen,
    operate, subtract). The transposed convolutions make one row and column too many; as in the authors' code a
    bilinear resize mends that, so that a tile differs a little from the whole.

    Args:
        channels (int): Channels at full size; doubled from scale to scale.
        blocks (int): Residual blocks at the deepest scale.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> import torch
        >>> tuple(MSBDN(channels=4, blocks=1)(torch.rand(1, 3, 32, 32)).shape)
        (1, 3, 32, 32)
    """

    size_divisor = 16
    min_size = 32  # two pixels at the deepest scale, for reflection
    weights_licence = 'not stated'
    published_names = (
        (r'^conv_input\.conv2d\.', 'stem.'), (r'^conv_output\.conv2d\.', 'head.'),
        *((rf'^conv{2 ** (i + 1)}x\.conv2d\.', f'downs.{i}.') for i in range(4)),
        *((rf'^convd{2 ** (i + 1)}x\.conv2d\.', f'ups.{i}.') for i in range(4)),
        *((rf'^dense{i}\.', f'refine_down.{i}.') for i in range(4)),
        *((rf'^dense_{i + 1}\.', f'refine_up.{i}.') for i in range(4)),
        *((rf'^fusion{i + 1}\.', f'fuse_down.{i}.') for i in range(4)),
        *((rf'^fusion_{i + 1}\.', f'fuse_up.{i}.') for i in range(4)),
        (r'^dehaze\.res(\d+)\.', r'middle.\1.'),
        (r'\.conv(\d)\.conv2d\.', r'.conv\1.'), (r'\.relu\.weight$', '.act.weight'),
        (r'^(fuse_down.*)\.up_convs\.', r'\1.there.'), (r'^(fuse_down.*)\.down_convs\.', r'\1.back.'),
        (r'^(fuse_up.*)\.down_convs\.', r'\1.there.'), (r'^(fuse_up.*)\.up_convs\.', r'\1.back.'),
        (r'\.(?:de)?conv\.(weight|bias)$', r'.0.\1'), (r'^(fuse.*)\.act\.', r'\1.1.'))

    def __init__(self, channels: int = 16, blocks: int = 18, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        widths = [channels * 2 ** i for i in range(5)]
        self.stem, self.head = reflect_conv(3, channels, 11), reflect_conv(channels, 3)
        for name in ('downs', 'ups', 'refine_down', 'refine_up', 'fuse_down', 'fuse_up'):
            setattr(self, name, nn.ModuleList())
        for i, (shallow, deep) in enumerate(zip(widths, widths[1:], strict=False)):
            self.downs.append(nn.Conv2d(shallow, deep, 3, stride=2, padding=1, padding_mode='reflect'))
            self.ups.append(nn.ConvTranspose2d(deep, shallow, 3, stride=2))
            self.refine_down.append(nn.Sequential(*(_Residual(shallow) for _ in range(3))))
            self.refine_up.append(nn.Sequential(*(_Residual(shallow) for _ in range(3))))
            self.fuse_down.append(BackProjection(deep, i + 1, up=True))
            self.fuse_up.append(BackProjection(shallow, 4 - i, up=False))
        self.middle = nn.Sequential(*(_Residual(widths[-1]) for _ in range(blocks)))
        self.embedding_dim = widths[-1]

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        memory, skips = [x], []
        for refine, down, fuse in zip(self.refine_down, self.downs, self.fuse_down, strict=True):
            skips.append(refine(x) + x)
            x = fuse(down(skips[-1]), memory)
            memory.append(x)
        # strengthened by itself, refined, and subtracted again
        return self.middle(2 * x) + x, *skips

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        memory = [embedding]
        for i in (3, 2, 1, 0):
            above = F.interpolate(self.ups[i](memory[-1]), skips[i].shape[-2:], mode='bilinear')
            boosted = above + skips[i]
            memory.append(self.fuse_up[i](self.refine_up[i](boosted) + boosted - above, memory))
        return self.head(memory[-1])
