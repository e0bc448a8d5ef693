"""Fusion of feature maps."""

from __future__ import annotations

from torch import Tensor, nn


class SKFusion(nn.Module):
    """Add two maps (N, C, H, W), weighted per channel by a softmax over the two (Li et al., SKNet, CVPR 2019).

    The weights come from the globally average-pooled sum of the maps through two 1x1 convolutions without bias and
    ReLU between, with C / 8 hidden channels, at least 4 (as in DehazeFormer, Song et al., TIP 2023, and gUNet).

    Args:
        channels (int): C.
        reduction (int): Divisor of the hidden channels.

    Example:
        >>> import torch
        >>> fusion, x = SKFusion(8), torch.rand(1, 8, 4, 4)
        >>> bool(torch.allclose(fusion(x, x), x))
        True
    """

    def __init__(self, channels: int, reduction: int = 8):
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.reduce = nn.Conv2d(channels, hidden, 1, bias=False)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(hidden, 2 * channels, 1, bias=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        logits = self.expand(self.act(self.reduce((x + y).mean((2, 3), keepdim=True))))
        share = logits.unflatten(1, (2, -1)).softmax(1)
        return share[:, 0] * x + share[:, 1] * y
