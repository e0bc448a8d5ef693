"""GridDehazeNet: a grid of three scales, crossed in all directions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.blocks import ResidualDenseBlock
from restorekit.registry import MODELS

from .base import FeatureNetwork


class _Down(nn.Module):

    def __init__(self, channels):
        super().__init__()
        self.shrink = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.widen = nn.Conv2d(channels, 2 * channels, 3, padding=1)

    def forward(self, x):
        return F.relu(self.widen(F.relu(self.shrink(x))))


class _Up(nn.Module):

    def __init__(self, channels):
        super().__init__()
        self.grow = nn.ConvTranspose2d(channels, channels, 3, stride=2, padding=1, output_padding=1)
        self.narrow = nn.Conv2d(channels, channels // 2, 3, padding=1)

    def forward(self, x):
        return F.relu(self.narrow(F.relu(self.grow(x))))


@MODELS.register_module()
class GridDehazeNet(FeatureNetwork):
    """GridDehazeNet: rows of residual dense blocks at three scales, joined by columns of down- and upsampling.

    Liu et al., "GridDehazeNet: Attention-based multi-scale network for image dehazing", ICCV 2019. Half of the columns
    lead down, half lead up; where a row and a column meet, their maps are added with one learned weight per channel
    each. The input is in [-1, 1]; the output, in [0, 1], passes a ReLU.

    Args:
        channels (int): Channels of the first row; doubled from row to row.
        growth (int): Channels that each dense convolution adds.
        layers (int): Dense convolutions per block.
        rows (int): Number of scales.
        columns (int): Number of columns, even.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> tuple(GridDehazeNet(channels=8)(torch.rand(1, 3, 16, 20)).shape)
        (1, 3, 16, 20)
    """

    input_range = (-1.0, 1.0)
    tiling = 'exact'
    weights_licence = 'MIT'
    published_names = (
        (r'^conv_in\.', 'stem.'), (r'^conv_out\.', 'head.'), (r'^rdb_in\.', 'first.'), (r'^rdb_out\.', 'last.'),
        (r'^rdb_module\.(\d+)_(\d+)\.', r'blocks.\1_\2.'),
        (r'^downsample_module\.(\d+)_(\d+)\.', r'downs.\1_\2.'), (r'^upsample_module\.(\d+)_(\d+)\.', r'ups.\1_\2.'),
        (r'\.residual_dense_layers\.(\d+)\.conv\.', r'.convs.\1.'), (r'\.conv_1x1\.', '.join.'),
        (r'^(downs\..*)\.conv1\.', r'\1.shrink.'), (r'^(downs\..*)\.conv2\.', r'\1.widen.'),
        (r'\.deconv\.', '.grow.'), (r'^(ups\..*)\.conv\.', r'\1.narrow.'))

    def __init__(self, channels: int = 16, growth: int = 16, layers: int = 4, rows: int = 3, columns: int = 6,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.rows, self.half = rows, columns // 2
        widths = [channels * 2 ** row for row in range(rows)]
        self.coefficient = nn.Parameter(torch.ones(rows, columns, 2, widths[-1]))
        self.stem, self.head = nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, 3, 3, padding=1)
        nn.init.constant_(self.head.bias, 0.5)  # mid-grey: the last ReLU would block a dark start
        self.first, self.last = (ResidualDenseBlock(channels, growth, layers) for _ in range(2))
        self.blocks = nn.ModuleDict({f'{row}_{column}': ResidualDenseBlock(widths[row], growth, layers)
                                     for row in range(rows) for column in range(columns - 1)})
        self.downs = nn.ModuleDict({f'{row}_{column}': _Down(widths[row])
                                    for row in range(rows - 1) for column in range(self.half)})
        self.ups = nn.ModuleDict({f'{row}_{column}': _Up(2 * widths[row])
                                  for row in range(rows - 1) for column in range(self.half, columns)})
        self.size_divisor = 2 ** (rows - 1)
        self.embedding_dim = widths[-1]
        self.receptive_field = 2 * self._reach(layers) + 1

    def _reach(self, layers):
        """Pixels to one side that an output pixel may depend on: along the longest way, through the smallest scale."""
        blocks = 2 * self.half - 1  # of a row; each dense convolution reaches one pixel of its row further
        changes = 2 * sum(3 * 2 ** row for row in range(self.rows - 1))
        return 2 + 2 * layers + blocks * layers * 2 ** (self.rows - 1) + changes

    def _join(self, row, column, along, across):
        weights = self.coefficient[row, column, :, :along.shape[1], None, None]
        return weights[0] * along + weights[1] * across

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        grid = [self.first(self.stem(x))]
        for row in range(1, self.rows):
            grid.append(self.downs[f'{row - 1}_0'](grid[-1]))
        for column in range(1, self.half):
            grid[0] = self.blocks[f'0_{column - 1}'](grid[0])
            for row in range(1, self.rows):
                grid[row] = self._join(row, column, self.blocks[f'{row}_{column - 1}'](grid[row]),
                                       self.downs[f'{row - 1}_{column}'](grid[row - 1]))
        return grid[-1], *grid[:-1]

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        grid = [*skips, embedding]
        for column in range(self.half, 2 * self.half):
            grid[-1] = self.blocks[f'{self.rows - 1}_{column - 1}'](grid[-1])
            for row in reversed(range(self.rows - 1)):
                grid[row] = self._join(row, column, self.blocks[f'{row}_{column - 1}'](grid[row]),
                                       self.ups[f'{row}_{column}'](grid[row + 1]))
        return F.relu(self.head(self.last(grid[0])))
