"""Averages over areas of an image, in little memory."""

from __future__ import annotations

import cv2
import numpy as np


def shrink(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the average over areas, float32 (height, width, C) in the range of the image; in the memory of a strip.

    Each value is the mean of the source pixels under it, those at its border in part.

    Example:
        >>> shrink(np.arange(8, dtype=np.uint8).reshape(2, 4, 1), 1, 2).ravel().tolist()
        [2.5, 4.5]
    """
    source, channels = image.shape[0], image.shape[2]
    rows = max(1, 2 ** 18 // image.shape[1])
    narrow = np.empty((source, width, channels), np.float32)
    for start in range(0, source, rows):
        strip = image[start:start + rows].astype(np.float32)
        narrow[start:start + rows] = cv2.resize(strip, (width, len(strip)), interpolation=cv2.INTER_AREA).reshape(
            len(strip), width, channels)
    return cv2.resize(narrow, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, channels)
