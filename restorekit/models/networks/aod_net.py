"""AOD-Net, the smallest of the well-known dehazing networks."""

import torch
import torch.nn.functional as F
from torch import nn

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .base import RestorationNetwork


@MODELS.register_module()
class AODNet(RestorationNetwork):
    """AOD-Net: one map K joins transmission and airlight, ``J = relu(K * x - K + b)``.

    Li et al., AOD-Net: All-in-One Dehazing Network, ICCV 2017. Five convolutions (1, 3, 5, 7 and 3 wide), each but the
    first on a concatenation of earlier outputs, predict K with three channels. As in the paper, ReLU follows each
    convolution and the result. K starts near 1, where J is the input for ``b = 1``, so that ReLU is alive at the start.

    Args:
        channels (int): Outputs of each convolution before the last; 3 in the paper (1,761 parameters).
        b (float): The constant bias.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        ValueError: If ``channels`` is not a positive integer.

    Example:
        >>> tuple(AODNet()(torch.rand(1, 3, 17, 33)).shape)
        (1, 3, 17, 33)
    """

    tiling = 'exact'
    receptive_field = 15  # kernels of 1, 3, 5, 7 and 3: 1 + 0 + 2 + 4 + 6 + 2
    weights_licence = 'not stated'
    # the authors' own weights are Caffe's; these are the names of the PyTorch port that most repositories use
    published_names = ((r'^e_conv(\d)\.', r'conv\1.'),)

    def __init__(self, channels=3, b=1.0, init_cfg=None):
        super().__init__(init_cfg)
        if not isinstance(channels, int) or channels < 1:
            raise InputError(f'AODNet: channels must be a positive integer, but got {channels!r}')
        self.b = b
        self.conv1 = nn.Conv2d(3, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * channels, channels, 5, padding=2)
        self.conv4 = nn.Conv2d(2 * channels, channels, 7, padding=3)
        self.conv5 = nn.Conv2d(4 * channels, 3, 3, padding=1)
        nn.init.ones_(self.conv5.bias)

    def forward(self, x):
        x1 = F.relu(self.conv1(x))
        x2 = F.relu(self.conv2(x1))
        x3 = F.relu(self.conv3(torch.cat([x1, x2], dim=1)))
        x4 = F.relu(self.conv4(torch.cat([x2, x3], dim=1)))
        k = F.relu(self.conv5(torch.cat([x1, x2, x3, x4], dim=1)))
        return F.relu(k * x - k + self.b)
