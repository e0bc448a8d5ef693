"""Rain and snow."""

import cv2
import numpy as np
import torch

from restorekit.registry import DEGRADATIONS

from .base import Degradation
from .draw import check_range, per_sample


def rain_field(seed, height, width, density, length, angle):
    """Rebuild one field of rain streaks: thresholded noise smeared along the direction of fall.

    Args:
        seed (int): Of the field.
        height, width (int): Size.
        density (float): Share of the pixels that start a streak.
        length (float): Of a streak, in pixels.
        angle (float): From the vertical, degrees.

    Returns:
        ndarray: (height,width) float32 in [0, 1].

    Example:
        >>> rain_field(0, 16, 16, 0.02, 8., 10.).shape
        (16, 16)
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    noise = generator.random((height, width), dtype=np.float32)
    drops = np.maximum(noise - (1 - density), 0) / max(density, 1e-6)
    size = max(3, int(np.ceil(length)) | 1)
    centre, reach = (size - 1) / 2, (length - 1) / 2
    kernel = np.zeros((size, size), np.float32)
    step = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))]) * reach
    ends = [tuple(int(round((centre + sign * part) * 16)) for part in step) for sign in (-1, 1)]
    cv2.line(kernel, *ends, 1., 1, cv2.LINE_AA, 4)
    if kernel.sum() == 0:
        kernel[size // 2, size // 2] = 1
    # a drop crosses a pixel in part of the exposure: peak well below the drop's own brightness, hence the root
    kernel /= np.sqrt(kernel.sum())
    return np.clip(cv2.filter2D(drops, -1, kernel, borderType=cv2.BORDER_REPLICATE), 0, 1)


@DEGRADATIONS.register_module()
class Rain(Degradation):
    """Rain: streaks added to the scene, seen through their own mist, ``I = (J + s S) (1 - v) + a v``.

    After Li et al., Heavy Rain Image Restoration (2019): S are the streaks, v the veil of accumulated rain. With
    scene depth, put a haze degradation after it instead of the veil, as CDD-11 does.

    Args:
        density (float or pair): Share of pixels that start a streak, in [0, 0.2].
        length (float or pair): Of a streak, in pixels, 1 to 500.
        angle (float or pair): From the vertical in degrees, within [-60, 60].
        strength (float or pair): s, in [0, 1].
        veil (float or pair): v, in [0, 1].
        airlight (float or pair): a, in [0, 1].

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``density``, ``length``, ``angle``, ``strength``, ``veil``, ``airlight``, ``field_seed`` (N,).

    Example:
        >>> rainy, params = Rain(angle=(-20, 20))(torch.rand(1, 3, 32, 32), seeds=[0])
    """

    headline = 'strength'

    def __init__(self, density=(0.01, 0.05), length=(8., 40.), angle=(-30., 30.), strength=(0.3, 0.8), veil=(0., 0.25),
                 airlight=(0.6, 0.9)):
        super().__init__()
        self.density = check_range('density', density, 0, 0.2)
        self.length = check_range('length', length, 1, 500)
        self.angle = check_range('angle', angle, -60, 60)
        self.strength = check_range('strength', strength, 0, 1)
        self.veil = check_range('veil', veil, 0, 1)
        self.airlight = check_range('airlight', airlight, 0, 1)

    def draw(self, draw, height, width):
        names = ('density', 'length', 'angle', 'strength', 'veil', 'airlight')
        return {'field_seed': draw.seed('field'), **{name: draw.uniform(name, *getattr(self, name)) for name in names}}

    def degrade(self, image, depth, params):
        drawn = zip(*(params[name].tolist() for name in ('field_seed', 'density', 'length', 'angle')), strict=True)
        streaks = np.stack([rain_field(seed, *image.shape[-2:], *rest) for seed, *rest in drawn])
        streaks = torch.from_numpy(streaks)[:, None].to(image) * per_sample(params['strength'], image)
        veil = per_sample(params['veil'], image)
        return (image + streaks) * (1 - veil) + per_sample(params['airlight'], image) * veil


def snow_field(seed, height, width, count, size, angle):
    """Rebuild one field of snowflakes: soft disks of many sizes, the large ones smeared by their fall.

    Args:
        seed (int): Of the field.
        height, width (int): Size.
        count (int): Number of flakes.
        size (float): Radius of the largest, fraction of the longer side.
        angle (float): Direction of fall from the vertical, degrees.

    Returns:
        ndarray: (height,width) float32 in [0, 1].

    Example:
        >>> snow_field(0, 16, 16, 10, 0.05, 0.).shape
        (16, 16)
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    x, y, radius, alpha = generator.random((4, count))
    # many small (far) flakes, few large (near) ones
    radius = size * max(height, width) * (0.12 + 0.88 * radius ** 4)
    alpha = 0.35 + 0.65 * alpha
    field = np.zeros((height, width), np.float32)
    fall = np.array([np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    for cx, cy, r, a in zip(x * width, y * height, radius, alpha, strict=True):
        start = (int((cx - fall[0] * r * 0.7) * 16), int((cy - fall[1] * r * 0.7) * 16))
        end = (int((cx + fall[0] * r * 0.7) * 16), int((cy + fall[1] * r * 0.7) * 16))
        cv2.line(field, start, end, float(a), max(1, round(2 * r)), cv2.LINE_AA, 4)
    return np.clip(cv2.GaussianBlur(field, (0, 0), max(0.5, size * max(height, width) * 0.25)), 0, 1)


@DEGRADATIONS.register_module()
class Snow(Degradation):
    """Falling snow: ``I = J (1 - m) + w m``, flakes of opacity m and brightness w (Liu et al., DesnowNet, 2018).

    Args:
        flakes (int or pair): Number, 0 to 2000.
        size (float or pair): Radius of the largest, fraction of the longer side, in (0, 0.1].
        angle (float or pair): Direction of fall from the vertical in degrees.
        strength (float or pair): Opacity in [0, 1].
        brightness (float or pair): w, in [0, 1].

    Raises:
        ValueError: If a range is reversed or out of bounds.

    Parameters drawn: ``flakes``, ``size``, ``angle``, ``strength``, ``brightness``, ``field_seed`` (N,).

    Example:
        >>> snowy, params = Snow(flakes=(100, 400))(torch.rand(1, 3, 32, 32), seeds=[0])
    """

    headline = 'strength'

    def __init__(self, flakes=(100, 500), size=(0.004, 0.014), angle=(-35., 35.), strength=(0.6, 1.),
                 brightness=(0.85, 1.)):
        super().__init__()
        self.flakes = tuple(int(end) for end in check_range('flakes', flakes, 0, 2000))
        self.size = check_range('size', size, 1e-4, 0.1)
        self.angle = check_range('angle', angle, -90, 90)
        self.strength = check_range('strength', strength, 0, 1)
        self.brightness = check_range('brightness', brightness, 0, 1)

    def draw(self, draw, height, width):
        names = ('size', 'angle', 'strength', 'brightness')
        return {'flakes': draw.integers('flakes', *self.flakes), 'field_seed': draw.seed('field'),
                **{name: draw.uniform(name, *getattr(self, name)) for name in names}}

    def degrade(self, image, depth, params):
        drawn = zip(*(params[name].tolist() for name in ('field_seed', 'flakes', 'size', 'angle')), strict=True)
        mask = np.stack([snow_field(seed, *image.shape[-2:], *rest) for seed, *rest in drawn])
        mask = torch.from_numpy(mask)[:, None].to(image) * per_sample(params['strength'], image)
        return image * (1 - mask) + per_sample(params['brightness'], image) * mask
