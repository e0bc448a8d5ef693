"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class NetworkCost:
    """Cost of a network.

    Attributes:
        parameters (int): Numbers learned or loaded; buffers do not count.
        macs (int): Multiply-adds of convolutions and matrix products for one image; additions, activations, norms,
            products of two maps and resizing do not count.
        size (tuple[int, int]): Height and width of that image.
    """

    parameters: int
    macs: int
    size: tuple[int, int]


def network_cost(network: nn.Module, height: int = 256, width: int = 256) -> NetworkCost:
    """Count parameters and multiply-adds of ``network`` for one image of ``height`` x ``width``.

    Nothing is computed: a copy without data runs on torch's meta device, which takes a moment even for a large network.
    A network that asks for its values on the way runs on data.

    Args:
        network (nn.Module): Takes (1, 3, height, width); in training or eval mode, it is left as it was.
        height (int): Height in pixels; the paper's tables use 256.
        width (int): Width in pixels.

    Example:
        >>> from restorekit.models import AODNet
        >>> network_cost(AODNet()).parameters
        1761
    """
    parameters = sum(parameter.numel() for parameter in network.parameters())
    ghost = copy.deepcopy(network).eval()
    try:
        macs = _count(ghost.to('meta'), torch.empty(1, 3, height, width, device='meta'))
    except NotImplementedError:  # an operator whose result's shape depends on values
        macs = _count(copy.deepcopy(network).eval(), torch.rand(1, 3, height, width))
    return NetworkCost(parameters, macs, (height, width))


@torch.no_grad()
def _count(network, image):
    with FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops() // 2
