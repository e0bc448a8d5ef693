"""An affine map on a coarse grid, applied to arrays without torch."""

from __future__ import annotations

import cv2
import numpy as np


def grid_rows(size: int, height: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each of ``rows`` of an image of ``height`` rows, the two rows of a grid of ``size`` and the weight
    (float32) of the second, in bilinear enlargement.

    Example:
        >>> [x.tolist() for x in grid_rows(2, 4, np.arange(4))]
        [[0, 0, 0, 1], [1, 1, 1, 1], [0.0, 0.25, 0.75, 0.0]]
    """
    place = np.clip((rows + 0.5) * (size / height) - 0.5, 0, size - 1)
    below = np.minimum(place.astype(np.int64), size - 1)
    return below, np.minimum(below + 1, size - 1), (place - below).astype(np.float32)


def apply_affine_grid_array(image: np.ndarray, gain: np.ndarray, bias: np.ndarray, matrix: np.ndarray,
                            strength: float = 1.0, strip: int = 1 << 18) -> np.ndarray:
    """Compute ``J = M (K I + B)`` for an 8-bit image, at the speed of its memory.

    What :func:`~restorekit.functional.affine_grid.apply_affine_grid` does with tensors. ``M (K I + B)`` is
    ``M (K I) + M B``, and M B is computed on the grid. K and M B are enlarged along the rows once and along the columns
    strip by strip, two rows of the grid at a time, as a product of matrices; no more than one strip is ever held in
    float.

    Args:
        image (ndarray): uint8 (H, W, 3) RGB.
        gain, bias (ndarray): float32 (gh, gw, 3), for an image in [0, 1].
        matrix (ndarray): float32 (3, 3).
        strength (float): 1 gives J, 0 the image itself; in between the mean of both, J clipped, with this weight.
        strip (int): Values computed at once.

    Returns:
        ndarray: uint8 (H, W, 3), rounded and clipped.
    """
    height, width = image.shape[:2]
    matrix = np.asarray(matrix, np.float32)
    gain_rows, bias_rows = (_enlarge_columns(x, width) for x in (gain, bias @ matrix.T * 255))
    below, above, weight = grid_rows(gain.shape[0], height, np.arange(height))
    out = np.empty(image.shape, np.uint8)
    identity = bool((matrix == np.eye(3, dtype=np.float32)).all())
    most, start = max(1, strip // (3 * width)), 0
    while start < height:
        cell = below[start]  # rows that lie between the same two rows of the grid
        stop = start + int(np.searchsorted(below[start:start + most], cell, side='right'))
        weights = np.stack([1 - weight[start:stop], weight[start:stop]], axis=1)
        pair = [cell, above[start]]
        strip_gain, strip_bias = weights @ gain_rows[pair], weights @ bias_rows[pair]
        seen = image[start:stop]
        part = cv2.multiply(seen.reshape(stop - start, -1), strip_gain, dst=strip_gain, dtype=cv2.CV_32F)
        part, strip_bias = part.reshape(seen.shape), strip_bias.reshape(seen.shape)
        if not identity:
            part = cv2.transform(part, matrix)
        if strength == 1:
            cv2.add(part, strip_bias, dst=out[start:stop], dtype=cv2.CV_8U)
        else:
            part = np.clip(part + strip_bias, 0, 255)
            cv2.addWeighted(part, strength, seen, 1 - strength, 0, dst=out[start:stop], dtype=cv2.CV_8U)
        start = stop
    return out


def apply_affine_rows(rows: np.ndarray, gain: np.ndarray, bias: np.ndarray, matrix: np.ndarray, start: int, height: int
                      ) -> np.ndarray:
    """Compute ``J = M (K I + B)`` for some rows of an image, in floats.

    Args:
        rows (ndarray): I, float32 (h, W, 3) RGB in [0, 1]: rows ``start`` and following.
        gain, bias, matrix (ndarray): See :func:`apply_affine_grid_array`.
        start (int): The first of the rows in the whole image.
        height (int): Rows of the whole image.

    Returns:
        ndarray: float32 (h, W, 3), not clipped; strips put together equal the whole.

    Example:
        >>> one, eye = np.ones((2, 2, 3), np.float32), np.eye(3, dtype=np.float32)
        >>> apply_affine_rows(np.ones((1, 4, 3), np.float32), 2 * one, one, eye, start=3, height=9)[0, 0].tolist()
        [3.0, 3.0, 3.0]
    """
    below, above, weight = grid_rows(gain.shape[0], height, np.arange(start, start + len(rows)))
    matrix, weight = np.asarray(matrix, np.float32), weight[:, None]
    gain, bias = (_enlarge_columns(x, rows.shape[1]) for x in (gain, bias @ matrix.T))
    gain, bias = (x[below] + (x[above] - x[below]) * weight for x in (gain, bias))
    restored: np.ndarray = cv2.transform(rows * gain.reshape(rows.shape), matrix) + bias.reshape(rows.shape)
    return restored


def _enlarge_columns(grid, width):
    """A grid (gh, gw, 3) enlarged along its rows: float32 (gh, 3 width)."""
    grid = np.ascontiguousarray(grid, np.float32)
    return cv2.resize(grid, (width, len(grid)), interpolation=cv2.INTER_LINEAR).reshape(len(grid), -1)
