"""A classical way to clear a hazy photo: histogram equalisation."""

from __future__ import annotations

import cv2
import numpy as np


def clahe(image: np.ndarray, clip_limit: float = 2.0, tiles: int = 8) -> np.ndarray:
    """Equalise the lightness by contrast-limited adaptive histograms (Zuiderveld, 1994).

    Args:
        image (ndarray): uint8 (H, W, 3) RGB.
        clip_limit (float): Largest slope of the equalising curve, over the mean height of the histogram.
        tiles (int): Number of tiles in each direction.

    Returns:
        ndarray: uint8 (H, W, 3) RGB, with the chroma (a, b of CIELAB) of the input.

    Example:
        >>> ramp = np.tile(np.arange(100, 164, dtype=np.uint8)[None, :, None], (64, 1, 3))
        >>> int(clahe(ramp).std()) > int(ramp.std())
        True
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(np.ascontiguousarray(lab[..., 0]))
    equalised: np.ndarray = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return equalised
