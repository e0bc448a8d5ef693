"""What is done with a restored image before it is written: strength, masks, protected highlights."""

from __future__ import annotations

import cv2
import numpy as np


def srgb_to_linear(image: np.ndarray) -> np.ndarray:
    """Decode float32 sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(image <= 0.04045, image / 12.92, ((np.maximum(image, 0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(image: np.ndarray) -> np.ndarray:
    """Encode float32 linear light in [0, 1] to sRGB."""
    return np.where(image <= 0.0031308, image * 12.92, 1.055 * np.maximum(image, 0) ** (1 / 2.4) - 0.055)


def blend(image: np.ndarray, restored: np.ndarray, weight: float | np.ndarray, linear: bool = True) -> np.ndarray:
    """Mix the input and its restoration.

    ``out = (1 - w) image + w restored``, in linear light: half of the haze removed looks like half of the haze.

    Args:
        image, restored (ndarray): float32 (H, W, 3) in [0, 1]; ``restored`` is clipped to that.
        weight (float | ndarray): In [0, 1]; a number, or (H, W, 1).
        linear (bool): Decode sRGB before and encode after. Networks that correct the encoded values by coefficients
            are mixed without: that is the same as mixing their coefficients.

    Example:
        >>> half = blend(np.zeros((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32), 0.5)
        >>> round(float(half[0, 0, 0]), 3)
        0.735
    """
    if isinstance(weight, (int, float)) and weight in (0, 1):
        return restored if weight else image
    restored = np.clip(restored, 0, 1)
    if not linear:
        mixed: np.ndarray = image + (restored - image) * weight
        return mixed
    mixed = linear_to_srgb(srgb_to_linear(image) * (1 - weight) + srgb_to_linear(restored) * weight)
    # where nothing is mixed, nothing is rounded either
    return np.where(weight == 0, image, np.where(weight == 1, restored, mixed)).astype(np.float32)


class HighlightGuard:
    """Weights that keep clipped skies and lamps as they are.

    A pixel is a highlight as far as its darkest channel lies above ``low`` (fully from ``high``). The map is made on a
    copy of at most ``side`` pixels, widened by a blur so that it has no edge of its own, and enlarged row by row.

    Args:
        image (ndarray): The whole image, (H, W, 3), uint8, uint16 or float32 in [0, 1].
        low, high (float): Of the darkest channel, in [0, 1].
        side (int): Longer side of the copy.
    """

    def __init__(self, image: np.ndarray, low: float = 0.9, high: float = 0.98, side: int = 512):
        from restorekit.files.photo import to_depth
        height, width = image.shape[:2]
        scale = min(1, side / max(height, width))
        small = shrink(image, max(1, round(height * scale)), max(1, round(width * scale)))
        if image.dtype.kind == 'u':
            small = small / np.float32(np.iinfo(image.dtype).max)
        t = np.clip((to_depth(small, np.float32).min(axis=2) - low) / (high - low), 0, 1)
        t = t * t * (3 - 2 * t)
        self.map = cv2.GaussianBlur(cv2.dilate(t, np.ones((3, 3), np.uint8)), (0, 0), max(small.shape[:2]) / 256 + 0.5)
        self.height, self.width = height, width

    def weight(self, start: int, stop: int) -> np.ndarray:
        """Return float32 (stop - start, W, 1): 1 where the image is restored, 0 where it is kept."""
        return 1 - enlarge_rows(self.map, self.height, self.width, start, stop)[..., None]

    def keep(self, image: np.ndarray, restored: np.ndarray, rows: int = 64) -> np.ndarray:
        """Put the highlights of a uint8 image back into ``restored`` (in place, and returned), where there are any."""
        for start in range(0, self.height if self.map.any() else 0, rows):
            part = slice(start, min(start + rows, self.height))
            weight = self.weight(part.start, part.stop)
            if weight.min() < 1:
                restored[part] = np.rint(image[part] + weight * (restored[part].astype(np.float32) - image[part]))
        return restored


def shrink(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the average over areas, float32 (height, width, C) in the range of the image; in the memory of one row.

    Each value is the mean of the source pixels under it, those at its border in part.

    Example:
        >>> shrink(np.arange(8, dtype=np.uint8).reshape(2, 4, 1), 1, 2).ravel().tolist()
        [2.5, 4.5]
    """
    source = image.shape[0]
    if height > source or width > image.shape[1]:
        return cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA).reshape(
            height, width, -1)
    rows = np.empty((height, image.shape[1], image.shape[2]), np.float32)
    edges = np.arange(height + 1) * (source / height)
    for i in range(height):
        first, last = int(edges[i]), min(int(np.ceil(edges[i + 1] - 1e-9)), source)
        parts = np.minimum(np.arange(first, last) + 1, edges[i + 1]) - np.maximum(np.arange(first, last), edges[i])
        rows[i] = np.einsum('i,ijk->jk', (parts / parts.sum()).astype(np.float32), image[first:last], dtype=np.float32,
                            casting='unsafe')
    if width == image.shape[1]:
        return rows
    edges = np.arange(width + 1) * (image.shape[1] / width)
    whole = np.concatenate([np.zeros((height, 1, image.shape[2])), np.cumsum(rows, axis=1, dtype=np.float64)], axis=1)
    low = np.minimum(edges.astype(int), image.shape[1] - 1)
    part = (edges - low)[None, :, None]
    at = whole[:, low] * (1 - part) + whole[:, low + 1] * part
    means: np.ndarray = np.diff(at, axis=1) * (width / image.shape[1])
    return means.astype(np.float32)


def enlarge_rows(small: np.ndarray, height: int, width: int, start: int, stop: int) -> np.ndarray:
    """Return rows ``start`` to ``stop`` of a map enlarged bilinearly to (height, width)."""
    centre = (np.arange(start, stop) + 0.5) * small.shape[0] / height - 0.5
    low = np.clip(np.floor(centre).astype(int), 0, small.shape[0] - 1)
    high = np.minimum(low + 1, small.shape[0] - 1)
    part = np.clip(centre - low, 0, 1).astype(np.float32)[:, None]
    rows = small[low] * (1 - part) + small[high] * part
    centre = (np.arange(width) + 0.5) * small.shape[1] / width - 0.5
    low = np.clip(np.floor(centre).astype(int), 0, small.shape[1] - 1)
    high = np.minimum(low + 1, small.shape[1] - 1)
    part = np.clip(centre - low, 0, 1).astype(np.float32)[None]
    enlarged: np.ndarray = rows[:, low] * (1 - part) + rows[:, high] * part
    return enlarged


def fill_transparent(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give fully transparent pixels the colours around them, so that what they hold does not bleed over the edge.

    Colours are averaged over ever larger squares of the visible pixels.

    Args:
        pixels (ndarray): (H, W, 3), not premultiplied.
        alpha (ndarray): (H, W).

    Returns:
        ndarray: (H, W, 3) of the same dtype; visible pixels are unchanged.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    weight = (~hidden).astype(np.float32)
    colour = pixels.astype(np.float32) * weight[..., None]
    levels = []
    while True:
        levels.append((colour, weight))
        if max(weight.shape) == 1:
            break
        size = (max(1, weight.shape[1] // 2), max(1, weight.shape[0] // 2))
        colour, weight = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (colour, weight))
    filled = levels[-1][0].reshape(1, 1, 3) / levels[-1][1].reshape(1, 1, 1)
    for colour, weight in reversed(levels[:-1]):
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        share = weight[..., None]
        filled = colour + coarse * (1 - share)  # colour is already multiplied by its weight
    result: np.ndarray = pixels.copy()
    top = {'uint8': 255, 'uint16': 65535}.get(pixels.dtype.name)
    values = filled[hidden]
    result[hidden] = (np.rint(values).clip(0, top) if top else values).astype(pixels.dtype)
    return result
