"""Channel and pixel attention."""

import torch.nn.functional as F
from torch import nn


def sigmoid_gate(channels: int, out_channels: int) -> nn.Sequential:
    """Two 1x1 convolutions with ReLU between and a sigmoid after; C / 8 hidden channels, at least 8."""
    hidden = max(channels // 8, 8)  # with fewer, ReLU is often dead in all of them from the start
    return nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True), nn.Conv2d(hidden, out_channels, 1),
                         nn.Sigmoid())


class ChannelAttention(nn.Module):
    """Multiply each channel by a gate in (0, 1) computed from the globally average-pooled map (N, C, H, W).

    ``y = x * sigmoid(W2 relu(W1 mean(x)))``, with C / 8 hidden channels, at least 8 (FFA-Net, Qin et al., AAAI 2020).

    Example:
        >>> import torch
        >>> tuple(ChannelAttention(16)(torch.rand(1, 16, 4, 4)).shape)
        (1, 16, 4, 4)
    """

    def __init__(self, channels):
        super().__init__()
        self.gate = sigmoid_gate(channels, channels)

    def forward(self, x):
        return x * self.gate(x.mean((2, 3), keepdim=True))


class PixelAttention(nn.Module):
    """Multiply each pixel by a gate in (0, 1), one for all channels, computed from its own channels.

    ``y = x * sigmoid(W2 relu(W1 x))`` with 1x1 convolutions and C / 8 hidden channels, at least 8 (FFA-Net, AAAI 2020).

    Example:
        >>> import torch
        >>> tuple(PixelAttention(16)(torch.rand(1, 16, 4, 4)).shape)
        (1, 16, 4, 4)
    """

    def __init__(self, channels):
        super().__init__()
        self.gate = sigmoid_gate(channels, 1)

    def forward(self, x):
        return x * self.gate(x)


class DehazeBlock(nn.Module):
    """Residual block with channel and pixel attention (FFA-Net, Qin et al., AAAI 2020).

    ``y = relu(conv1(x)) + x``; output ``x + pixel_attention(channel_attention(conv2(y)))``; shape is kept.

    Args:
        channels (int): Channels in and out.

    Example:
        >>> import torch
        >>> tuple(DehazeBlock(16)(torch.rand(1, 16, 4, 4)).shape)
        (1, 16, 4, 4)
    """

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.channel_attention = ChannelAttention(channels)
        self.pixel_attention = PixelAttention(channels)

    def forward(self, x):
        y = F.relu(self.conv1(x)) + x
        return x + self.pixel_attention(self.channel_attention(self.conv2(y)))
