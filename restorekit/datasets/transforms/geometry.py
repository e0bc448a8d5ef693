"""Geometric transforms; images and depth move together."""

from numbers import Integral, Real

import cv2
import numpy as np

from restorekit.messages import InputError, MissingKeyError
from restorekit.registry import TRANSFORMS

_ARRAYS = ('inputs', 'gt', 'depth')


class GeometricTransform:
    """Apply one geometric change to every image-like array of a sample."""

    def __call__(self, results):
        arrays = {key: results[key] for key in _ARRAYS if results.get(key) is not None}
        if not arrays:
            raise MissingKeyError(
                f'{type(self).__name__} found none of {_ARRAYS} in the sample; it has {sorted(results)}')
        sizes = {array.shape[:2] for array in arrays.values()}
        if len(sizes) > 1:
            raise InputError(f'arrays of {results.get("img_path")} differ in size: '
                             f'{ {key: array.shape[:2] for key, array in arrays.items()} }')
        change = self.draw(*sizes.pop())
        results.update({key: change(array) for key, array in arrays.items()})
        return results


@TRANSFORMS.register_module()
class RandomCrop(GeometricTransform):
    """Cut a random window; an image smaller than it is reflected first.

    Args:
        size (int | tuple[int, int]): Height and width in pixels.
    """

    cuts = True  # as the first step it needs no more of a file than its window

    def __init__(self, size):
        self.size = _pair(size, 'RandomCrop.size')

    def draw(self, height, width):
        h, w = self.size
        top = np.random.randint(max(height - h, 0) + 1)
        left = np.random.randint(max(width - w, 0) + 1)
        return lambda array: _cover(array, h, w)[top:top + h, left:left + w]


@TRANSFORMS.register_module()
class CenterCrop(GeometricTransform):
    """Cut the central window; an image smaller than it is reflected first.

    Args:
        size (int | tuple[int, int]): Height and width in pixels.
    """

    cuts = True

    def __init__(self, size):
        self.size = _pair(size, 'CenterCrop.size')

    def draw(self, height, width):
        h, w = self.size
        top, left = max(height - h, 0) // 2, max(width - w, 0) // 2
        return lambda array: _cover(array, h, w)[top:top + h, left:left + w]


@TRANSFORMS.register_module()
class RandomResizedCrop(GeometricTransform):
    """Cut a random window of random size and shape and resize it, by area where it shrinks.

    Args:
        size (int | tuple[int, int]): Height and width of the result in pixels.
        scale (tuple[float, float]): Range of the window's height and width, each drawn, as a share of the image's.

    Example:
        >>> RandomResizedCrop(8, (0.5, 1.0))(dict(gt=np.zeros((20, 30, 3), np.uint8)))['gt'].shape
        (8, 8, 3)
    """

    def __init__(self, size, scale=(0.5, 1.0)):
        self.size = _pair(size, 'RandomResizedCrop.size')
        if not (is_span(scale) and scale[0] > 0 and scale[1] <= 1):
            raise InputError(f'RandomResizedCrop.scale must be (low, high) with 0 < low <= high <= 1, but got {scale}')
        self.scale = scale

    def draw(self, height, width):
        h, w = (max(1, round(side * np.random.uniform(*self.scale))) for side in (height, width))
        top, left = np.random.randint(height - h + 1), np.random.randint(width - w + 1)
        resize = _resizer(*self.size)
        return lambda array: resize(np.asarray(array)[top:top + h, left:left + w])


@TRANSFORMS.register_module()
class RandomFlip(GeometricTransform):
    """Mirror left and right.

    Args:
        prob (float): Probability in [0, 1].
    """

    def __init__(self, prob=0.5):
        if not isinstance(prob, Real) or not 0 <= prob <= 1:
            raise InputError(f'RandomFlip.prob must be in [0, 1], but got {prob}')
        self.prob = prob

    def draw(self, height, width):
        flip = np.random.rand() < self.prob
        return (lambda array: array[:, ::-1]) if flip else (lambda array: array)


@TRANSFORMS.register_module()
class RandomRotate90(GeometricTransform):
    """Rotate by 0, 90, 180 or 270 degrees, equally likely."""

    def draw(self, height, width):
        turns = np.random.randint(4)
        return lambda array: np.rot90(array, turns)


@TRANSFORMS.register_module()
class RandomResize(GeometricTransform):
    """Scale by a random factor, keeping the aspect ratio; depth values stay as they are.

    Args:
        scale (tuple[float, float]): Range of the factor.
        min_size (int): The factor is raised so that the shorter side keeps at least this many pixels.
    """

    def __init__(self, scale=(0.5, 1.0), min_size=1):
        if not (is_span(scale) and scale[0] > 0):
            raise InputError(f'RandomResize.scale must be (low, high) with 0 < low <= high, but got {scale}')
        _check_side(min_size, 'RandomResize.min_size')
        self.scale, self.min_size = scale, min_size

    def draw(self, height, width):
        factor = max(np.random.uniform(*self.scale), self.min_size / min(height, width))
        return _resizer(max(round(height * factor), 1), max(round(width * factor), 1))


@TRANSFORMS.register_module()
class LimitSize(GeometricTransform):
    """Shrink images whose longer side exceeds a limit, keeping the aspect ratio.

    Args:
        max_size (int): Longest side in pixels.
    """

    def __init__(self, max_size):
        _check_side(max_size, 'LimitSize.max_size')
        self.max_size = max_size

    def draw(self, height, width):
        factor = min(1.0, self.max_size / max(height, width))
        return _resizer(max(round(height * factor), 1), max(round(width * factor), 1))


def _resizer(height, width):
    def resize(array):
        if array.shape[:2] == (height, width):
            return array
        shrinking = height * width < array.shape[0] * array.shape[1]
        return cv2.resize(np.ascontiguousarray(array), (width, height),
                          interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    return resize


def _cover(array, height, width):
    """Reflect ``array`` until it is at least (height, width)."""
    missing = max(height - array.shape[0], 0), max(width - array.shape[1], 0)
    if not any(missing):
        return array
    pads = [(m // 2, m - m // 2) for m in missing] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, pads, mode='symmetric')


def is_span(value):
    """Whether a value is (low, high), two numbers in order."""
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(x, Real) for x in value) and \
        value[0] <= value[1]


def _check_side(side, name):
    if not isinstance(side, Real) or not side >= 1:
        raise InputError(f'{name} must be a number of pixels of at least 1, but got {side!r}')


def _pair(size, name):
    pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
    if len(pair) != 2 or not all(isinstance(x, Integral) and not isinstance(x, bool) and x >= 1 for x in pair):
        raise InputError(f'{name} must be one or two numbers of pixels (height, width) of at least 1, but got {size!r}')
    return pair
