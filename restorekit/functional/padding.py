"""Padding to a network's size and its exact inverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def padded_side(size: Any, divisor: int = 1, min_size: int = 1, maximum: Callable[[Any, int], Any] = max
                ) -> tuple[Any, Any]:
    """Return how long one side of an image gets, and how much of that is in front: the rule of every padding here.

    Args:
        size (int): Pixels of the side; also a symbol of ``torch.export``, with ``torch.sym_max`` as ``maximum``.
        divisor (int): The result is a multiple of this.
        min_size (int): The result is at least this (rounded up to a multiple of ``divisor``).
        maximum (Callable): Returns the larger of two numbers.

    Example:
        >>> padded_side(17, divisor=8, min_size=32)
        (32, 7)
    """
    padded = (maximum(size, min_size) + divisor - 1) // divisor * divisor
    return padded, (padded - size) // 2


def pad_to_multiple(image, divisor=1, min_size=1):
    """Pad an image on all sides until both sizes are multiples of ``divisor`` and at least ``min_size``.

    The border is reflected; along a side too short for reflection it is replicated.

    Args:
        image (Tensor): (C, H, W) or (N, C, H, W), H and W at least 1.
        divisor (int): Both output sizes are multiples of this.
        min_size (int): Both output sizes are at least this (rounded up to a multiple of ``divisor``).

    Returns:
        tuple[Tensor, tuple[int, int, int, int]]: The padded image and (left, right, top, bottom) in pixels.

    Example:
        >>> import torch
        >>> padded, padding = pad_to_multiple(torch.rand(3, 5, 9), divisor=4)
        >>> tuple(padded.shape), padding
        ((3, 8, 12), (1, 2, 1, 2))
    """
    import torch.nn.functional as F  # here: the rule above is used without torch, too

    def split(size):
        padded, before = padded_side(size, divisor, min_size)
        return before, padded - size - before

    (top, bottom), (left, right) = split(image.shape[-2]), split(image.shape[-1])
    squeeze = image.dim() == 3
    if squeeze:
        image = image[None]
    for pads, size in (((left, right, 0, 0), image.shape[-1]), ((0, 0, top, bottom), image.shape[-2])):
        if any(pads):
            image = F.pad(image, pads, mode='reflect' if max(pads) < size else 'replicate')
    return (image[0] if squeeze else image), (left, right, top, bottom)


def unpad(image, padding):
    """Undo :func:`pad_to_multiple`: cut (left, right, top, bottom) pixels off (..., H, W)."""
    left, right, top, bottom = padding
    return image[..., top:image.shape[-2] - bottom, left:image.shape[-1] - right]
