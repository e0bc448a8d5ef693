"""The drawing tools of the scene renderer: camera, canvas with a depth buffer, noise, façades, trees and sky.

World coordinates are metres: x to the right, y up from the ground, z forward. All colours are linear light.
"""

import functools
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
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return x * cos - z * sin, x * sin + z * cos

    def project(self, points):
        """World points (N, 3) to columns, rows and depths."""
        x, depth = self.turn(points[:, 0], points[:, 2])
        safe = np.maximum(depth, 1e-3)
        return (self.centre + self.focal * x / safe, self.horizon + self.focal * (self.height - points[:, 1]) / safe,
                depth)


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

    def polygon(self, points, colour, grain=0.06, alpha=1.0, glow=False):
        """Draw a convex planar polygon of world points (N, 3) with the depth of its plane; hidden parts stay hidden."""
        u, v, z = self.camera.project(np.asarray(points, np.float64))
        if z.min() < 0.6:
            return
        height, width = self.depth.shape
        left, right = max(int(np.floor(u.min())), 0), min(int(np.ceil(u.max())) + 1, width)
        top, bottom = max(int(np.floor(v.min())), 0), min(int(np.ceil(v.max())) + 1, height)
        if left >= right or top >= bottom or max(np.abs(u).max(), np.abs(v).max()) > 8000:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        corners = np.round((np.stack([u - left, v - top], 1)) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 1, cv2.LINE_8, 4)
        # 1 / Z is linear over the image of a plane.
        basis = np.stack([u - left, v - top, np.ones_like(u)], 1)
        plane = np.linalg.lstsq(basis, 1 / z, rcond=None)[0].astype(np.float32)
        inverse = (plane[0] * np.arange(right - left, dtype=np.float32)
                   + (plane[1] * np.arange(bottom - top, dtype=np.float32) + plane[2])[:, None])
        depth = 1 / np.clip(inverse, 1 / z.max(), 1 / z.min())
        seen = (mask > 0) & (depth < self.depth[top:bottom, left:right])
        if not seen.any():
            return
        paint = np.asarray(colour, np.float32)
        if grain:
            texture = noise('rough')[top % 256:, left % 256:][:bottom - top, :right - left]
            if texture.shape != seen.shape:
                texture = np.resize(texture, seen.shape)
            paint = paint * (1 + grain * texture[seen])[:, None]
        region = self.colour[top:bottom, left:right]
        region[seen] = paint if alpha >= 1 else region[seen] * (1 - alpha) + alpha * paint
        if alpha > 0.5:
            self.depth[top:bottom, left:right][seen] = depth[seen]
            self.ground[top:bottom, left:right][seen] = False

    def sprite(self, sprite, x, base, z, size, paint):
        """Draw a billboard of ``size`` metres standing at (x, base, z); ``paint`` maps its channels to colour."""
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
        alpha = patch[..., :1]
        region = self.colour[top:bottom, left:right]
        region *= 1 - alpha
        region += paint(patch)
        solid = alpha[..., 0] > 0.5
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
        x, y = np.mod(x, texture.shape[1]), np.mod(y, texture.shape[0])
    grid_x[:count], grid_y[:count] = x, y
    out = cv2.remap(texture, grid_x.reshape(-1, 128), grid_y.reshape(-1, 128), cv2.INTER_LINEAR, borderMode=border,
                    borderValue=value)
    return out.reshape(padded, *texture.shape[2:])[:count]


def pulse(x, width, footprint):
    """The 0/1 wave with period 1 that is 1 on the middle ``width`` of each period, averaged over ``footprint``."""
    footprint = np.maximum(footprint, 1e-4)

    def integral(a):
        whole = np.floor(a)
        return whole * width + np.clip(a - whole - (1 - width) / 2, 0, width)

    return (integral(x + footprint / 2) - integral(x - footprint / 2)) / footprint


def smoothstep(low, high, x):
    """Cubic step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0, 1)
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
        texture = noise('rough')[:size, :size][window] * 0.28
        surface = depth + radius * np.sqrt(np.maximum(1 - square, 0))
        hit = (square < 1 - 0.6 * np.abs(texture) + texture * 0.8) & (surface > front[window])
        front[window][hit] = surface[hit]
        crown = (0.6 * (x - 0.5) / 0.36 + 0.6 * dx)
        # Upper sides and the outside of the crown see more sky than its inside and underside.
        opening = np.clip(0.42 - 0.30 * dy - 0.45 * (y - 0.4) + 0.9 * depth + 0.33 * texture, 0.08, 1)
        piece = np.stack([np.ones_like(dx), crown, opening, np.ones_like(dx)], -1)
        layers[window][hit] = piece[hit]
    grain = noise('white')[-size:, -size:]
    layers[..., 2] *= 1 + 0.22 * grain * layers[..., 3]
    holes = (noise('rough')[:size, :size] > 1.25) & (layers[..., 3] > 0)
    layers[holes] = 0
    levels = [layers]
    while levels[-1].shape[0] > 6:
        levels.append(cv2.resize(levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return tuple(levels)


def draw_tree(canvas, light, kind, index, place, size, leaf, bark=(0.07, 0.055, 0.04)):
    """Draw one tree of ``size`` metres at ``place`` (x, y, z) under ``light``; ``leaf`` is its albedo."""
    side, forward = canvas.camera.turn(light.direction[0], light.direction[2])
    leaf, bark = np.float32(leaf), np.float32(bark)
    ambient, sun = np.float32(light.ambient), np.float32(light.sun)

    def paint(patch):
        alpha, crown, opening, leafy = (patch[..., i:i + 1] for i in range(4))
        lit = np.maximum(crown * side + alpha * (0.55 * light.direction[1] - 0.3 * forward + 0.08), 0)
        albedo = leafy * leaf + (alpha - leafy) * bark
        ratio = opening / np.maximum(alpha, 1e-3)
        return albedo * ratio * (1.1 * ambient + 1.7 * sun * lit / np.maximum(alpha, 1e-3) * (0.3 + ratio))

    canvas.sprite(tree_sprites(kind)[index % 8], *place, size, paint)


def draw_sky(canvas, light, rng):
    """Fill what is still empty with a sky: a gradient towards the horizon and clouds on a high plane."""
    rows, columns = np.nonzero(np.isinf(canvas.depth))
    shift = rng.uniform(0, 512, 2)
    if not rows.size:
        return
    camera = canvas.camera
    rise = np.maximum((camera.horizon - canvas.rows) / camera.focal, 0)[rows]
    across = ((canvas.columns - camera.centre) / camera.focal)[columns]
    gradient = (1 - np.exp(-2.6 * rise))[:, None]
    colour = np.float32(light.horizon) * (1 - gradient) + np.float32(light.zenith) * gradient
    if light.clouds > 0:
        away = 26 / (rise + 0.22)
        x, y = across * away * 1.3 + shift[0], away * 1.6 + shift[1]
        density = 0.8 * sample(noise('smooth'), x, y) + 0.35 * sample(noise('fractal'), 2.7 * x, 2.7 * y)
        upper = 0.8 * sample(noise('smooth'), x + 2, y + 3.5)
        threshold = 1.7 - 2.8 * light.clouds
        cover = smoothstep(threshold, threshold + 1.1, density) * (0.55 + 0.45 * smoothstep(0, 0.1, rise))
        white = light.sun * 0.33 + light.ambient * 0.75 if not light.night else light.horizon * 1.3
        shade = np.clip(0.86 + 0.16 * (density - upper) - 0.10 * np.maximum(density - threshold - 0.9, 0), 0.5, 1.1)
        colour += cover[:, None] * (np.float32(white) * shade[:, None] - colour)
    canvas.colour[rows, columns] = colour
