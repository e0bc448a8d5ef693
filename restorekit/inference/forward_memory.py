"""How much memory a forward pass takes."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

_CONVOLUTIONS = ('convolution', 'convolution_overrideable', 'mkldnn_convolution', '_convolution')
_NORMS = ('native_layer_norm', 'native_group_norm')


class _Live(TorchDispatchMode):
    """Follows the bytes of living tensors; ``peak`` is the most at one time, scratch of convolutions included."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak = 0, 0
        self.seen: dict[int, int] = {}

    def __torch_dispatch__(self, func: OpOverload, types: Sequence[type], args: tuple = (),
                           kwargs: dict | None = None) -> object:
        result = func(*args, **(kwargs or {}))
        tensors = [x for x in (result if isinstance(result, (tuple, list)) else [result]) if torch.is_tensor(x)]
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = id(storage)
            if key not in self.seen:
                size = storage.nbytes()
                self.seen[key] = size
                self.now += size
                weakref.finalize(storage, self._free, key)
        scratch = 0
        if func.overloadpacket.__name__ in _CONVOLUTIONS:  # oneDNN and cuDNN copy input and output to their layouts
            scratch = sum(x.numel() * x.element_size() for x in (args[0], *tensors))
        elif func.overloadpacket.__name__ in _NORMS and not args[0].is_contiguous():  # they copy it first
            scratch = args[0].numel() * args[0].element_size()
        self.peak = max(self.peak, self.now + scratch)
        return result

    def _free(self, key: int) -> None:
        self.now -= self.seen.pop(key, 0)


def forward_memory(network: torch.nn.Module, height: int, width: int) -> int:
    """Return the bytes that a forward pass of one float32 image takes beyond the weights, input and output included.

    Measured, not guessed: the network is run on the meta device, where tensors have sizes but no content, and the
    bytes of living tensors are counted. A network that cannot run there runs on a small image, and the count grows
    with the pixels.

    Args:
        network (nn.Module): Its own weights are neither changed nor copied.
        height, width (int): Padded size of the image.

    Example:
        >>> forward_memory(torch.nn.Conv2d(3, 8, 1), 100, 100)  # input and output, twice
        880000
    """
    try:
        memo: dict[int, Tensor] = {}
        for tensor in (*network.parameters(), *network.buffers()):
            shape = tensor.detach().to('meta')
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            memo[id(tensor)] = torch.nn.Parameter(shape, requires_grad=False) if is_parameter else shape
        return _peak(copy.deepcopy(network, memo).eval(), torch.empty(1, 3, height, width, device='meta'))
    except (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError):
        divisor, smallest = getattr(network, 'size_divisor', 1), getattr(network, 'min_size', 1)
        side = -(-max(128, smallest) // divisor) * divisor
        if side * side > height * width:
            side = max(height, width)
        device = next(network.parameters(), torch.empty(0)).device
        return round(_peak(network, torch.rand(1, 3, side, side, device=device)) * height * width / side ** 2)


@torch.no_grad()
def _peak(network: torch.nn.Module, x: Tensor) -> int:
    live = _Live()
    live.now = live.peak = x.numel() * x.element_size()
    live.seen[id(x.untyped_storage())] = 0
    with live:
        network(x)
    return live.peak
