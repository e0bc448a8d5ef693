"""The drawing tools of the scene renderer: camera, canvas with a depth buffer, noise, façades, trees and sky.

World coordinates are metres: x to the right, y up from the ground, z forward. All colours are linear light.
"""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np

SUPERSAMPLING = 2


@dataclass(frozen=True)
class Camera:
    """A level pinhole camera with a shifted lens, in pixels of the supersampled canvas.

    A point at camera coordinates (X, y, Z) is seen at column ``centre + focal * X / Z`` and row
    ``horizon + focal * (height - y) / Z``; verticals stay vertical, and the depth of the ground is constant along a
    row. Sample ``2 * i`` of the canvas is the centre of pixel ``i`` of the picture.
    """

    focal: float
    centre: float
    horizon: float
    height: float
    yaw: float = 0.0

    def ground_depth(self, rows):
        """Depth Z (m) of the plane y = 0 on canvas rows ``rows``; infinite on and above the horizon."""
        below = np.asarray(rows, np.float32) - np.float32(self.horizon)
        return np.where(below > 0, self.focal * self.height / np.maximum(below, 1e-6), np.inf).astype(np.float32)

    def rays(self, columns):
        """World (x, z) per metre of depth for canvas columns ``columns``."""
        u = (np.asarray(columns, np.float32) - np.float32(self.centre)) / np.float32(self.focal)
        cos, sin = np.float32(np.cos(self.yaw)), np.float32(np.sin(self.yaw))
        return u * cos + sin, cos - u * sin

    def turn(self, x, z):
        """World (x, z) to camera (X, Z)."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return x * cos - z * sin, x * sin + z * cos

    def project(self, x, y, z):
        """World point to canvas column, row and depth."""
        side, depth = self.turn(x, z)
        scale = self.focal / max(depth, 1e-3)
        return self.centre + scale * side, self.horizon + scale * (self.height - y), depth


@dataclass(frozen=True)
class Light:
    """Sun direction (unit, world), sun and ambient colours (linear light), sky colours and cloud cover."""

    direction: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    horizon: np.ndarray
    clouds: float
    night: bool = False

    def on(self, normal):
        """Colour of the light that falls on a surface with this unit normal."""
        return self.sun * max(0.0, float(np.dot(normal, self.direction))) + self.ambient * (0.75 + 0.25 * normal[1])


class Canvas:
    """Colour (H, W, 3), depth (H, W; metres, infinite where nothing was drawn) and ground mask of one picture."""

    def __init__(self, camera, height, width):
        self.camera = camera
        self.colour = np.zeros((height, width, 3), np.float32)
        self.depth = np.full((height, width), np.inf, np.float32)
        self.ground = np.zeros((height, width), bool)
        self.rows = np.arange(height, dtype=np.float32)
        self.columns = np.arange(width, dtype=np.float32)
        self.ray_x, self.ray_z = camera.rays(self.columns)
        self.grain = noise('rough')
        if max(height, width) > 512:
            self.grain = np.tile(self.grain, (-(-height // 512), -(-width // 512)))

    def paint(self, pixels, colour):
        """Set the flat indices ``pixels`` to ``colour`` (3, N)."""
        flat = self.colour.reshape(-1, 3)
        for channel in range(3):
            flat[pixels, channel] = colour[channel]

    def polygon(self, points, colour, grain=0.06, alpha=1.0):
        """Draw a convex planar polygon of world points (x, y, z) with its plane's depth; hidden parts stay hidden."""
        # A scene has hundreds of these with four corners each: plain floats are faster than arrays here.
        corners = [self.camera.project(*point) for point in points]
        nearest, farthest = min(c[2] for c in corners), max(c[2] for c in corners)
        if nearest < 0.6:
            return
        us, vs = [c[0] for c in corners], [c[1] for c in corners]
        height, width = self.depth.shape
        left, right = max(int(min(us)), 0), min(int(max(us)) + 2, width)
        top, bottom = max(int(min(vs)), 0), min(int(max(vs)) + 2, height)
        if left >= right or top >= bottom or max(max(map(abs, us)), max(map(abs, vs))) > 8000:
            return
        # 1 / Z is linear over the image of a plane: solve it from three corners.
        (u0, v0, z0), (u1, v1, z1), (u2, v2, z2) = corners[:3]
        area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
        if abs(area) < 1e-3:
            return
        q0, q1, q2 = 1 / z0, 1 / z1, 1 / z2
        by_column = ((q1 - q0) * (v2 - v0) - (q2 - q0) * (v1 - v0)) / area
        by_row = ((q2 - q0) * (u1 - u0) - (q1 - q0) * (u2 - u0)) / area
        mask = np.zeros((bottom - top, right - left), np.uint8)
        outline = np.array([[round(16 * (u - left)), round(16 * (v - top))] for u, v in zip(us, vs, strict=True)])
        cv2.fillConvexPoly(mask, outline.astype(np.int32), 1, cv2.LINE_8, 4)
        inverse = by_column * self.columns[left:right] + (by_row * (self.rows[top:bottom] - v0) - by_column * u0
                                                          + q0)[:, None]
        inverse = np.minimum(np.maximum(inverse, 1 / farthest), 1 / nearest)
        area_depth, region = self.depth[top:bottom, left:right], self.colour[top:bottom, left:right]
        seen = (inverse * area_depth > 1) & mask.view(bool)
        paint = np.asarray(colour, np.float32)
        if grain and mask.size > 150:
            paint = paint * (1 + np.float32(grain) * self.grain[top:bottom, left:right][seen])[:, None]
        region[seen] = paint if alpha >= 1 else region[seen] * (1 - alpha) + alpha * paint
        if alpha > 0.5:
            area_depth[seen] = 1 / inverse[seen]
            self.ground[top:bottom, left:right][seen] = False

    def shadows(self, feet, light):
        """Darken the ground round every foot (x, y, z, radius), on the side away from the sun."""
        height, width = self.depth.shape
        reach = 0.6 / max(float(light.direction[1]), 0.35)
        strength = 0.4 + 0.45 * float(light.sun[1] / (light.sun[1] + light.ambient[1]))
        left_over = np.ones((height, width), np.float32)
        for x, y, z, radius in feet:
            u, v, depth = self.camera.project(x - reach * radius * float(light.direction[0]), y,
                                              z - reach * radius * float(light.direction[2]))
            half = 1.7 * self.camera.focal * radius / max(depth, 1e-3)
            flat = half * max(0.12, min(0.5, 1.5 * self.camera.height / max(depth, 1e-3)))
            left, right = max(int(u - half), 0), min(int(u + half) + 1, width)
            top, bottom = max(int(v - flat), 0), min(int(v + flat) + 1, height)
            if left >= right or top >= bottom or half < 3 or depth < 1:
                continue
            away = ((self.columns[left:right] - u) / half) ** 2 + (((self.rows[top:bottom] - v) / flat) ** 2)[:, None]
            near = np.abs(self.depth[top:bottom, left:right] - depth) < 4 * radius
            near &= self.ground[top:bottom, left:right]
            spot = left_over[top:bottom, left:right]
            np.minimum(spot, 1 - strength * near * np.maximum(1 - away, 0), out=spot)
        self.colour *= cv2.merge([left_over] * 3)

    def sprite(self, sprite, x, base, z, size, paint):
        """Draw a billboard of ``size`` metres at (x, base, z); ``paint`` turns its channels into colour and alpha."""
        side, depth = self.camera.turn(x, z)
        pixels = self.camera.focal * size / max(depth, 1e-3)
        if depth < 1.5 or pixels < 1.5:
            return
        height, width = self.depth.shape
        u = self.camera.centre + self.camera.focal * side / depth
        v = self.camera.horizon + self.camera.focal * (self.camera.height - base) / depth
        left, right = max(int(u - pixels / 2), 0), min(int(u + pixels / 2) + 1, width)
        top, bottom = max(int(v - pixels), 0), min(int(v) + 1, height)
        if left >= right or top >= bottom:
            return
        hidden = self.depth[top:bottom, left:right] <= depth
        if hidden.all():
            return
        level = int(np.clip(np.log2(sprite[0].shape[0] / pixels), 0, len(sprite) - 1))
        source = sprite[level]
        scale = source.shape[0] / pixels
        matrix = np.float32([[scale, 0, (left - u + pixels / 2) * scale], [0, scale, (top - v + pixels) * scale]])
        patch = cv2.warpAffine(source, matrix, (right - left, bottom - top),
                               flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        patch[hidden] = 0
        colour, alpha = paint(patch)
        region = self.colour[top:bottom, left:right]
        region *= cv2.merge([1 - alpha] * 3)
        region += colour
        solid = alpha > 0.5
        self.depth[top:bottom, left:right][solid] = depth
        self.ground[top:bottom, left:right][solid] = False


@functools.cache
def noise(kind):
    """A tileable 512 x 512 noise texture with mean 0 and deviation 1: white, rough, fractal, smooth or hills."""
    names = ('white', 'rough', 'fractal', 'smooth', 'hills')
    power = {'white': 0.0, 'rough': 0.55, 'fractal': 1.1, 'smooth': 1.6, 'hills': 2.1}[kind]
    white = np.random.default_rng(90 + names.index(kind)).standard_normal((512, 512))
    fy, fx = np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None]
    frequency = np.sqrt(fy ** 2 + fx ** 2)
    frequency[0, 0] = 1
    shaped = np.fft.irfft2(np.fft.rfft2(white) * np.maximum(frequency, 2.5 / 512) ** -power, s=(512, 512))
    return np.ascontiguousarray((shaped - shaped.mean()) / shaped.std(), np.float32)


def sample(texture, x, y, border=cv2.BORDER_WRAP, value=0):
    """Bilinear samples of ``texture`` at columns ``x`` and rows ``y`` (flat arrays of one length)."""
    count = x.size
    padded = -(-count // 128) * 128
    grid_x, grid_y = np.zeros(padded, np.float32), np.zeros(padded, np.float32)
    if border == cv2.BORDER_WRAP:
        high, wide = texture.shape[:2]
        x, y = x - wide * np.floor(x * np.float32(1 / wide)), y - high * np.floor(y * np.float32(1 / high))
    grid_x[:count], grid_y[:count] = x, y
    out = cv2.remap(texture, grid_x.reshape(-1, 128), grid_y.reshape(-1, 128), cv2.INTER_LINEAR, borderMode=border,
                    borderValue=value)
    return out.reshape(padded, *texture.shape[2:])[:count]


def pulse(x, width, footprint):
    """The 0/1 wave with period 1 that is 1 on the middle ``width`` of each period, averaged over ``footprint``."""
    footprint, margin = np.maximum(footprint, 1e-4), (1 - width) / 2

    def integral(a):
        whole = np.floor(a)
        return whole * width + np.minimum(np.maximum(a - whole - margin, 0), width)

    return (integral(x + footprint / 2) - integral(x - footprint / 2)) / footprint


def chunks(pixels, size=8192):
    """Split an array of pixels so that what is computed for each part stays in the processor's cache."""
    return (pixels[start:start + size] for start in range(0, len(pixels), size))


def smoothstep(low, high, x):
    """Cubic step from 0 at ``low`` to 1 at ``high``."""
    t = np.minimum(np.maximum((x - low) * (1 / (high - low)), 0), 1)
    return t * t * (3 - 2 * t)


@functools.cache
def tree_sprites(kind):
    """Eight mip-mapped tree pictures: premultiplied (alpha, side-lighting, openness, leafiness)."""
    return tuple(_grow(kind, index) for index in range(8))


def _grow(kind, index, size=192):
    rng = np.random.default_rng(1000 * ('broadleaf', 'conifer', 'bush').index(kind) + index)
    layers = np.zeros((size, size, 4), np.float32)
    yy, xx = np.mgrid[:size, :size].astype(np.float32) / size
    if kind != 'bush':
        lean = rng.uniform(-0.03, 0.03)
        half = 0.022 * (1.3 - 0.8 * (1 - yy)) if kind == 'broadleaf' else 0.014 * (0.4 + yy)
        trunk = (np.abs(xx - 0.5 - lean * (1 - yy)) < half) & (yy > 0.3)
        layers[trunk] = (1, 0, 0.6, 0)
        layers[..., 1] = np.where(trunk, (xx - 0.5 - lean * (1 - yy)) / 0.03, 0)
    front = np.full((size, size), -9, np.float32)
    if kind == 'broadleaf':
        # The dark inside of the crown, seen between the outer leaves.
        inside = ((xx - 0.5) / 0.27) ** 2 + ((yy - 0.37) / 0.25) ** 2 + 0.15 * noise('fractal')[:size, :size] < 1
        layers[inside] = (1, 0, 0.13, 1)
    for _ in range({'broadleaf': 150, 'conifer': 190, 'bush': 70}[kind]):
        if kind == 'conifer':
            y = rng.uniform(0.02, 0.93) ** 0.85
            spread = 0.02 + 0.21 * y * (0.7 + 0.3 * np.cos(y * 40 + index))
            x, depth, radius = 0.5 + rng.uniform(-1, 1) * spread, rng.uniform(-0.1, 0.1), 0.014 + 0.026 * y
            flat = 1.6
        else:
            angle, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
            length = rng.uniform(0.5, 1) ** 0.5 * (0.82 + 0.18 * np.sin(3 * angle + 2 * index + 2 * lift))
            ring = np.sqrt(1 - lift ** 2)
            wide, tall, middle = (0.36, 0.33, 0.37) if kind == 'broadleaf' else (0.38, 0.26, 0.72)
            x, y = 0.5 + wide * length * ring * np.cos(angle), middle + tall * length * lift
            depth, radius, flat = 0.3 * length * ring * np.sin(angle), rng.uniform(0.035, 0.085), 1.15
        reach = int(radius * size * 1.2) + 2
        row, column = int(y * size), int(x * size)
        window = (slice(max(row - reach, 0), max(row + reach, 0)), slice(max(column - reach, 0), column + reach))
        dx, dy = (xx[window] - x) / radius, (yy[window] - y) * flat / radius
        square = dx ** 2 + dy ** 2
        texture = noise('rough')[:size, :size][window] * 0.34
        surface = depth + radius * np.sqrt(np.maximum(1 - square, 0))
        hit = (square < 1 - 0.6 * np.abs(texture) + texture * 0.8) & (surface > front[window])
        front[window][hit] = surface[hit]
        crown = (0.6 * (x - 0.5) / 0.36 + 0.6 * dx)
        # Upper sides and the outside of the crown see more sky than its inside and underside.
        opening = np.clip(0.42 - 0.30 * dy - 0.45 * (y - 0.4) + 0.9 * depth + 0.33 * texture, 0.08, 1)
        piece = np.stack([np.ones_like(dx), crown, opening, np.ones_like(dx)], -1)
        layers[window][hit] = piece[hit]
    # Small gaps between leaves would show specks of sky: close them with the dark inside.
    leafy = layers[..., 3]
    closed = cv2.morphologyEx(leafy, cv2.MORPH_CLOSE, np.ones((4, 4), np.uint8)) > layers[..., 0]
    layers[closed] = (1, 0, 0.16, 1)
    leaves = 0.26 * noise('white')[-size:, -size:] + 0.22 * noise('rough')[-size:, :size]
    layers[..., 2] *= np.maximum(1 + leaves * layers[..., 3], 0.15)
    levels = [layers]
    while levels[-1].shape[0] > 6:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tuple(levels)


def draw_tree(canvas, light, kind, index, place, size, leaf, bark=(0.07, 0.055, 0.04)):
    """Draw one tree of ``size`` metres at ``place`` (x, y, z) under ``light``; ``leaf`` is its albedo."""
    side, forward = canvas.camera.turn(light.direction[0], light.direction[2])
    side, forward, up = float(side), float(forward), float(light.direction[1])
    ambient, sun, leaf = light.ambient.tolist(), light.sun.tolist(), [float(value) for value in leaf]

    def paint(patch):
        alpha, crown, opening, leafy = cv2.split(patch)
        weight = 1 / np.maximum(alpha, 1e-3)
        lit = np.maximum(crown * side + alpha * (0.55 * up - 0.3 * forward + 0.08), 0)
        ratio = opening * weight
        sky_lit, sun_lit = 1.15 * ratio, 1.7 * lit * weight * (0.3 + ratio) * ratio
        wood = alpha - leafy
        return cv2.merge([(leafy * leaf[i] + wood * bark[i]) * (sky_lit * ambient[i] + sun_lit * sun[i])
                          for i in range(3)]), alpha

    canvas.sprite(tree_sprites(kind)[index % 8], *place, size, paint)


def draw_sky(canvas, light, rng):
    """Fill what is still empty with a sky: a gradient towards the horizon and clouds on a high plane."""
    empty = np.flatnonzero(np.isinf(canvas.depth))
    shift = np.float32(rng.uniform(0, 512, 2))
    if not empty.size:
        return
    camera = canvas.camera
    rows, columns = np.divmod(empty, canvas.columns.size)
    # Between hills the sky is seen below the horizon too.
    rise = np.maximum((camera.horizon - canvas.rows) / camera.focal, -0.12)[rows]
    across = ((canvas.columns - camera.centre) / camera.focal)[columns]
    gradient = 1 - np.exp(-2.6 * np.maximum(rise, 0))
    low, high = light.horizon[:, None], light.zenith[:, None]
    colour = low + (high - low) * gradient
    if light.clouds > 0:
        away = 26 / (rise + 0.22)
        x, y = across * away * 1.3 + shift[0], away * 1.6 + shift[1]
        density = 0.8 * sample(noise('smooth'), x, y) + 0.35 * sample(noise('fractal'), 2.7 * x, 2.7 * y)
        upper = 0.8 * sample(noise('smooth'), x + 2, y + 3.5)
        threshold = 1.7 - 2.8 * light.clouds
        cover = smoothstep(threshold, threshold + 1.1, density) * (0.55 + 0.45 * smoothstep(0, 0.1, rise))
        white = light.sun * 0.36 + light.ambient * 0.75 if not light.night else light.horizon * 1.3
        shade = np.clip(0.86 + 0.16 * (density - upper) - 0.10 * np.maximum(density - threshold - 0.9, 0), 0.5, 1.1)
        colour += cover * (white[:, None] * shade - colour)
    canvas.paint(empty, colour)
