"""The pooling pyramid of CID's decoder."""

import torch
import torch.nn.functional as F
from torch import nn


class PyramidEnhancer(nn.Module):
    """Mix a full-resolution map with averages of itself over squares of several sizes.

    ``f`` is two 3x3 convolutions of the input; for each pool size k, ``f`` is averaged over k x k squares, reduced to
    one channel and repeated back to full size; all are concatenated, and a 3x3 convolution and tanh follow
    (GCANet-style pyramid of DW-GAN and CID). Leaky ReLU of slope 0.2 throughout.

    Args:
        channels (int): Channels in and out.
        hidden_channels (int): Channels of ``f``.
        pool_sizes (Sequence[int]): Sides of the squares in pixels; height and width must be multiples of each.

    Example:
        >>> enhancer = PyramidEnhancer(28)
        >>> tuple(enhancer(torch.rand(1, 28, 32, 64)).shape)
        (1, 28, 32, 64)
    """

    def __init__(self, channels, hidden_channels=20, pool_sizes=(32, 16, 8, 4)):
        super().__init__()
        self.pool_sizes = tuple(pool_sizes)
        self.refine1 = nn.Conv2d(channels, hidden_channels, 3, padding=1)
        self.refine2 = nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1)
        self.pool_convs = nn.ModuleList(nn.Conv2d(hidden_channels, 1, 1) for _ in self.pool_sizes)
        self.refine3 = nn.Conv2d(hidden_channels + len(self.pool_sizes), channels, 3, padding=1)
        # CID's published network holds this layer and never calls it; its checkpoints load strictly only with it.
        self.unused_norm = nn.InstanceNorm2d(100, affine=True).requires_grad_(False)

    def forward(self, x):
        f = F.leaky_relu(self.refine1(x), 0.2)
        f = F.leaky_relu(self.refine2(f), 0.2)
        pyramid = []
        for size, conv in zip(self.pool_sizes, self.pool_convs, strict=True):
            pooled = F.leaky_relu(conv(F.avg_pool2d(f, size)), 0.2)
            pyramid.append(F.interpolate(pooled, size=f.shape[-2:], mode='nearest'))
        return torch.tanh(self.refine3(torch.cat([*pyramid, f], dim=1)))
