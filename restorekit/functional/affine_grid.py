"""An affine map on a coarse grid, applied to an image of any size: J = M (K I + B)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F


def apply_affine_grid(image: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, matrix: torch.Tensor,
                      rows: slice | None = None, height: int | None = None) -> torch.Tensor:
    """Compute ``J = M (K I + B)``, K and B enlarged bilinearly from their grid to the image.

    Differentiable. The enlargement is that of an image (``align_corners=False``).

    Args:
        image (Tensor): I, (N, 3, h, W); with ``rows`` these rows of an image of ``height`` rows.
        gain, bias (Tensor): K and B, (N, 3, gh, gw).
        matrix (Tensor): M, (N, 3, 3); it acts on RGB columns.
        rows (slice, optional): Rows of the whole image that ``image`` holds. Strips put together equal the whole.
        height (int, optional): Height of the whole image; needed with ``rows``.

    Returns:
        Tensor: (N, 3, h, W), not clipped.

    Raises:
        ValueError: If ``image`` does not have the rows that ``rows`` names.

    Example:
        >>> one, zero, eye = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), torch.eye(3)[None]
        >>> apply_affine_grid(torch.ones(1, 3, 4, 4), 2 * one, zero, eye).mean().item()
        2.0
    """
    grid = torch.cat([gain, bias], dim=1).to(image.dtype)
    if rows is None:
        grid = F.interpolate(grid, image.shape[-2:], mode='bilinear', align_corners=False)
    else:
        start, stop, _ = rows.indices(height)
        if image.shape[-2] != stop - start:
            raise ValueError(f'rows {start} to {stop} of {height} are {stop - start} rows, but got an image of '
                             f'{image.shape[-2]} rows')
        grid = enlarge_rows(grid, height, image.shape[-1], rows)
    scaled = grid[:, :3] * image + grid[:, 3:]
    matrix = matrix.to(image.dtype)
    return (matrix[..., None, None] * scaled[:, None]).sum(dim=2)


def enlarge_rows(grid: torch.Tensor, height: int, width: int, rows: slice) -> torch.Tensor:
    """Return ``rows`` of the grid (N, C, gh, gw) enlarged bilinearly to (N, C, height, width), and only these."""
    start, stop, _ = rows.indices(height)
    below, above, weight = grid_rows(grid.shape[-2], height, np.arange(start, stop))
    weight = torch.from_numpy(weight).to(grid)[:, None]
    below, above = (torch.from_numpy(index).to(grid.device) for index in (below, above))
    grid = F.interpolate(grid, (grid.shape[-2], width), mode='bilinear', align_corners=False)
    return torch.lerp(grid[:, :, below], grid[:, :, above], weight)


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
    """:func:`apply_affine_grid` for an 8-bit image on the CPU, at the speed of its memory.

    ``M (K I + B) = M (K I) + M B``, and M B is computed on the grid. K and M B are enlarged along the rows once and
    along the columns strip by strip, two rows of the grid at a time, as a product of matrices; no more than one strip
    is ever held in float.

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


def _enlarge_columns(grid, width):
    """A grid (gh, gw, 3) enlarged along its rows: float32 (gh, 3 width)."""
    grid = np.ascontiguousarray(grid, np.float32)
    return cv2.resize(grid, (width, len(grid)), interpolation=cv2.INTER_LINEAR).reshape(len(grid), -1)


def area_resize(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Shrink or enlarge by exact area averages, as two matrix products: differentiable, exports to ONNX at any size.

    Args:
        image (Tensor): (N, C, H, W).
        size (tuple[int, int]): Height and width of the result.

    Returns:
        Tensor: (N, C, *size); each pixel is the mean of the part of the image that it covers.

    Example:
        >>> area_resize(torch.arange(4.).view(1, 1, 1, 4), (1, 2)).flatten().tolist()
        [0.5, 2.5]
    """
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # then the size is any
    if not traced and tuple(image.shape[-2:]) == tuple(size):
        return image
    rows = _coverage(image.shape[-2], size[0], image)
    columns = _coverage(image.shape[-1], size[1], image)
    return rows @ (image @ columns.mT)


def _coverage(length, wanted, like):
    """The share (wanted, length) of each source pixel in each result pixel; rows sum to 1."""
    scale = length / wanted
    start = torch.arange(wanted, dtype=like.dtype, device=like.device)[:, None] * scale
    source = torch.arange(length, dtype=like.dtype, device=like.device)[None]
    overlap = torch.minimum(source + 1, start + scale) - torch.maximum(source, start)
    return overlap.clamp(min=0) / scale
