"""Streets of the scene renderer: rows of buildings, a road, trees, cars and lamps on a flat ground."""

import math

import cv2
import numpy as np

from .buildings import Facades
from .parts import chunks, draw_sky, draw_tree, noise, pulse, sample, smoothstep

_WALLS = np.array([
    (0.46, 0.40, 0.31), (0.36, 0.19, 0.13), (0.30, 0.15, 0.11), (0.52, 0.48, 0.42), (0.30, 0.29, 0.28),
    (0.48, 0.35, 0.20), (0.40, 0.37, 0.34), (0.22, 0.21, 0.21), (0.47, 0.43, 0.36), (0.38, 0.28, 0.20),
    (0.27, 0.31, 0.34), (0.55, 0.53, 0.50), (0.43, 0.26, 0.19), (0.33, 0.34, 0.29)])
_PAINTS = np.array([
    (0.55, 0.55, 0.56), (0.03, 0.03, 0.035), (0.22, 0.23, 0.25), (0.15, 0.025, 0.025), (0.04, 0.065, 0.14),
    (0.40, 0.41, 0.42), (0.10, 0.11, 0.12), (0.035, 0.05, 0.045), (0.30, 0.27, 0.22), (0.62, 0.62, 0.61)])


def _look(rng, modern):
    """Draw the look of one building."""
    wall = _WALLS[rng.integers(len(_WALLS))] * rng.uniform(0.75, 1.15) * rng.uniform(0.95, 1.05, 3)
    glassy = modern and rng.random() < 0.4
    return {
        'red': wall[0], 'green': wall[1], 'blue': wall[2], 'bay': rng.uniform(1.5, 2.2) if glassy else
        rng.uniform(2.2, 4.2), 'storey': rng.uniform(2.9, 3.6), 'glazing': 0.86 if glassy else rng.uniform(0.3, 0.6),
        'tallness': rng.uniform(0.6, 0.85) if glassy else rng.uniform(0.42, 0.62), 'first': rng.uniform(3.4, 4.6),
        'trim': rng.choice([0.0, 0.4, 0.75]), 'glass': rng.uniform(0.2, 0.5) if glassy else rng.uniform(0.08, 0.28),
        'mullion': float(rng.random() < 0.6), 'shop': float(rng.random() < 0.6), 'code': float(rng.integers(1, 999)),
        'lit': rng.uniform(0.15, 0.6)}


class _Plan:
    """Top view of what blocks the light above the ground: 0 in full shadow, 1 in the open."""

    def __init__(self, left, near, across, deep, cell=1 / 3):
        self.left, self.near, self.cell = left, near, cell
        self.sun = np.ones((int(deep / cell), int(across / cell)), np.float32)
        self.sky = np.ones_like(self.sun)

    def _cells(self, x, z):
        return np.stack([(np.asarray(x) - self.left) / self.cell, (np.asarray(z) - self.near) / self.cell], -1)

    def block(self, x, z, height, light, strength=1.0):
        """Darken the shadow of a body with the outline (x, z) and this height."""
        outline = self._cells(x, z)
        if light.direction[1] > 0.05:
            length = height / light.direction[1] / self.cell
            moved = outline - length * np.array([light.direction[0], light.direction[2]])
            hull = cv2.convexHull(np.concatenate([outline, moved]).astype(np.float32))
            cv2.fillConvexPoly(self.sun, np.round(hull * 8).astype(np.int32), 1 - strength, cv2.LINE_8, 3)
        cv2.fillConvexPoly(self.sky, np.round(outline * 8).astype(np.int32), 0.35, cv2.LINE_8, 3)

    def disc(self, x, z, radius, height, light):
        """Darken the shadow of a tree crown and the ground round its foot."""
        shift = (height / max(light.direction[1], 0.25)) * np.array([light.direction[0], light.direction[2]])
        ring = np.arange(7)
        out = radius * 0.75 * np.sqrt(ring / 7)
        spots = self._cells(x - shift[0] + out * np.cos(2.4 * ring), z - shift[1] + out * np.sin(2.4 * ring))
        for spot in np.round(8 * spots).astype(int).tolist():
            cv2.circle(self.sun, spot, int(3.6 * radius / self.cell), 0.12, -1, cv2.LINE_8, 3)
        spot = np.round(8 * self._cells(x, z)).astype(int).tolist()
        cv2.circle(self.sky, spot, int(max(4 * radius, 3.2) / self.cell), 0.7, -1, cv2.LINE_8, 3)

    def finish(self):
        """Soften: shadows have a penumbra, the sky is blocked gradually."""
        self.sun = cv2.GaussianBlur(self.sun, (5, 5), 0.8)
        self.sky = cv2.GaussianBlur(self.sky, (9, 9), 0.55 / self.cell)
        self.both = cv2.merge([self.sun, self.sky])

    def at(self, x, z):
        """Share of the sun and of the sky that reaches the ground at (x, z)."""
        column, row = (x - self.left) / self.cell, (z - self.near) / self.cell
        both = sample(self.both, column, row, cv2.BORDER_CONSTANT, (1, 1, 0, 0))
        return both[:, 0], both[:, 1]


def draw_street(canvas, light, rng, far):
    """Draw a street that ends ``far`` metres away: buildings, road, cars, trees, lamps and sky."""
    downtown = rng.random() < 0.65
    half = rng.uniform(3.2, 6.5)
    walk = half + (rng.uniform(2, 4.5) if downtown else rng.uniform(4, 9))
    centre = rng.uniform(-0.75, 0.75) * half
    tall = rng.uniform(10, 26) if downtown else rng.uniform(5.5, 8)
    plan = _Plan(-50, -30, 100, 160)
    facades = Facades(canvas)
    z_grid = np.arange(-40, far + 60, 2.0)
    profile = {-1: np.zeros_like(z_grid), 1: np.zeros_like(z_grid)}
    boxes = []
    for sign in (-1, 1):
        z = rng.uniform(-25, -8)
        while z < 0.93 * far:
            length = rng.uniform(8, 22)
            if rng.random() < (0.12 if downtown else 0.4):
                z += rng.uniform(4, 14)
            if rng.random() < 0.96:
                setback = rng.uniform(0, 0.8) if downtown else rng.uniform(0, 4)
                top = max(tall * rng.uniform(0.6, 1.5) if rng.random() < 0.85 else tall * rng.uniform(1.5, 2.4), 5.5)
                inner = centre + sign * (walk + setback)
                outer = inner + sign * rng.uniform(9, 18)
                boxes.append((min(inner, outer), max(inner, outer), z, min(z + length, 0.96 * far), top))
                profile[sign][(z_grid >= z) & (z_grid <= z + length)] = top
            z += length + (0 if downtown else rng.uniform(1, 6))
    for _ in range(int(rng.integers(4, 14))):
        x, width = rng.uniform(-0.9, 0.9) * far * 0.8, rng.uniform(10, 26)
        near = rng.uniform(0.55, 0.9) * far
        if abs(x - centre) > walk + width:
            boxes.append((x - width / 2, x + width / 2, near, min(near + 15, 0.97 * far), tall * rng.uniform(0.8, 2.6)))
    if rng.random() < 0.55:
        x = -0.5 * far
        while x < 0.5 * far:
            width = rng.uniform(9, 24)
            boxes.append((x, x + width, rng.uniform(0.94, 0.975) * far, far, tall * rng.uniform(0.5, 1.4)))
            x += width + (rng.uniform(0, 12) if rng.random() < 0.3 else 0)

    roofs = []
    for x0, x1, z0, z1, top in sorted(boxes, key=lambda box: box[2]):
        look = _look(rng, downtown)
        plan.block([x0, x1, x1, x0], [z0, z0, z1, z1], top, light)
        side = x0 if x0 > 0 else x1
        facades.add(0, side, z0, z1, top, facing=max(0, -np.sign(side) * light.direction[0]), **look)
        facades.add(1, z0, x0, x1, top, facing=max(0, -light.direction[2]), **look)
        if top < 12 and not downtown and z1 < 0.9 * far:
            roofs.append((x0, x1, z0, z1, top, [look['red'], look['green'], look['blue']]))

    trees = _avenue(rng, centre, half, walk, far, downtown)
    for _, x, z, size, _, _ in trees:
        plan.disc(x, z, 0.36 * size, 0.6 * size, light)
    cars = _cars(rng, centre, half, far)
    for x, z, length, _ in cars:
        plan.block([x - 0.95, x + 0.95, x + 0.95, x - 0.95], [z, z, z + length, z + length], 1.2, light)
    lamps = [(centre + sign * (half + 0.5), z)
             for z in np.arange(rng.uniform(7, 14), 0.7 * far, rng.uniform(18, 28)).tolist()
             for sign in ((-1, 1) if half > 4.5 else (-1,))]
    facades.shade(light, lambda z, normal: np.where(normal > 0, np.interp(z, z_grid, profile[1]),
                                                    np.interp(z, z_grid, profile[-1])))
    plan.finish()
    _road(canvas, light, rng, plan, {'centre': centre, 'half': half, 'walk': walk, 'far': far, 'downtown': downtown,
                                     'lamps': lamps})
    for roof in roofs:
        _roof(canvas, light, *roof)
    walkers = [(centre + rng.choice((-1.0, 1.0)) * rng.uniform(half + 0.4, walk), rng.uniform(7, 38))
               for _ in range(int(rng.integers(0, 7)))]
    canvas.shadows([(x, 0, z, 0.35) for x, z in walkers], light)
    for x, z in walkers:
        _walker(canvas, light, x, z, rng)
    for x, z, length, paint in cars:
        _car(canvas, light, x, z, length, paint)
    _treeline(canvas, light, rng, far)
    draw_sky(canvas, light, rng)
    tall_things = [(z, 'tree', tree) for tree in trees for z in [tree[2]]] + [(z, 'lamp', (x, z)) for x, z in lamps]
    for _, kind, thing in sorted(tall_things, key=lambda item: -item[0]):
        if kind == 'tree':
            name, x, z, size, index, leaf = thing
            draw_tree(canvas, light, name, index, (x, 0, z), size, leaf)
        else:
            _lamp(canvas, light, *thing, centre)


def _avenue(rng, centre, half, walk, far, downtown):
    trees, leaf = [], np.array([0.075, 0.115, 0.035]) * rng.uniform(0.8, 1.3)
    if rng.random() < 0.2:
        leaf = np.array([0.26, 0.14, 0.035])
    for sign in (-1, 1):
        if rng.random() < (0.55 if downtown else 0.9):
            z, pace = rng.uniform(4, 16), rng.uniform(6, 16)
            while z < 0.9 * far:
                if rng.random() < 0.8:
                    x = centre + sign * (half + (0.35 if downtown else rng.uniform(0.25, 0.9)) * (walk - half))
                    size = rng.uniform(4.5, 8) if downtown else rng.uniform(4, 10)
                    kind = 'broadleaf' if downtown or rng.random() < 0.75 else rng.choice(['bush', 'conifer'])
                    trees.append((str(kind), x, z, size * (0.3 if kind == 'bush' else 1), int(rng.integers(8)),
                                  leaf * rng.uniform(0.75, 1.3) * rng.uniform(0.92, 1.08, 3)))
                z += pace * rng.uniform(0.8, 1.25)
    return trees


def _cars(rng, centre, half, far):
    cars = []
    for lane in (-1, 1):
        z, parked = rng.uniform(5, 22), rng.random() < 0.5
        while z < 0.6 * far:
            x = centre + lane * (half - 1.15 if parked else 0.5 * half)
            length = rng.uniform(3.8, 4.7)
            cars.append((x, z, length, _PAINTS[rng.integers(len(_PAINTS))]))
            z += length + (rng.exponential(5) + 1 if parked else rng.exponential(22) + 6)
    return cars


def _road(canvas, light, rng, plan, street):
    """Draw the ground where no building hides it."""
    depth = canvas.camera.ground_depth(canvas.rows)
    pixels = np.flatnonzero(depth[:, None] < np.minimum(canvas.depth, street['far']))
    canvas.depth.ravel()[pixels] = depth[pixels // canvas.columns.size]
    canvas.ground.ravel()[pixels] = True
    stones = ((0.26, 0.25, 0.235), (0.33, 0.31, 0.28), (0.21, 0.20, 0.195))
    look = {'shift': np.float32(rng.uniform(0, 512, 2)), 'tone': rng.uniform(0.075, 0.16), 'dashed': rng.random() < 0.7,
            'borders': rng.random() < 0.6, 'zebra': rng.uniform(5, 22) if rng.random() < 0.4 else None,
            'stone': np.float32(stones[rng.integers(3)])[:, None]}
    for part in chunks(pixels):
        _pave(canvas, light, plan, street, look, part)


def _pave(canvas, light, plan, street, look, pixels):
    camera, half, walk = canvas.camera, street['half'], street['walk']
    rows, columns = np.divmod(pixels, canvas.columns.size)
    depth = canvas.depth.ravel()[pixels]
    x, z = depth * canvas.ray_x[columns], depth * canvas.ray_z[columns]
    # What one sample covers of the ground (m): sideways and, because of the grazing view, in depth.
    fine = depth / camera.focal
    deep = depth * fine / camera.height
    off = np.abs(x - street['centre'])
    shift, stone = look['shift'], look['stone']
    broad = sample(noise('fractal'), 4 * x + shift[0], 4 * z + shift[1])
    middle = sample(noise('rough'), 14 * x + shift[1], 14 * z) * np.clip(0.15 / deep, 0, 1)
    near = sample(noise('rough'), 70 * x, 70 * z) * np.clip(0.03 / deep, 0, 1)
    grain = 0.05 * broad + 0.07 * middle + 0.13 * near

    def beyond(position, soft=0.0):
        return np.clip((off - position) / (fine + soft) + 0.5, 0, 1)

    def stripe(position, width):
        inside = (width / 2 - np.abs(off - position)) / fine + 0.5
        return np.clip(inside, 0, 1) * np.clip(width / fine, 0, 1)

    tracks = np.exp(-((np.abs(np.abs(off - 0.5 * half) - 0.75)) / 0.35) ** 2)
    patches = smoothstep(0.8, 0.9, sample(noise('smooth'), 9 * x + shift[1], 3 * z)) * 0.25
    road = look['tone'] * (1 + grain - 0.14 * tracks - patches)
    colour = road * np.float32([[1.0], [0.99], [0.97]])
    line = stripe(0, 0.15)
    if look['dashed']:
        line = line * pulse(z / 9, 0.42, deep / 9)
    if look['borders']:
        line = line + stripe(half - 0.35, 0.12)
    if look['zebra'] is not None:
        from_start = z - look['zebra']
        zebra = np.clip(from_start / deep + 0.5, 0, 1) * np.clip((3 - from_start) / deep + 0.5, 0, 1)
        line = np.maximum(line, zebra * pulse(x, 0.5, fine) * (off < half - 0.3))
    worn = np.clip(0.8 - 0.25 * middle - 0.15 * broad, 0.1, 1)
    colour += np.clip(line, 0, 1) * worn * (0.5 - colour)

    slabs = np.maximum(pulse(x / 0.8, 0.05, fine / 0.8), pulse(z / 0.8, 0.05, deep / 0.8))
    colour += beyond(half) * (stone * (1 + 0.9 * grain - 0.32 * slabs) - colour)
    if not street['downtown']:
        grass = np.float32([[0.085], [0.115], [0.035]]) * (1 + 2.6 * grain + 0.1 * broad)
        colour += beyond(half + 0.38 * (walk - half), 0.1) * (grass - colour)
    colour += stripe(half + 0.1, 0.2) * (1.25 * stone - colour)
    colour *= 1 - 0.45 * stripe(half - 0.1, 0.2)

    sun, sky = plan.at(x, z)
    arriving = light.sun[:, None] * (sun * light.direction[1]) + light.ambient[:, None] * sky
    if light.night:
        pools = np.zeros_like(x)
        for lamp_x, lamp_z in street['lamps']:
            square = (x - lamp_x + math.copysign(1.5, lamp_x - street['centre'])) ** 2 + (z - lamp_z) ** 2
            pools += 1 / (1 + square / 12) ** 2
        arriving += np.float32([[1.5], [1.0], [0.5]]) * (sky * pools)
    canvas.paint(pixels, np.maximum(colour, 0.004) * arriving)


def _treeline(canvas, light, rng, far):
    """Close the view above the end of the ground with distant trees and roofs at depth ``far``."""
    camera = canvas.camera
    bearing = canvas.ray_x / canvas.ray_z
    shift = rng.uniform(0, 512)
    top = (5 + 2.4 * sample(noise('fractal'), 90 * bearing + shift, 0 * bearing)
           + 1.2 * sample(noise('rough'), 500 * bearing + shift, 0 * bearing + 9))
    edge = camera.horizon - camera.focal * (np.maximum(top, 1.5) - camera.height) / far
    rows, columns = np.nonzero(np.isinf(canvas.depth) & (canvas.rows[:, None] >= edge))
    if not rows.size:
        return
    canvas.depth[rows, columns] = far
    leafy = sample(noise('rough'), 500 * bearing[columns], rows * 500 / camera.focal)
    level = np.clip(0.75 + 0.35 * leafy - 0.3 * smoothstep(0, 14, rows - edge[columns]), 0.15, 1.6)
    arriving = light.ambient + 0.5 * light.sun * max(0.1, -light.direction[2])
    canvas.colour[rows, columns] = np.float32([0.07, 0.09, 0.045]) * level[:, None] * arriving


def _car(canvas, light, x, z, length, paint):
    """Draw a car that stands along the street with its end at ``z``."""
    x0, x1, z1 = x - 0.88, x + 0.88, z + length
    side = x1 if x1 < 0 else x0
    if x0 < 0 < x1:
        side = None
    back, up = light.on(np.array([0, 0, -1])), light.on(np.array([0, 1, 0]))
    flank = light.on(np.array([-1 if side == x0 else 1, 0, 0]))
    dark, glass = np.float32([0.012, 0.012, 0.013]), 0.10 * light.horizon + 0.015 * light.ambient

    def quad(points, colour):
        canvas.polygon(points, colour, 0.03)

    low, belt, roof, end = 0.32, 0.86, 1.42, z - 0.02
    a, b, c, d = z + 0.12 * length, z + 0.24 * length, z + 0.62 * length, z + 0.78 * length
    i0, i1 = x0 + 0.16, x1 - 0.16
    distance = canvas.camera.turn(x, z)[1]
    if side is not None:
        inner = i0 if side == x0 else i1
        quad([(side, low, z + 0.02), (side, belt, z + 0.02), (side, belt, z1), (side, low, z1)], paint * flank)
        quad([(side, belt, a), (inner, roof, b), (inner, roof, c), (side, belt, d)], paint * flank * 0.8)
        quad([(side, belt + 0.05, a + 0.12), (inner, roof - 0.08, b + 0.1), (inner, roof - 0.08, c - 0.05),
              (side, belt + 0.05, d - 0.2)], glass)
        if distance < 30:
            turn = np.linspace(0, 2 * np.pi, 10, endpoint=False).tolist()
            for middle in (z + 0.19 * length, z + 0.80 * length):
                wheel = [(side, 0.32 + 0.33 * math.sin(t), middle + 0.33 * math.cos(t)) for t in turn]
                quad(wheel, dark * light.ambient)
    quad([(x0, low, z), (x1, low, z), (x1, belt, z), (x0, belt, z)], paint * back)
    quad([(x0, belt, a), (x1, belt, a), (i1, roof, b), (i0, roof, b)], paint * back)
    quad([(x0 + 0.12, belt + 0.05, a), (x1 - 0.12, belt + 0.05, a), (i1 - 0.06, roof - 0.06, b),
          (i0 + 0.06, roof - 0.06, b)], glass * 1.1)
    if canvas.camera.height > roof:
        quad([(i0, roof, b + 0.04), (i1, roof, b + 0.04), (i1, roof, c), (i0, roof, c)], paint * up)
    lamp = np.float32([0.9, 0.05, 0.02]) if light.night else np.float32([0.25, 0.012, 0.01]) * back
    if light.night or distance < 30:
        for left in (x0 + 0.04, x1 - 0.3):
            quad([(left, 0.62, end), (left + 0.26, 0.62, end), (left + 0.26, 0.78, end), (left, 0.78, end)], lamp)
    if distance < 30:
        quad([(x0, belt, z + 0.04), (x1, belt, z + 0.04), (x1, belt, a - 0.04), (x0, belt, a - 0.04)], paint * up)
        quad([(x0 + 0.06, 0.24, end), (x1 - 0.06, 0.24, end), (x1 - 0.06, 0.46, end), (x0 + 0.06, 0.46, end)],
             dark * 2 * back)
        quad([(x0 + 0.7, 0.5, end), (x0 + 1.06, 0.5, end), (x0 + 1.06, 0.6, end), (x0 + 0.7, 0.6, end)], 0.45 * back)
        for left in (x0 + 0.04, x1 - 0.28):
            quad([(left, 0, end), (left + 0.24, 0, end), (left + 0.24, 0.28, end), (left, 0.28, end)],
                 dark * light.ambient)


def _lamp(canvas, light, x, z, centre):
    """Draw a street lamp whose arm reaches over the road."""
    camera = canvas.camera
    pixels = camera.focal * 0.14 / max(camera.turn(x, z)[1], 0.5)
    cover = float(np.clip(pixels, 0.25, 1))
    metal = np.float32([0.08, 0.085, 0.09]) * (light.ambient + 0.4 * light.sun * max(0.0, -light.direction[2]))
    reach = x - math.copysign(1.6, x - centre)
    canvas.polygon([(x - 0.07, 0, z), (x + 0.07, 0, z), (x + 0.05, 6.4, z), (x - 0.05, 6.4, z)], metal, 0, cover)
    canvas.polygon([(x, 6.25, z), (reach, 6.55, z), (reach, 6.65, z), (x, 6.4, z)], metal, 0, cover)
    head = np.float32([9, 6.6, 3.6]) if light.night else metal * 1.6
    canvas.polygon([(reach - 0.3, 6.42, z), (reach + 0.3, 6.42, z), (reach + 0.25, 6.62, z), (reach - 0.25, 6.62, z)],
                   head, 0, 1.0 if light.night else cover)


def _roof(canvas, light, x0, x1, z0, z1, top, wall):
    """Draw a pitched roof whose ridge runs along the street, with a gable towards the camera."""
    middle, crest = (x0 + x1) / 2, top + 0.3 * (x1 - x0)
    tiles = np.float32([0.20, 0.10, 0.07] if wall[0] > 0.35 else [0.10, 0.095, 0.095])
    slope = -1 if middle > 0 else 1
    edge = (x1 if slope > 0 else x0) + 0.4 * slope
    near = max(z0 - 0.3, 2.5 + abs(edge) * 0.35)
    if near < z1:
        canvas.polygon([(edge, top - 0.2, near), (edge, top - 0.2, z1 + 0.3), (middle, crest, z1 + 0.3),
                        (middle, crest, near)], tiles * light.on(np.array([0.5 * slope, 0.86, 0])), 0.12)
    if z0 > 2:
        canvas.polygon([(x0, top, z0), (x1, top, z0), (middle, crest - 0.1, z0)],
                       np.float32(wall) * light.on(np.array([0, 0, -1])))


def _walker(canvas, light, x, z, rng):
    """Draw a person on the pavement."""
    arriving = 0.5 * light.sun * max(0.2, -float(light.direction[2])) + 0.9 * light.ambient
    tall, cloth = rng.uniform(1.55, 1.85), rng.uniform(0.02, 0.25) * rng.uniform(0.8, 1.2, 3)
    stride, turn = rng.uniform(0.05, 0.16), np.linspace(0, 2 * np.pi, 8, endpoint=False)
    for foot in (-stride, stride):
        canvas.polygon([(x + foot - 0.06, 0, z), (x + foot + 0.06, 0, z), (x + 0.1, 0.5 * tall, z),
                        (x - 0.1, 0.5 * tall, z)], 0.035 * arriving)
    canvas.polygon([(x - 0.16, 0.47 * tall, z), (x + 0.16, 0.47 * tall, z), (x + 0.22, 0.8 * tall, z),
                    (x + 0.1, 0.85 * tall, z), (x - 0.1, 0.85 * tall, z), (x - 0.22, 0.8 * tall, z)], cloth * arriving)
    canvas.polygon([(x + 0.09 * np.cos(a), 0.925 * tall + 0.12 * np.sin(a), z) for a in turn],
                   np.array([0.26, 0.17, 0.12]) * arriving)
