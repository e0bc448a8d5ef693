"""ConvIR: convolutions with the reach of a transformer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.registry import MODELS

from .base import FeatureNetwork

POOLS = (8, 4, 2)
GROUPS = 8


def _split_bands(x, weights, dilation, pad, mean, inside, low, high):
    """Filter a map by kernels (N, groups, rows, columns) computed from it, and weigh what passed and what it had.

    The taps lie ``dilation`` apart on the map after reflection by ``pad``.
    """
    samples, channels = x.shape[:2]
    padded = F.pad(x, pad, mode='reflect').flatten(0, 1)[None]  # each channel of each sample has its kernel
    kernels = weights.repeat_interleave(channels // GROUPS, dim=1).flatten(0, 1)[:, None]
    passed = F.conv2d(padded, kernels, dilation=dilation, groups=samples * channels).view_as(x)
    passed = passed * (inside + 1) - inside * mean
    return passed * low[:, None, None] + x * (high[:, None, None] + 1)


class _Filter(nn.Module):
    """A dynamic filter: its taps are the tanh of a 1x1 convolution of the mean over the map, one set per group."""

    def __init__(self, channels, shape, norm):
        super().__init__()
        self.shape, taps = shape, shape[0] * shape[1]
        self.conv = nn.Conv2d(channels, GROUPS * taps, 1, bias=False)
        self.norm = nn.BatchNorm2d(GROUPS * taps) if norm else nn.Identity()
        self.low, self.high = nn.Parameter(torch.zeros(channels)), nn.Parameter(torch.zeros(channels))
        self.inside = nn.Parameter(torch.zeros(channels, 1, 1))

    def taps(self, x):
        weights = self.norm(self.conv(x.mean((2, 3), keepdim=True))).tanh()
        return weights.view(-1, GROUPS, *self.shape)


class SquareFilter(_Filter):
    """A dynamic 3x3 filter with taps ``dilation`` apart."""

    def __init__(self, channels: int, dilation: int):
        super().__init__(channels, (3, 3), norm=True)
        nn.init.kaiming_normal_(self.conv.weight, mode='fan_out', nonlinearity='relu')
        self.pad, self.dilation = (dilation,) * 4, dilation

    def forward(self, x: Tensor) -> Tensor:
        return _split_bands(x, self.taps(x), self.dilation, self.pad, x.mean((2, 3), keepdim=True), self.inside,
                            self.low, self.high)


class StripFilter(_Filter):
    """A dynamic filter of three taps in a row (or a column), ``dilation`` apart; its mean is the row's."""

    def __init__(self, channels: int, dilation: int, row: bool):
        super().__init__(channels, (1, 3) if row else (3, 1), norm=False)
        self.pad = (dilation, dilation, 0, 0) if row else (0, 0, dilation, dilation)
        self.axis, self.dilation = 3 if row else 2, dilation

    def forward(self, x: Tensor) -> Tensor:
        return _split_bands(x, self.taps(x), self.dilation, self.pad, x.mean(self.axis, keepdim=True), self.inside,
                            self.low, self.high)


class MultiShapeFilter(nn.Module):
    """Square filter plus a row filter followed by a column filter."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.square = SquareFilter(channels, dilation)
        self.row, self.column = (StripFilter(channels, dilation, row) for row in (True, False))
        self.gamma, self.beta = nn.Parameter(torch.zeros(channels, 1, 1)), nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * self.column(self.row(x)) + self.beta * x + self.square(x)


class DeepPool(nn.Module):
    """Add to a map what multi-shape filters make of its averages over squares of 8, 4 and 2 pixels."""

    def __init__(self, channels: int, dilations: Sequence[int]):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in POOLS)
        self.filters = nn.ModuleList(MultiShapeFilter(channels, dilation) for dilation in dilations)
        self.join = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        total, above = x, 0
        for size, conv, shapes in zip(POOLS, self.convs, self.filters, strict=True):
            y = shapes(conv(F.avg_pool2d(x, size) + above))
            total = total + F.interpolate(y, x.shape[-2:], mode='bilinear', align_corners=True)
            above = F.interpolate(y, scale_factor=2.0, mode='bilinear', align_corners=True) if size > 2 else 0
        return self.join(F.gelu(total))


class _Block(nn.Module):

    def __init__(self, channels, pool=None):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.pool = pool or nn.Identity()

    def forward(self, x):
        return self.conv2(self.pool(F.gelu(self.conv1(x)))) + x


def _stage(channels, blocks, dilations):
    last = _Block(channels, DeepPool(channels, dilations))
    return nn.Sequential(*(_Block(channels) for _ in range(blocks - 1)), last)


def _view(channels):
    """Shallow features of a smaller copy of the image."""
    return nn.Sequential(
        nn.Conv2d(3, channels // 4, 3, padding=1), nn.GELU(), nn.Conv2d(channels // 4, channels // 2, 1), nn.GELU(),
        nn.Conv2d(channels // 2, channels // 2, 3, padding=1), nn.GELU(), nn.Conv2d(channels // 2, channels, 1),
        nn.InstanceNorm2d(channels, affine=True))


@MODELS.register_module()
class ConvIR(FeatureNetwork):
    """ConvIR: a U-Net of three scales with dynamic filters of several shapes and large reach; three outputs.

    Cui et al., "Revitalizing convolutional network for image restoration", TPAMI 2024. Smaller copies of the image
    enter at half and quarter size, and images of those sizes leave (:meth:`forward_all`), to be compared with smaller
    ground truth. S, B and L have 4, 8 and 16 blocks per stage. Input and outputs in [0, 1]. The dilated filters on
    pooled maps need images of 256 pixels and more.

    Args:
        blocks (int): Blocks per stage, the last with the filters.
        channels (int): Channels at full size, a multiple of 8; doubled at each of two smaller ones.
        dilations (Sequence[int]): Distance of the taps after pooling by 8, 4 and 2.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> network = ConvIR(blocks=1, channels=8, dilations=(1, 1, 1))
        >>> [tuple(image.shape[-2:]) for image in network.forward_all(torch.rand(2, 3, 64, 64))]
        [(16, 16), (32, 32), (64, 64)]
    """

    size_divisor = 32
    weights_licence = 'MIT'
    published_names = (
        (r'^Encoder\.(\d)\.layers\.', r'down_stages.\1.'), (r'^Decoder\.(\d)\.layers\.', r'up_stages.\1.'),
        (r'^feat_extract\.0\.main\.0\.', 'stem.'), (r'^feat_extract\.5\.main\.0\.', 'heads.2.'),
        (r'^feat_extract\.([12])\.main\.0\.', r'downs.\1.'), (r'^downs\.1\.', 'downs.0.'), (r'^downs\.2\.', 'downs.1.'),
        (r'^feat_extract\.3\.main\.0\.', 'ups.0.'), (r'^feat_extract\.4\.main\.0\.', 'ups.1.'),
        (r'^Convs\.(\d)\.main\.0\.', r'joins.\1.'), (r'^ConvsOut\.(\d)\.main\.0\.', r'heads.\1.'),
        (r'^FAM2\.merge\.main\.0\.', 'merges.0.'), (r'^FAM1\.merge\.main\.0\.', 'merges.1.'),
        (r'^SCM2\.main\.', 'views.0.'), (r'^SCM1\.main\.', 'views.1.'),
        (r'^(views\.\d)\.4\.', r'\1.7.'), *((rf'^(views\.\d)\.{i}\.main\.0\.', rf'\1.{2 * i}.') for i in range(4)),
        (r'_stages\.(\d)\.(\d+)\.main\.0\.main\.0\.', r'_stages.\1.\2.conv1.'),
        (r'_stages\.(\d)\.(\d+)\.main\.2\.main\.0\.', r'_stages.\1.\2.conv2.'),
        (r'_stages\.(\d)\.(\d+)\.main\.1\.', r'_stages.\1.\2.pool.'),
        (r'\.conv_sum\.', '.join.'), (r'\.dynas\.', '.filters.'),
        (r'\.square_att\.bn\.', '.square_att.norm.'), (r'\.square_att\.', '.square.'),
        (r'\.strip_att\.H_spatial_att\.', '.row.'), (r'\.strip_att\.W_spatial_att\.', '.column.'),
        (r'\.strip_att\.', '.'), (r'\.lamb_l$', '.low'), (r'\.lamb_h$', '.high'), (r'\.inside_all$', '.inside'))

    def __init__(self, blocks: int = 8, channels: int = 32, dilations: Sequence[int] = (7, 9, 11),
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        widths = [channels, 2 * channels, 4 * channels]
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.downs, self.ups, self.merges, self.views, self.joins = (nn.ModuleList() for _ in range(5))
        for shallow, deep in zip(widths, widths[1:], strict=False):
            self.downs.append(nn.Conv2d(shallow, deep, 3, stride=2, padding=1))
            self.merges.append(nn.Conv2d(2 * deep, deep, 3, padding=1))
            self.views.append(_view(deep))
        for shallow, deep in zip(widths[1::-1], widths[:0:-1], strict=True):
            self.ups.append(nn.ConvTranspose2d(deep, shallow, 4, stride=2, padding=1))
            self.joins.append(nn.Conv2d(deep, shallow, 1))
        self.heads = nn.ModuleList(nn.Conv2d(width, 3, 3, padding=1) for width in reversed(widths))
        self.down_stages = nn.ModuleList(_stage(width, blocks, dilations) for width in widths)
        self.up_stages = nn.ModuleList(_stage(width, blocks, dilations) for width in reversed(widths))
        # reflection needs more pixels than it adds, on the pooled map of the smallest scale
        smallest = max(4 * pool * (dilation + 1) for pool, dilation in zip(POOLS, dilations, strict=True))
        self.min_size = -(-smallest // self.size_divisor) * self.size_divisor
        self.embedding_dim = widths[-1]

    @staticmethod
    def _smaller(x):
        """The image, and every second and fourth pixel of it."""
        return x, x[..., ::2, ::2], x[..., ::4, ::4]

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        images, skips = self._smaller(x), []
        features = self.down_stages[0](F.gelu(self.stem(x)))
        for i, (down, merge, view) in enumerate(zip(self.downs, self.merges, self.views, strict=True)):
            skips.append(features)
            features = torch.cat([F.gelu(down(features)), view(images[i + 1])], dim=1)
            features = self.down_stages[i + 1](merge(features))
        return self.up_stages[0](features), *skips

    def _outputs(self, x, embedding, *skips):
        images, features = self._smaller(x), embedding
        for i in range(3):
            if i:
                features = torch.cat([F.gelu(self.ups[i - 1](features)), skips[2 - i]], dim=1)
                features = self.up_stages[i](F.gelu(self.joins[i - 1](features)))
            yield features, self.heads[i], images[2 - i]

    def forward_all(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the images at a quarter, half and all of the size; the last is what ``forward`` returns."""
        return tuple(head(features) + image for features, head, image in self._outputs(x, *self.encode(x)))

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        *_, (features, head, image) = self._outputs(x, embedding, *skips)
        return head(features) + image
