"""Landscapes of the scene renderer: hills, fields, a dirt road, trees and farmhouses."""

import math

import numpy as np

from .parts import chunks, draw_sky, draw_tree, noise, sample, smoothstep


class _Relief:
    """The height (m) of the ground at world (x, z), 0 at the camera's foot, and the road that winds over it."""

    def __init__(self, canvas, rng, far):
        self.far = far
        self.shift = np.float32(rng.uniform(0, 512, 4))
        self.rough = rng.uniform(0.5, 1.2)
        self.ridge_at = rng.uniform(0.7, 0.95) * far
        headroom = canvas.camera.horizon / canvas.camera.focal
        self.ridge = rng.uniform(0.2, 0.75) * headroom * self.ridge_at
        self.valley = rng.uniform(0, 0.04) * far
        self.start, self.sweep, self.bend = rng.uniform(-6, 6), rng.uniform(4, 13), rng.uniform(0, 6.3)
        self.origin = 0.0
        self.origin = float(self.height(np.float32([0]), np.float32([0]))[0])

    def height(self, x, z):
        """Height at flat arrays ``x`` and ``z``."""
        hills = sample(noise('hills'), x / 3.1 + self.shift[0], z / 3.1 + self.shift[1])
        knolls = sample(noise('smooth'), x / 1.1 + self.shift[2], z / 1.1 + self.shift[3])
        rolling = smoothstep(8, 0.35 * self.far, z) * self.rough * (0.022 * self.far * hills + 1.1 * knolls)
        rise = smoothstep(0.25 * self.far, self.ridge_at, z) * self.ridge * (1 + 0.33 * hills)
        return rolling + rise - self.valley * smoothstep(5, 0.3 * self.far, z) - self.origin

    def road(self, z):
        """The x of the middle of the road."""
        return (self.start * (1 - z / self.far)
                + self.sweep * (np.sin(z / 31 + self.bend) - math.sin(self.bend)) * smoothstep(0, 40, z))


def draw_terrain(canvas, light, rng, far):
    """Draw rolling hills that end in a ridge ``far`` metres away, then the sky, houses, poles and trees.

    The relief is evaluated along every column's ray at slices of growing distance and taken as straight between two
    slices, so the depth is exact for that surface.
    """
    camera, (height, width) = canvas.camera, canvas.depth.shape
    relief = _Relief(canvas, rng, far)
    nearest = 0.6 * camera.focal * camera.height / max(height - camera.horizon, 1)
    slices = np.geomspace(min(max(nearest, 0.8), 0.2 * far), far, 120).astype(np.float32)
    x = slices[:, None] * canvas.ray_x
    level = relief.height(x.ravel(), np.repeat(slices, width)).reshape(x.shape)
    rows_at = camera.horizon + camera.focal * (camera.height - level) / slices[:, None]
    # A row shows the first slice whose horizon reaches it; count per column how many slices do.
    reached = np.clip(np.ceil(np.minimum.accumulate(rows_at, axis=0)), 0, height).astype(np.int32)
    counts = np.bincount((reached * width + np.arange(width, dtype=np.int32)).ravel(), minlength=(height + 1) * width)
    covering = np.cumsum(counts.reshape(height + 1, width)[:height], axis=0).ravel()
    pixels = np.flatnonzero(covering)
    step_x = np.gradient(level, axis=1) / (slices[:, None] / camera.focal)
    step_z = np.gradient(level, axis=0) / np.gradient(slices)[:, None] - step_x * canvas.ray_x
    steep = 1 / np.sqrt(1 + step_x ** 2 + step_z ** 2)
    lit = (light.direction[1] - step_x * light.direction[0] - step_z * light.direction[2]) * steep
    inverse, season = 1 / slices, rng.uniform(0, 1)
    look = {'season': season, 'meadow': rng.uniform(0.85, 1.25), 'lane': rng.uniform(1.3, 2.1)}
    for part in chunks(pixels):
        rows, columns = np.divmod(part, width)
        after = np.maximum(len(slices) - covering[part], 1) * width + columns
        before = after - width
        lower, upper = rows_at.ravel()[before], rows_at.ravel()[after]
        share = np.clip((canvas.rows[rows] - lower) / np.minimum(upper - lower, -1e-4), 0, 1)
        # On a straight piece of ground 1 / Z is linear in the row.
        depth = 1 / ((1 - share) * inverse[before // width] + share * inverse[after // width])
        canvas.depth.ravel()[part] = depth
        canvas.ground.ravel()[part] = True
        x, slope = depth * canvas.ray_x[columns], steep.ravel()[after]
        albedo = _cover(relief, look, x, depth, depth / camera.focal, slope, level.ravel()[after])
        sun = np.maximum((1 - share) * lit.ravel()[before] + share * lit.ravel()[after], 0)
        if 0.3 < light.clouds < 0.62:
            clouds = sample(noise('smooth'), x / 3.4 + relief.shift[1], depth / 6 + relief.shift[2])
            sun *= 1 - 0.7 * smoothstep(0.2, 0.8, clouds)
        canvas.paint(part, albedo * (light.sun[:, None] * sun + light.ambient[:, None] * (0.4 + 0.6 * slope)))
    draw_sky(canvas, light, rng)
    houses = _settle(canvas, light, relief, rng)
    _plant(canvas, light, relief, rng, season, houses)


def _cover(relief, look, x, z, fine, steep, level):
    """Albedo (3, N) of the ground: meadows, crops, ploughed fields, distant woods, rock and the road."""
    far, shift, season = relief.far, relief.shift, look['season']

    def albedo(red, green, blue):
        return np.float32([[red], [green], [blue]])

    meadow = albedo(0.10 + 0.13 * season, 0.15 + 0.03 * season, 0.04 + 0.02 * season) * look['meadow']
    straw, earth = albedo(0.40, 0.31, 0.15), albedo(0.20, 0.14, 0.095)
    woods = albedo(0.045 + 0.05 * (season > 0.75), 0.065, 0.028)
    zones = sample(noise('smooth'), x / 2.6 + shift[2], z / 3.6 + shift[0])
    patchy = sample(noise('fractal'), 1.4 * x + shift[1], 1.4 * z)
    wide = sample(noise('fractal'), x / 4 + shift[3], z / 4)
    tufts = sample(noise('rough'), 7 * x, 3 * z) * np.sqrt(np.clip(0.3 / fine, 0, 1))
    blades = sample(noise('rough'), 60 * x, 17 * z) * np.clip(0.06 / fine, 0, 1)
    colour = meadow * (1 + 0.10 * patchy + 0.14 * wide)
    colour += smoothstep(0.55, 0.68, zones + 0.05 * patchy) * (straw * (0.88 + 0.09 * patchy) - colour)
    furrows = np.sin((x + 0.4 * z) * 2.4) * np.clip(0.4 / fine, 0, 1)
    ploughed = smoothstep(-0.85, -0.95, zones) * (1 - smoothstep(0.3 * far, 0.5 * far, z))
    colour += ploughed * (earth * (1 + 0.14 * furrows + 0.1 * patchy) - colour)
    forest = smoothstep(0.1, 0.3, wide + 0.5 * zones + 0.25 * patchy) * smoothstep(0.2 * far, 0.42 * far, z)
    canopy = sample(noise('rough'), 1.5 * x, 1.1 * z + 2.2 * level) + 0.6 * patchy
    colour += forest * (woods * np.clip(1 + 0.5 * canopy, 0.25, 3) - colour)
    bare = smoothstep(0.86, 0.72, steep + 0.05 * patchy)
    colour += bare * (albedo(0.24, 0.22, 0.20) * np.clip(1 + 0.25 * canopy, 0.3, 2) - colour)
    colour *= np.clip(1 + 0.18 * tufts + 0.3 * blades, 0.25, 2)
    lane = look['lane']
    off = np.abs(x - relief.road(z)) + 0.12 * patchy
    ruts = np.exp(-((off - 0.6 * lane) / (0.28 * lane)) ** 2)
    trodden = np.clip((lane - off) / np.maximum(fine, 0.25) + 0.5, 0, 1) * (0.35 + 0.65 * ruts) * (1 - 0.8 * forest)
    return colour + trodden * (albedo(0.36, 0.29, 0.21) * (1 + 0.12 * tufts) - colour)


def _settle(canvas, light, relief, rng):
    """Put a few gabled houses and a line of poles on the relief; return where the houses stand."""
    taken = []
    for _ in range(int(rng.integers(0, 5))):
        z = rng.uniform(0.14, 0.5) * relief.far
        x = float(relief.road(z)) + rng.choice((-1.0, 1.0)) * rng.uniform(8, 0.3 * z + 9)
        if any(abs(x - other_x) < 16 and abs(z - other_z) < 22 for other_x, other_z in taken):
            continue
        taken.append((x, z))
        wide, deep, eaves = rng.uniform(6, 9), rng.uniform(9, 14), rng.uniform(2.8, 5)
        wall = np.array([0.56, 0.52, 0.45]) * rng.uniform(0.6, 1.1) * rng.uniform(0.94, 1.06, 3)
        tiles = np.array([(0.24, 0.11, 0.075), (0.12, 0.11, 0.11), (0.20, 0.14, 0.10)])[rng.integers(3)]
        corners_x, corners_z = np.float32([x, x + wide, x, x + wide]), np.float32([z, z, z + deep, z + deep])
        feet = relief.height(corners_x, corners_z)
        foot = float(feet.min())
        if feet.max() - foot > 0.55 * eaves:
            continue
        _house(canvas, light, (x, foot, z), (wide, deep, eaves), wall, tiles)
    if rng.random() < 0.5:
        side, first, pace = rng.choice([-1, 1]) * rng.uniform(3.5, 6), rng.uniform(14, 30), rng.uniform(24, 36)
        z = np.arange(first, 0.45 * relief.far, pace, dtype=np.float32)[::-1]
        x = relief.road(z) + np.float32(side)
        wood = np.float32([0.10, 0.085, 0.07]) * (0.5 * light.sun + light.ambient)
        for px, pz, foot in zip(x.tolist(), z.tolist(), relief.height(x, z).tolist(), strict=True):
            cover = min(1.0, max(0.3, canvas.camera.focal * 0.22 / pz))
            canvas.polygon([(px - 0.11, foot - 0.3, pz), (px + 0.11, foot - 0.3, pz), (px + 0.08, foot + 7, pz),
                            (px - 0.08, foot + 7, pz)], wood, 0, cover)
            canvas.polygon([(px - 0.9, foot + 6.4, pz), (px + 0.9, foot + 6.4, pz), (px + 0.9, foot + 6.55, pz),
                            (px - 0.9, foot + 6.55, pz)], wood, 0, cover)
    return taken


def _house(canvas, light, place, size, wall, tiles):
    """Draw a house with a pitched roof; the gable faces the camera."""
    (x0, foot, z0), (wide, deep, eaves) = place, size
    x1, z1, middle = x0 + wide, z0 + deep, x0 + wide / 2
    top, crest = foot + eaves, foot + eaves + 0.42 * wide
    side, sign = (x0, -1) if x0 > 0 else (x1, 1)
    front, flank = light.on(np.array([0, 0, -1])), light.on(np.array([sign, 0, 0]))
    for slope, edge in ((-1, x0), (1, x1)):
        out = edge + slope * 0.35
        canvas.polygon([(out, top - 0.3, z0 - 0.4), (out, top - 0.3, z1 + 0.4), (middle, crest, z1 + 0.4),
                        (middle, crest, z0 - 0.4)], tiles * light.on(np.array([0.64 * slope, 0.77, 0])), 0.12)
    canvas.polygon([(side, foot, z0), (side, foot, z1), (side, top, z1), (side, top, z0)], wall * flank)
    canvas.polygon([(x0, foot, z0), (x1, foot, z0), (x1, top, z0), (middle, crest - 0.1, z0), (x0, top, z0)],
                   wall * front)
    glass = 0.03 * light.horizon + 0.02 * light.ambient
    for left in (x0 + 0.18 * wide, x0 + 0.62 * wide):
        canvas.polygon([(left, foot + 1.3, z0 - 0.05), (left + 0.9, foot + 1.3, z0 - 0.05),
                        (left + 0.9, foot + 2.4, z0 - 0.05), (left, foot + 2.4, z0 - 0.05)], glass, 0)
    for near in (z0 + 0.2 * deep, z0 + 0.62 * deep):
        face = side + 0.05 * sign
        canvas.polygon([(face, foot + 1.3, near), (face, foot + 1.3, near + 1.1), (face, foot + 2.4, near + 1.1),
                        (face, foot + 2.4, near)], glass, 0)


def _plant(canvas, light, relief, rng, season, houses):
    """Plant trees in groves, from far to near, clear of the road and the houses."""
    far, camera, count = relief.far, canvas.camera, 130
    # The nearest tree stays below about a third of the picture.
    closest = 26 * camera.focal / max(canvas.depth.shape)
    z = np.float32(np.geomspace(0.85 * far, closest, count) * rng.uniform(0.93, 1.07, count))
    x = np.float32(rng.uniform(-0.56, 0.56, count) * z * (canvas.columns.size / camera.focal))
    foot = relief.height(x, z)
    grove = (sample(noise('fractal'), x / 4 + relief.shift[3], z / 4)
             + 0.5 * sample(noise('smooth'), x / 2.6 + relief.shift[2], z / 3.6 + relief.shift[0]))
    leaf = np.array([0.085, 0.125, 0.04])
    if season > 0.7 and rng.random() < 0.6:
        leaf = np.array([0.22, 0.14, 0.045])
    conifers, density = rng.uniform(0, 1), rng.uniform(-0.3, 0.8)
    clear = np.abs(x - relief.road(z)) > 3.5
    for house_x, house_z in houses:
        clear &= (np.abs(x - house_x - 4) > 8) | (np.abs(z - house_z - 6) > 10)
    pick, mood = rng.random(count), rng.uniform(-0.5, 0.5, count)
    size, tint = rng.uniform(0.6, 1.25, count), rng.uniform(0.78, 1.25, (count, 1)) * rng.uniform(0.92, 1.1, (count, 3))
    kept = np.flatnonzero((grove + 0.9 * mood > density) & clear).tolist()
    canvas.shadows([(float(x[i]), float(foot[i]), float(z[i]), 3.2 * size[i]) for i in kept], light)
    for i in kept:
        kind = 'conifer' if pick[i] < 0.8 * conifers else 'broadleaf' if pick[i] < 0.85 else 'bush'
        metres = size[i] * {'conifer': 10, 'broadleaf': 8, 'bush': 2.2}[kind]
        albedo = (np.array([0.065, 0.10, 0.045]) if kind == 'conifer' else leaf) * tint[i]
        draw_tree(canvas, light, kind, i, (float(x[i]), float(foot[i]) - 0.15, float(z[i])), float(metres), albedo)
