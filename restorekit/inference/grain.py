"""The grain of a film, which a restoration must not amplify where nothing moves."""

from __future__ import annotations

import cv2
import numpy as np

#: Frames over which a pixel that stands still is averaged.
_FRAMES = 10
#: Side of the blocks whose mean tells motion from grain, in pixels.
_BLOCK = 4
#: Mean change of a block, in standard deviations of what grain makes of it, up to which it stands still, and from
#: which on it moves.
_STILL, _MOVES = 2.5, 5.0
#: Change of a block that no eye sees, and largest grain, of 255.
_UNSEEN, _COARSEST = 0.3, 8.0
#: Added to both sides of the ratio of output and input, of 255: dark pixels have none.
_FLOOR = 4.0


class Grain:
    """Take the grain out of the frames of a film where nothing moves, and put it on what was restored.

    A network that restores contrast amplifies the noise of a camera as well, and the film flickers pixel by pixel. So
    each pixel x is averaged over the last frames as long as its surroundings stand still, the average m is restored to
    r, and the output is ``(x + c) (r + c) / (m + c) - c``: the grain of the film, no more. Where the scene moves, m is
    x and the output r. The grain's standard deviation is taken from the frames.

    Args:
        full (float): The value of white: 255, 65535 or 1.

    Example:
        >>> grain = Grain(255.0)
        >>> frame = np.full((8, 8, 3), 100, np.uint8)
        >>> still = grain.still(frame)
        >>> int(grain.put_back(frame, still, still // 2)[0, 0, 0])
        50
    """

    def __init__(self, full: float):
        self.full = full
        self.mean: np.ndarray | None = None
        self.count = 0

    def still(self, frame: np.ndarray, new_scene: bool = False) -> np.ndarray:
        """Return the next frame, (H, W, 3) of any dtype, without its grain where it stands still; same dtype."""
        pixels = frame.astype(np.float32)
        if self.mean is None or self.mean.shape != pixels.shape or new_scene:
            self.mean, self.count = pixels, 1
            return frame
        self.count = min(self.count + 1, _FRAMES)
        weight = self._weight(pixels, self.mean)
        self.mean = cv2.blendLinear(pixels, self.mean, weight, 1 - weight)
        return (np.rint(self.mean) if frame.dtype.kind == 'u' else self.mean).astype(frame.dtype)

    def put_back(self, frame: np.ndarray, still: np.ndarray, restored: np.ndarray) -> np.ndarray:
        """Return ``restored``, which was made of ``still``, with the grain of ``frame``; same dtype."""
        floor = np.float32(_FLOOR * self.full / 255)
        ratio = cv2.divide(restored.astype(np.float32) + floor, still.astype(np.float32) + floor)
        result: np.ndarray = cv2.multiply(frame.astype(np.float32) + floor, ratio) - floor
        if frame.dtype.kind == 'u':
            result = np.rint(np.clip(result, 0, self.full))
        return result.astype(frame.dtype)

    def _weight(self, pixels: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """The weight of the new frame, (H, W) in (0, 1]: 1 where it moves."""
        height, width = pixels.shape[:2]
        size = (max(1, width // _BLOCK), max(1, height // _BLOCK))
        unit = self.full / 255
        change = cv2.absdiff(pixels, mean)
        noise = min(float(np.median(change[::_BLOCK, ::_BLOCK])) / 0.6745, self._noise(pixels), _COARSEST * unit)
        blocks = np.abs(cv2.resize(pixels - mean, size, interpolation=cv2.INTER_AREA)).max(axis=2)
        moves = (blocks / (noise / _BLOCK + _UNSEEN * unit) - _STILL) / (_MOVES - _STILL)
        moves = cv2.dilate(np.clip(moves, 0, 1), np.ones((3, 3), np.uint8))
        weight = np.maximum(moves, np.float32(1 / self.count)).astype(np.float32)
        large: np.ndarray = cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR)
        return large

    @staticmethod
    def _noise(pixels: np.ndarray) -> float:
        """The standard deviation of a single frame's grain: from the median of its second differences across and down
        (Immerkaer, 1996, with a median in place of the mean, which texture does not lift)."""
        part = pixels[:1024, :1024, 1]
        if min(part.shape) < 3:
            return 0.0
        kernel = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)  # of norm 6
        return float(np.median(np.abs(cv2.filter2D(part, -1, kernel)))) / 6 / 0.6745
