"""What haze, dust and night do to the statistics of a photo, and how far synthetic images reach that."""

from __future__ import annotations

import cv2
import numpy as np

from restorekit.messages import InputError

#: The numbers measured of one image, in this order.
STATISTICS = ('airlight_red', 'airlight_green', 'airlight_blue', 'dark_channel', 'saturation', 'noise')
BINS = 32


def dark_channel(image: np.ndarray, patch: int = 9) -> np.ndarray:
    """Return the smallest channel in the ``patch`` x ``patch`` window of each pixel (He, Sun and Tang 2009).

    Args:
        image (ndarray): (H,W,3) uint8 RGB.
        patch (int): Odd, pixels.

    Returns:
        ndarray: (H,W) uint8.

    Example:
        >>> int(dark_channel(np.full((4, 4, 3), 9, np.uint8)).max())
        9
    """
    return cv2.erode(image.min(axis=2), np.ones((patch, patch), np.uint8), borderType=cv2.BORDER_REPLICATE)


def noise_level(image: np.ndarray) -> float:
    """Estimate the standard deviation of the noise, in 1/255.

    The median of the absolute response of luma to the difference of two Laplacians (Immerkaer, Fast Noise Variance
    Estimation, 1996), scaled as for normal noise; the median is not misled by edges. Black and white pixels, where
    noise is cut off, are left out.

    Args:
        image (ndarray): (H,W,3) uint8 RGB.

    Returns:
        float: Estimate, 0 where every pixel is black or white.

    Example:
        >>> noise_level(np.full((8, 8, 3), 9, np.uint8))
        0.0
    """
    luma = image.astype(np.float32) @ np.float32([0.299, 0.587, 0.114])
    kernel = np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    response = np.abs(cv2.filter2D(luma, -1, kernel, borderType=cv2.BORDER_REFLECT_101))
    response = response[(luma > 2) & (luma < 253)]
    return float(np.median(response)) / 0.6745 / 6 if response.size else 0.


def image_statistics(image: np.ndarray, patch: int = 9) -> dict[str, float]:
    """Measure one image as CID's paper (2025) compares synthetic with real scenes.

    Args:
        image (ndarray): (H,W,3) uint8 RGB. Compare images of about the same size: noise shrinks with them.
        patch (int): Window of the dark channel.

    Returns:
        dict: ``vector``, (6,) float64: the mean colour of the 0.1 % of pixels with the brightest dark channel (an
        estimate of the airlight) in [0, 1]; the means of the dark channel and of the HSV saturation in [0, 1]; the
        noise level in 1/255. ``dark_channel`` and ``saturation``, (32,): their histograms, each sums to 1.

    Example:
        >>> image_statistics(np.full((8, 8, 3), 255, np.uint8))['vector'].tolist()
        [1.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    """
    dark = dark_channel(image, patch)
    count = max(1, dark.size // 1000)
    brightest = np.argpartition(dark.ravel(), dark.size - count)[-count:]
    airlight = image.reshape(-1, 3)[brightest].mean(axis=0) / 255
    highest = image.max(axis=2).astype(np.float64)
    saturation = (highest - image.min(axis=2)) / np.maximum(highest, 1)
    return {'vector': np.array([*airlight, dark.mean() / 255, saturation.mean(), noise_level(image)]),
            'dark_channel': np.histogram(dark / 255, BINS, (0, 1))[0] / dark.size,
            'saturation': np.histogram(saturation, BINS, (0, 1))[0] / dark.size}


def coverage(real, synthetic, neighbours=5):
    """Say how well synthetic images cover real ones.

    Args:
        real (list of dict): From :func:`image_statistics`, more than ``neighbours`` of them.
        synthetic (list of dict): The same.
        neighbours (int): k.

    Returns:
        dict: All in [0, 1].

        - ``inside``: share of the real images each of whose statistics lies between the 2nd and the 98th percentile
          of the synthetic ones;
        - ``near``: share of the real images with a synthetic one no farther than their k-th nearest real one, the
          statistics scaled by the real ones' standard deviations ("coverage" of Naeem et al., 2020). Real images
          against other real ones would score nearly 1;
        - ``dark_channel``, ``saturation``: overlap of the mean histograms, ``sum_i min(p_i, q_i)``.

    Raises:
        ValueError: If there are too few real images, or no synthetic one.

    Example:
        >>> items = [image_statistics(np.full((8, 8, 3), 25 * k, np.uint8)) for k in range(10)]
        >>> coverage(items, items)['near']
        1.0
    """
    if len(real) <= neighbours or not synthetic:
        raise InputError(f'coverage needs more than neighbours={neighbours} real images and at least one synthetic '
                         f'one, but got {len(real)} and {len(synthetic)}')
    a, b = (np.stack([item['vector'] for item in items]) for items in (real, synthetic))
    low, high = np.percentile(b, [2, 98], axis=0)
    scale = np.maximum(a.std(axis=0), 1e-6)
    a_scaled, b_scaled = a / scale, b / scale
    radius = np.sort(_distances(a_scaled, a_scaled), axis=1)[:, neighbours]  # column 0 is the image itself
    result = {'inside': float(((a >= low) & (a <= high)).all(axis=1).mean()),
              'near': float((_distances(a_scaled, b_scaled).min(axis=1) <= radius).mean())}
    for name in ('dark_channel', 'saturation'):
        p, q = (np.mean([item[name] for item in items], axis=0) for items in (real, synthetic))
        result[name] = float(np.minimum(p, q).sum())
    return result


def _distances(a, b):
    return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2))
