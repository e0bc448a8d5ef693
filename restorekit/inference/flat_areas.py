"""Flat skies whose steps and JPEG blocks a restoration has made visible are smoothed."""

from __future__ import annotations

import cv2
import numpy as np

_BLOCK = 8  # pixels, of JPEG; of a large image more, as its steps are wider
_SIDE = 1000  # longer side up to which blocks have that size
_BLOCKS = 8  # parts of so many rows of blocks, and twice the columns, are mixed at once


def smooth_flat_areas(image: np.ndarray, restored: np.ndarray, flat: float = 4.0) -> np.ndarray:
    """Smooth what a restoration has made of areas that hold nothing but rounding.

    An 8-bit sky is a staircase of single levels, and JPEG adds blocks of one or two. Where haze is removed, both are
    multiplied by the gain, and rings and blocks appear. The green channel's range over 3x3 blocks of pixels tells such
    areas: up to ``flat`` levels in the input is flat, from twice that on there is detail. Only as far as the range has
    grown, too, is the result replaced by its average over some blocks, taken from flat areas alone, and dithered by
    half a level, so that no new steps come. What is not flat, or no steeper than it was, stays bit for bit.

    Args:
        image (ndarray): Input, uint8 (H, W, 3) RGB.
        restored (ndarray): Its restoration, the same shape and type; changed in place.
        flat (float): Levels of 255.

    Returns:
        ndarray: ``restored``.

    Example:
        >>> steps = np.repeat(np.arange(100, 104, dtype=np.uint8), 32)[None, :, None].repeat(64, 0).repeat(3, 2)
        >>> steep = 3 * (steps - 90)
        >>> smooth = smooth_flat_areas(steps, steep.copy())
        >>> [int(np.abs(np.diff(x[32, :, 1].astype(int))).max()) for x in (steep, smooth)]
        [3, 1]
    """
    height, width = image.shape[:2]
    block = _BLOCK * max(1, round(max(height, width) / _SIDE))
    before = _ranges(image, block)
    weight: np.ndarray = np.clip(2 - before / flat, 0, 1)
    if not weight.any():
        return restored
    after = _ranges(restored, block)
    growth = cv2.GaussianBlur(after + 0.5, (0, 0), 2) / cv2.GaussianBlur(before + 0.5, (0, 0), 2)
    weight = cv2.erode(weight * np.clip((growth - 1.1) / 0.4, 0, 1), np.ones((3, 3), np.uint8))
    weight = cv2.GaussianBlur(weight, (0, 0), 1)
    weight[weight < 1 / 64] = 0
    if not weight.any():
        return restored
    rows, columns = weight.shape
    every = block // _BLOCK  # 8x8 pixels of a block are enough for its mean
    blocks = cv2.resize(_padded(restored[::every, ::every], _BLOCK).astype(np.float32), (columns, rows),
                        interpolation=cv2.INTER_AREA)
    share = np.maximum(cv2.GaussianBlur(weight, (0, 0), 2), 1e-3)[..., None]
    mean: np.ndarray = cv2.GaussianBlur(blocks * weight[..., None], (0, 0), 2) / share
    drawn = np.random.default_rng(0).uniform(-0.499, 0.499, (_BLOCKS * block, 2 * _BLOCKS * block, 1))
    noise = drawn.astype(np.float32).repeat(3, axis=2)
    for top in range(0, rows, _BLOCKS):
        for left in range(0, columns, 2 * _BLOCKS):
            around = weight[max(top - 1, 0):top + _BLOCKS + 1, max(left - 1, 0):left + 2 * _BLOCKS + 1]
            if not around.any():
                continue
            box = slice(top * block, (top + _BLOCKS) * block), slice(left * block, (left + 2 * _BLOCKS) * block)
            ours = restored[box]
            size = slice(ours.shape[0]), slice(ours.shape[1])
            smooth = cv2.add(_enlarged(mean, block, top, left)[size], noise[size], dtype=cv2.CV_8U)
            if around.min() < 0.99:
                part = _enlarged(weight, block, top, left)[size]
                smooth = cv2.blendLinear(smooth, ours, part, 1 - part)
            restored[box] = smooth
    return restored


def _ranges(image: np.ndarray, block: int) -> np.ndarray:
    """Greatest difference of green within each block and the eight beside it, float32."""
    plane = _padded(cv2.extractChannel(image, 1), block)
    rows = plane.reshape(-1, block, plane.shape[1])
    high, low = (f(axis=1).reshape(len(rows), -1, block) for f in (rows.max, rows.min))
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
