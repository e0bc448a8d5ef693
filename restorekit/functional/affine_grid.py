"""An affine map on a coarse grid, applied to an image of any size: J = M (K I + B)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from .affine_grid_array import grid_rows


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
