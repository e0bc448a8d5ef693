"""Flat skies: their steps and JPEG blocks are not made visible by a restoration."""

from __future__ import annotations

import math

import cv2
import numpy as np

_BLOCK = 8  # pixels, of JPEG; of a large image more, as its steps are wider
_SIDE = 1000  # longer side up to which blocks have that size
_BLOCKS = 8  # parts of so many rows of blocks, and twice the columns, are mixed at once


def smooth_flat_areas(image: np.ndarray, restored: np.ndarray, flat: float = 4.0) -> np.ndarray:
    """Give areas that hold nothing but rounding the contrast that they had, around their new mean.

    An 8-bit sky is a staircase of single levels, and JPEG adds blocks of one or two. Where haze is removed, both are
    multiplied by the gain, and rings and blocks appear. The range of values over 3x3 blocks of pixels tells such areas:
    up to ``flat`` levels in the input is flat, from twice that on there is detail (red and blue count half, as JPEG
    keeps them coarser). With the average a of some blocks and the growth g of the range, a flat area becomes
    ``a + (restored - a) / g``: the slope of the sky is restored, what lies on it stays as faint as it was. Blocks with
    detail, and what is no steeper than it was, stay bit for bit.

    Args:
        image (ndarray): Input, uint8 (H, W, 3) RGB.
        restored (ndarray): Its restoration, the same shape and type; changed in place.
        flat (float): Levels of 255.

    Returns:
        ndarray: ``restored``.

    Example:
        >>> steps = np.repeat(np.arange(100, 104, dtype=np.uint8), 32)[None, :, None].repeat(64, 0).repeat(3, 2)
        >>> steep = 4 * (steps - 90)
        >>> smooth = smooth_flat_areas(steps, steep.copy())
        >>> [int(np.abs(np.diff(x[32, :, 1].astype(int))).max()) for x in (steep, smooth)]
        [4, 2]
    """
    height, width = image.shape[:2]
    block = _BLOCK * 2 ** max(0, round(math.log2(max(height, width) / _SIDE)))
    small = _thinned(image, block)
    green = _ranges(small, 1, block)
    if green.min() >= 2 * flat:
        return restored
    spread = np.maximum(green, np.maximum(_ranges(small, 0, block), _ranges(small, 2, block)) / 2)
    evenness: np.ndarray = np.clip(2 - spread / flat, 0, 1)
    growth = (cv2.GaussianBlur(_ranges(_thinned(restored, block), 1, block) + 0.5, (0, 0), 2)
              / cv2.GaussianBlur(green + 0.5, (0, 0), 2))
    weight = cv2.erode(evenness * (1 - 1 / np.maximum(growth, 1)), np.ones((3, 3), np.uint8))
    weight = cv2.GaussianBlur(weight, (0, 0), 1) * (evenness > 0)
    weight[weight < 1 / 64] = 0
    if not weight.any():
        return restored
    rows, columns = weight.shape
    every = block // _BLOCK  # 8x8 pixels of a block are enough for its mean
    blocks = cv2.resize(_padded(restored[::every, ::every], _BLOCK).astype(np.float32), (columns, rows),
                        interpolation=cv2.INTER_AREA)
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), 2), 1e-6)[..., None]
    mean: np.ndarray = cv2.GaussianBlur(blocks * weight[..., None], (0, 0), 2) / share
    for top in range(0, rows, _BLOCKS):
        for left in range(0, columns, 2 * _BLOCKS):
            if not weight[max(top - 1, 0):top + _BLOCKS + 1, max(left - 1, 0):left + 2 * _BLOCKS + 1].any():
                continue
            box = slice(top * block, (top + _BLOCKS) * block), slice(left * block, (left + 2 * _BLOCKS) * block)
            ours = restored[box]
            size = slice(ours.shape[0]), slice(ours.shape[1])
            part, smooth = (_enlarged(x, block, top, left)[size] for x in (weight, mean))
            restored[box] = cv2.blendLinear(smooth, ours.astype(np.float32), part, 1 - part).round()
    return restored


def _thinned(image: np.ndarray, block: int) -> np.ndarray:
    """Of a large image every so many pixels: 16x16 of a block are enough."""
    step = max(1, block // 16)
    height, width = (-(-side // step) for side in image.shape[:2])
    return image if step == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)


def _ranges(image: np.ndarray, channel: int, block: int) -> np.ndarray:
    """Greatest difference of a channel of what is :func:`_thinned` in each block and the eight beside it, float32."""
    side = min(block, 16)
    plane = _padded(cv2.extractChannel(image, channel), side)
    rows = plane.reshape(-1, side, plane.shape[1])
    high, low = (f(axis=1).reshape(len(rows), -1, side) for f in (rows.max, rows.min))
    square = np.ones((3, 3), np.uint8)
    high, low = cv2.dilate(high.max(axis=2), square), cv2.erode(low.min(axis=2), square)
    return (high - low).astype(np.float32)


def _padded(image: np.ndarray, block: int) -> np.ndarray:
    bottom, right = (-side % block for side in image.shape[:2])
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE) if bottom or right else image


def _enlarged(small: np.ndarray, block: int, top: int, left: int) -> np.ndarray:
    """A part of a map of blocks enlarged bilinearly to pixels."""
    rows, columns = np.arange(top - 1, top + _BLOCKS + 1), np.arange(left - 1, left + 2 * _BLOCKS + 1)
    part = small[rows.clip(0, small.shape[0] - 1)][:, columns.clip(0, small.shape[1] - 1)]
    part = cv2.resize(part, (block * len(columns), block * len(rows)), interpolation=cv2.INTER_LINEAR)
    inner: np.ndarray = part[block:-block, block:-block]
    return inner
