"""Global statistics of a network: taken from one pass, held fixed in others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from restorekit.messages import InputError

_REDUCTIONS = (torch.ops.aten.mean.dim, torch.ops.aten.amax.default, torch.ops.aten.amin.default)


class RecordStatistics(TorchDispatchMode):
    """Keep every mean, maximum and minimum that a network takes over a whole image, of ``x.mean((2, 3))`` and the like
    as of global average pooling.

    It works on any network, since these end in few operations of torch. ``values`` is the list of the results in the
    order of the pass.

    Example:
        >>> with RecordStatistics() as record, torch.no_grad():
        ...     _ = torch.nn.AdaptiveAvgPool2d(1)(torch.ones(1, 2, 4, 4))
        >>> record.values[0].flatten().tolist()
        [1.0, 1.0]
    """

    def __init__(self) -> None:
        super().__init__()
        self.values: list[Tensor] = []

    def __torch_dispatch__(self, func: OpOverload, types: Sequence[type], args: tuple = (),
                           kwargs: dict | None = None) -> object:
        result = func(*args, **(kwargs or {}))
        if _is_global(func, args):
            self.values.append(result)
        return result


class HoldStatistics(TorchDispatchMode):
    """Replace the averages over a whole image by recorded ones, in the order of the pass.

    Args:
        values (list[Tensor]): From :class:`RecordStatistics`, of the same network.

    Raises:
        InputError: If a pass takes other averages than the recorded ones.
    """

    def __init__(self, values: Sequence[Tensor]):
        super().__init__()
        self.values, self.position = values, 0

    def __torch_dispatch__(self, func: OpOverload, types: Sequence[type], args: tuple = (),
                           kwargs: dict | None = None) -> object:
        if not _is_global(func, args):
            return func(*args, **(kwargs or {}))
        shape = _shape(args, kwargs or {})
        if self.position >= len(self.values) or tuple(self.values[self.position].shape) != shape:
            raise InputError('the network takes other global averages for a tile than for the whole image, so it '
                             'cannot be tiled; use --tile off, or a smaller image')
        value = self.values[self.position]
        self.position += 1
        return value.to(args[0].dtype)


def _is_global(func: OpOverload, args: tuple) -> bool:
    if func not in _REDUCTIONS or args[0].dim() != 4 or len(args) < 2 or args[1] is None:
        return False
    return {2, 3} <= {dim % 4 for dim in args[1]}


def _shape(args: tuple, kwargs: dict) -> tuple[int, ...]:
    dims = {dim % 4 for dim in args[1]}
    keep = args[2] if len(args) > 2 else kwargs.get('keepdim', False)
    sizes = [1 if dim in dims else size for dim, size in enumerate(args[0].shape) if keep or dim not in dims]
    return tuple(sizes)
