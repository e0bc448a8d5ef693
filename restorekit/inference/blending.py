"""What is done with a restored image before it is written: strength, masks, protected highlights."""

from __future__ import annotations

import cv2
import numpy as np

from restorekit.functional.shrink import shrink


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
        height, width = image.shape[:2]
        every = max(1, max(height, width) // (2 * side))  # of a large image every so many pixels are enough
        scale = min(1, side / max(height, width))
        red, green, blue = cv2.split(image[::every, ::every])
        darkest = cv2.min(cv2.min(red, green), blue)
        top = np.iinfo(image.dtype).max if image.dtype.kind == 'u' else 1
        self.height = height
        self.map: np.ndarray | None = None
        if darkest.max() <= low * top:
            return
        small = shrink(darkest[..., None], max(1, round(height * scale)), max(1, round(width * scale)))[..., 0]
        t = np.clip((small / np.float32(top) - low) / (high - low), 0, 1)
        if t.any():
            t = cv2.dilate(t * t * (3 - 2 * t), np.ones((3, 3), np.uint8))
            t = cv2.GaussianBlur(t, (0, 0), max(small.shape) / 256 + 0.5)
            self.map = cv2.resize(t, (width, len(t)), interpolation=cv2.INTER_LINEAR)

    def highlights(self, start: int, stop: int) -> np.ndarray | None:
        """Return float32 (stop - start, W): 1 where the image is kept; None where that is nowhere."""
        if self.map is None:
            return None
        low, high, part = _neighbours(len(self.map), self.height, start, stop)
        if not self.map[low[0]:high[-1] + 1].any():
            return None
        kept: np.ndarray = self.map[low] * (1 - part) + self.map[high] * part
        return kept if kept.any() else None  # a row beside may be bright that no pixel of these takes anything of

    def weight(self, start: int, stop: int) -> np.ndarray | float:
        """Return float32 (stop - start, W, 1): 1 where the image is restored, 0 where it is kept; or 1.0 for all."""
        kept = self.highlights(start, stop)
        return 1.0 if kept is None else 1 - kept[..., None]

    def keep(self, image: np.ndarray, restored: np.ndarray, rows: int = 32) -> np.ndarray:
        """Put the highlights of a uint8 image back into ``restored`` (in place, and returned), where there are any."""
        for start in range(0, self.height, rows):
            part = slice(start, min(start + rows, self.height))
            kept = self.highlights(part.start, part.stop)
            if kept is None:
                continue
            if kept.min() > 1 - 1 / 512:  # all of it, to rounding
                restored[part] = image[part]
                continue
            columns = np.flatnonzero(kept.any(axis=0))
            box = part, slice(int(columns[0]), int(columns[-1]) + 1)
            kept = np.ascontiguousarray(kept[:, box[1]])
            restored[box] = cv2.blendLinear(image[box], restored[box], kept, 1 - kept)
        return restored


def enlarge_rows(small: np.ndarray, height: int, width: int, start: int, stop: int) -> np.ndarray:
    """Return rows ``start`` to ``stop`` of a map enlarged bilinearly to (height, width)."""
    low, high, part = _neighbours(small.shape[0], height, start, stop)
    rows = small[low] * (1 - part) + small[high] * part
    low, high, part = _neighbours(small.shape[1], width, 0, width)
    enlarged: np.ndarray = rows[:, low] * (1 - part.T) + rows[:, high] * part.T
    return enlarged


def _neighbours(small: int, size: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two samples of ``small`` that pixels ``start`` to ``stop`` of ``size`` lie between, and how far, (n, 1)."""
    centre = (np.arange(start, stop) + 0.5) * small / size - 0.5
    low = np.clip(np.floor(centre).astype(int), 0, small - 1)
    return low, np.minimum(low + 1, small - 1), np.clip(centre - low, 0, 1).astype(np.float32)[:, None]


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
