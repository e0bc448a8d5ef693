"""What the weights of every reconstruction loss mean."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from restorekit.functional.image_quality import check_image_pair
from restorekit.messages import InputError

REDUCTIONS = ('mean', 'sample', 'none')


def check_loss_inputs(pred, target, weight=None):
    """Raise a ValueError unless pred, target and weight fit each other.

    Args:
        pred (Tensor): (N, C, H, W).
        target (Tensor): The same shape.
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, C, H, W).
    """
    check_image_pair(pred, target)
    if weight is None:
        return
    n, c, h, w = pred.shape
    allowed = ((n,), (n, 1, h, w), (n, c, h, w))
    if tuple(weight.shape) not in allowed:
        raise InputError(f'weight is {tuple(weight.shape)} for images {tuple(pred.shape)}; give one number per sample '
                         f'{allowed[0]} or per pixel {allowed[1]} or {allowed[2]}')


def weighted_reduce(error, weight=None, reduction='mean'):
    """Multiply an error by its weight, then reduce it. Weights of one change nothing.

    Args:
        error (Tensor): (N, C, H, W).
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, C, H, W); it multiplies the error before the mean, and the
            mean is not divided by the weights' sum.
        reduction (str): 'mean' (scalar), 'sample' (N,), the mean over C, H and W, or 'none' (N, C, H, W).

    Returns:
        Tensor: The reduced error.

    Example:
        >>> import torch
        >>> weighted_reduce(torch.ones(2, 3, 4, 4), torch.tensor([0.0, 1.0])).item()
        0.5
    """
    if reduction not in REDUCTIONS:
        raise InputError(f'reduction must be one of {", ".join(map(repr, REDUCTIONS))}, but got {reduction!r}')
    if weight is not None:
        error = error * (weight.view(-1, 1, 1, 1) if weight.ndim == 1 else weight)
    if reduction == 'none':
        return error
    return error.mean() if reduction == 'mean' else error.mean(dim=(1, 2, 3))


def middle(weight: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Return the part of a weight that lies under a 'valid' map, which starts half a window inside the image.

    Args:
        weight (Tensor): (N, C, H, W).
        size (Sequence[int]): Height and width of the map.

    Example:
        >>> middle(torch.arange(4.0).view(1, 1, 1, 4), (1, 2)).tolist()
        [[[[1.0, 2.0]]]]
    """
    top, left = (weight.shape[-2] - size[0]) // 2, (weight.shape[-1] - size[1]) // 2
    return weight[..., top:top + size[0], left:left + size[1]]


def weight_at(weight: torch.Tensor | None, size: Sequence[int]) -> torch.Tensor | None:
    """Return a weight for maps of another size and number of channels.

    Args:
        weight (Tensor | None): None or (N,) are returned as they are; (N, C, H, W) is averaged over C and over areas.
        size (Sequence[int]): Height and width of the maps.

    Returns:
        Tensor | None: (N, 1, *size) in the last case.

    Example:
        >>> tuple(weight_at(torch.ones(2, 3, 8, 8), (4, 4)).shape)
        (2, 1, 4, 4)
    """
    if weight is None or weight.ndim == 1:
        return weight
    return F.interpolate(weight.mean(dim=1, keepdim=True), tuple(size), mode='area')
