"""Two classical ways to clear a hazy photo, on 8-bit images: histogram equalisation and the dark channel prior."""

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


def dark_channel_dehaze(image: np.ndarray, window: int = 15, omega: float = 0.95, least: float = 0.1,
                        radius: int = 40, eps: float = 1e-3) -> np.ndarray:
    r"""Remove haze by the dark channel prior (He et al., CVPR 2009), refined by a guided filter (He et al., 2013).

    .. math:: t = 1 - \omega \min_{window} \min_c I_c / A_c, \quad J = (I - A) / \max(t, t_0) + A

    with the airlight A the mean colour of the 0.1 % of the pixels whose dark channel is largest.

    Args:
        image (ndarray): uint8 (H, W, 3) RGB.
        window (int): Odd side of the window of the minimum, in pixels.
        omega (float): Share of the haze that is removed.
        least (float): Smallest transmission t_0.
        radius (int): Radius of the guided filter, in pixels.
        eps (float): Its regularisation, for grey values in [0, 1].

    Returns:
        ndarray: uint8 (H, W, 3) RGB.

    Example:
        >>> clear = np.random.default_rng(0).integers(0, 120, (64, 64, 3))
        >>> hazy = (clear * 0.5 + 255 * 0.5).astype(np.uint8)
        >>> int(dark_channel_dehaze(hazy).std()) > int(hazy.std())
        True
    """
    pixels = image.astype(np.float32) / 255
    kernel = np.ones((window, window), np.uint8)
    dark = cv2.erode(pixels.min(axis=2), kernel)
    count = max(dark.size // 1000, 1)
    airlight = pixels.reshape(-1, 3)[np.argpartition(dark.ravel(), -count)[-count:]].mean(axis=0).clip(0.05)
    rough = 1 - omega * cv2.erode((pixels / airlight).min(axis=2), kernel)
    fine = _guided(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), rough, radius, eps).clip(least, 1)
    restored: np.ndarray = ((pixels - airlight) / fine[..., None] + airlight).clip(0, 1)
    return (restored * 255).round().astype(np.uint8)


def _guided(guide: np.ndarray, image: np.ndarray, radius: int, eps: float) -> np.ndarray:
    def mean(x: np.ndarray) -> np.ndarray:
        blurred: np.ndarray = cv2.blur(x, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)
        return blurred

    centre, level = mean(guide), mean(image)
    slope = (mean(guide * image) - centre * level) / (mean(guide * guide) - centre * centre + eps)
    fine: np.ndarray = mean(slope) * guide + mean(level - slope * centre)
    return fine
