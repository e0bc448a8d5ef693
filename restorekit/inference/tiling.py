"""Restoring a large image in tiles that overlap and are blended smoothly, in the memory of one row of tiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from restorekit.functional.padding import padded_side


@dataclasses.dataclass(frozen=True)
class Axis:
    """How one side of the padded image is cut.

    Attributes:
        size (int): Pixels of the image along this side.
        index (ndarray): Row (or column) of the image that each row of the padded image shows.
        before (int): Padding in front.
        tile (int): Pixels of a tile.
        starts (tuple[int, ...]): Where the tiles start in the padded image.
        ramp (int): Width of the blend between neighbours.
    """

    size: int
    index: np.ndarray
    before: int
    tile: int
    starts: tuple[int, ...]
    ramp: int

    def bounds(self) -> list[int]:
        """Centres of the overlaps of neighbours, with both ends of the padded image."""
        inner = [(start + before + self.tile) // 2
                 for before, start in zip(self.starts[:-1], self.starts[1:], strict=True)]
        return [0, *inner, len(self.index)]

    def active(self, number: int) -> tuple[int, int]:
        """First and last (exclusive) row of the padded image to which a tile contributes."""
        bounds, half = self.bounds(), self.ramp // 2
        return max(0, bounds[number] - half if number else 0), \
            (bounds[number + 1] + half if number + 1 < len(self.starts) else len(self.index))

    def weights(self, number: int) -> np.ndarray:
        """Weights of a tile on its active rows; those of all tiles sum to 1 everywhere."""
        start, stop = self.active(number)
        weights = np.ones(stop - start, np.float32)
        ramp = (np.arange(self.ramp, dtype=np.float32) + 0.5) / max(self.ramp, 1)
        ramp = ramp * ramp * (3 - 2 * ramp)
        if number and self.ramp:
            weights[:self.ramp] *= ramp
        if number + 1 < len(self.starts) and self.ramp:
            weights[-self.ramp:] *= 1 - ramp
        return weights


def plan_axis(size: int, tile: int | None, overlap: int, ramp: int, divisor: int = 1, min_size: int = 1,
              pads_after: bool = False) -> Axis:
    """Cut one side of an image into tiles.

    Args:
        size (int): Pixels of the image.
        tile (int | None): Wanted pixels of a tile; raised to hold two overlaps, and to the divisor. None: one tile.
        overlap (int): Pixels of a tile beside each inner edge that are worth nothing (the receptive field).
        ramp (int): Width of the blend.
        divisor (int): Tiles start and end at multiples of this.
        min_size (int): Least size of a tile.
        pads_after (bool): Put all padding behind the image, instead of half of it in front.

    Example:
        >>> plan_axis(1000, 300, overlap=32, ramp=16, divisor=8).starts
        (0, 168, 344, 520, 696)
    """
    padded, before = padded_side(size, divisor, min_size)
    before = 0 if pads_after else before
    after = padded - size - before
    index = np.pad(np.arange(size), (before, after), mode='reflect' if max(before, after) < size else 'edge')
    if tile is None or tile >= padded:
        return Axis(size, index, before, padded, (0,), 0)
    ramp = ramp // 2 * 2
    shared = 2 * overlap + ramp
    # so long that the blends of both ends never meet
    tile = math.ceil(max(tile, min_size, shared + 2 * ramp + 4 * divisor) / divisor) * divisor
    if tile >= padded:
        return Axis(size, index, before, padded, (0,), 0)
    number = max(2, math.ceil((padded - shared) / (tile - shared - divisor + 1)))
    starts = tuple(round(i * (padded - tile) / (number - 1)) // divisor * divisor for i in range(number))
    return Axis(size, index, before, tile, starts, ramp)


def restore_tiles(take: Callable[[np.ndarray, np.ndarray], np.ndarray], infer: Callable[[np.ndarray], np.ndarray],
                  rows: Axis, columns: Axis) -> Iterator[tuple[int, np.ndarray]]:
    """Restore an image tile by tile; yields finished rows from top to bottom.

    Args:
        take (Callable): ``take(rows, columns)`` returns these rows and columns of the image, (h, w, 3).
        infer (Callable): Restores a tile (h, w, 3), returns float32 (h, w, 3).
        rows, columns (Axis): From :func:`plan_axis`.

    Yields:
        tuple[int, ndarray]: The first row and float32 (h, W, 3) of the image, padding cut off.
    """
    left, width = columns.before, columns.size
    single = len(columns.starts) == 1
    carried: np.ndarray | None = None
    for i, top in enumerate(rows.starts):
        first, stop = rows.active(i)
        strip = np.zeros((stop - first, 0 if single else len(columns.index), 3), np.float32)
        for j, start in enumerate(columns.starts):
            tile = infer(take(rows.index[top:top + rows.tile], columns.index[start:start + columns.tile]))
            begin, end = columns.active(j)
            tile = tile[first - top:stop - top, begin - start:end - start]
            if single:
                strip = tile if len(rows.starts) == 1 else np.array(tile)
            else:
                strip[:, begin:end] += tile * columns.weights(j)[None, :, None]
        if len(rows.starts) > 1:
            strip *= rows.weights(i)[:, None, None]
        if carried is not None:
            strip[:rows.ramp] += carried
        if i + 1 < len(rows.starts) and rows.ramp:
            carried = strip[-rows.ramp:].copy()
            stop -= rows.ramp
        begin, end = max(first, rows.before), min(stop, rows.before + rows.size)
        if end > begin:
            yield begin - rows.before, strip[begin - first:end - first, left:left + width]
