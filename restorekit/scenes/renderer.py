"""Scenes drawn by code, with the exact depth of every pixel: training data that needs no download."""


import cv2
import numpy as np

from restorekit.messages import InputError, nearest
from restorekit.random import derive_seed

from .parts import SUPERSAMPLING, Camera, Canvas, Light, smoothstep
from .rooms import draw_room
from .street import draw_street
from .terrain import draw_terrain

#: Named scene statistics; a pair is the range of a uniform draw, lengths are metres, angles degrees.
STYLES = {
    'city': {
        'kind': 'street', 'focal': (0.75, 1.35), 'horizon': (0.46, 0.62), 'camera_height': (1.5, 3.2), 'yaw': (-16, 16),
        'far': (70, 130), 'sun_elevation': (22, 62), 'clouds': (0.1, 0.95), 'warmth': (0.0, 0.35), 'night': False,
    },
    'city_night': {
        'kind': 'street', 'focal': (0.75, 1.35), 'horizon': (0.46, 0.62), 'camera_height': (1.5, 3.2), 'yaw': (-16, 16),
        'far': (70, 130), 'sun_elevation': (30, 60), 'clouds': (0.1, 0.6), 'warmth': (0.0, 0.2), 'night': True,
    },
    'highland': {
        'kind': 'terrain', 'focal': (0.9, 1.7), 'horizon': (0.24, 0.46), 'camera_height': (3, 18), 'yaw': (0, 0),
        'far': (300, 600), 'sun_elevation': (12, 40), 'clouds': (0.15, 0.9), 'warmth': (0.3, 1.0), 'night': False,
    },
    'room': {
        'kind': 'room', 'focal': (0.72, 1.05), 'horizon': (0.18, 0.52), 'camera_height': (1.1, 1.8), 'yaw': (0, 0),
        'far': (1, 1), 'sun_elevation': (20, 60), 'clouds': (0.1, 0.9), 'warmth': (0.0, 0.7), 'night': False,
    },
}

#: Depth of the sky, in the unit in which the farthest surface lies at about 1.
SKY_DEPTH = 1.5


def render_scene(seed, height, width, style='city'):
    """Draw one clear scene and its exact depth.

    Args:
        seed (int): Names the scene: the same seed, size and style give the same arrays bit for bit, and the same
            seed at another size gives the same scene.
        height (int): Rows, at least 8.
        width (int): Columns, at least 8.
        style (str): A key of ``STYLES``: ``'city'`` (streets by day), ``'city_night'`` (dark, lamps lit) or
            ``'highland'`` (hills, fields, trees), or ``'room'`` (furnished rooms; the farthest point lies at 1).

    Returns:
        tuple: ``image`` (height, width, 3) uint8 sRGB in RGB order, without any haze; and ``depth`` (height, width)
        float32, the distance along the camera's axis at each pixel's centre, divided by the distance of the scene's
        backdrop: 0 at the camera, at most 1 on every surface, and ``SKY_DEPTH`` (1.5) in the sky.

    Raises:
        ValueError: If ``style`` is unknown or the size is too small.

    Example:
        >>> image, depth = render_scene(0, 96, 128)
        >>> image.shape, depth.shape, float(depth.max()) <= SKY_DEPTH
        ((96, 128, 3), (96, 128), True)
    """
    canvas, far = _draw(seed, height, width, style)
    image = _develop(canvas.colour, np.random.default_rng(derive_seed(seed, 2)), STYLES[style]['night'])
    step = SUPERSAMPLING
    depth = np.minimum(canvas.depth[::step, ::step] / np.float32(far), np.float32(1))
    depth[np.isinf(canvas.depth[::step, ::step])] = SKY_DEPTH
    return image, np.ascontiguousarray(depth, np.float32)


def _draw(seed, height, width, style):
    """Return the finished canvas and the distance (m) that counts as depth 1."""
    if style not in STYLES:
        near = nearest(str(style), STYLES, n=1, cutoff=0)
        raise InputError(f'style {style!r} is unknown; the nearest is {near[0]!r}, and all are: {", ".join(STYLES)}')
    if min(height, width) < 8:
        raise InputError(f'a scene of {height}x{width} pixels is too small; height and width must be at least 8')
    statistics = STYLES[style]
    rng = np.random.default_rng(derive_seed(seed, sorted(STYLES).index(style)))
    draw = {name: rng.uniform(*value) for name, value in statistics.items() if isinstance(value, tuple)}
    step = SUPERSAMPLING
    camera = Camera(focal=step * draw['focal'] * max(height, width), centre=step * (width / 2 - 0.5),
                    horizon=step * (draw['horizon'] * height - 0.5), height=draw['camera_height'],
                    yaw=float(np.deg2rad(draw['yaw'])))
    canvas = Canvas(camera, step * height, step * width)
    light = _light(rng, draw, statistics['night'])
    if statistics['kind'] == 'room':
        return canvas, draw_room(canvas, light, rng, draw['warmth'])
    (draw_street if statistics['kind'] == 'street' else draw_terrain)(canvas, light, rng, draw['far'])
    return canvas, draw['far']


def _light(rng, draw, night):
    elevation, azimuth = np.deg2rad(draw['sun_elevation']), rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    if direction[2] > 0.45:
        # A sun low in front of the camera would be in the picture.
        direction[2] *= -1
    if night:
        tone = rng.uniform(0.6, 1.2)
        return Light(np.float32(direction), np.float32([0.004, 0.005, 0.008]), np.float32([0.030, 0.034, 0.048]) * tone,
                     np.float32([0.004, 0.006, 0.014]) * tone, np.float32([0.030, 0.027, 0.032]) * tone,
                     draw['clouds'], True)
    warmth, clouds = draw['warmth'], draw['clouds']
    overcast = smoothstep(0.5, 0.85, clouds)
    sun = np.array([1.0, 0.95 - 0.13 * warmth, 0.88 - 0.32 * warmth]) * (1.55 - 1.25 * overcast)
    ambient = np.array([0.36, 0.43, 0.55]) * (1 - overcast) + np.array([0.72, 0.75, 0.80]) * overcast
    zenith = np.array([0.10, 0.23, 0.50]) * rng.uniform(0.8, 1.25) * (1 - overcast) + 0.60 * overcast
    horizon = np.array([0.42, 0.58, 0.76]) + warmth * np.array([0.16, 0.02, -0.12])
    horizon = horizon * (1 - overcast) + np.array([0.72, 0.74, 0.76]) * overcast
    # The photographer exposes for the ground; the sky follows half of it.
    gain = (1.3 / (sun[1] * direction[1] + ambient[1])) ** 0.6
    return Light(np.float32(direction), np.float32(sun * gain), np.float32(ambient * gain),
                 np.float32(zenith * gain ** 0.5), np.float32(horizon * gain ** 0.5), clouds)


def _develop(colour, rng, night):
    """Camera: blur of the optics, tone curve, sensor noise, 8 bit."""
    step = SUPERSAMPLING
    linear = cv2.GaussianBlur(colour, (5, 5), 1.05)[::step, ::step]
    if night:
        bright = np.maximum(linear - 0.6, 0)
        sigma = max(linear.shape[:2]) / 60
        linear = linear + 0.5 * cv2.GaussianBlur(bright, (0, 0), sigma)
    value = np.sqrt(np.maximum(linear, 0)) * 1.03
    value = value + rng.standard_normal(value.shape, np.float32) * 0.006
    value = np.clip(value, 0, None)
    # A toe for deep shadows and a shoulder for highlights.
    value = np.where(value < 0.75, value, 0.75 + 0.25 * np.tanh((value - 0.75) / 0.25))
    value = value * (0.80 + 0.20 * smoothstep(0.0, 0.42, value)) - 0.02
    return np.ascontiguousarray(np.clip(value * 255 + 0.5, 0, 255).astype(np.uint8))
