"""Rooms: walls, windows, furniture made of boxes, lamps and textures; every depth is exact."""

from __future__ import annotations

import numpy as np

from .parts import noise, sample

_NEAR = 0.25  # nothing is nearer than this (m)


class _Painter:
    """Casts the rays of a canvas at boxes. In a box's frame x and z depend on the column and y on the row only."""

    def __init__(self, canvas, lamp, ambient, lamp_colour):
        self.canvas, self.lamp, self.ambient, self.lamp_colour = canvas, lamp, ambient, lamp_colour
        camera = canvas.camera
        self.ray_y = ((np.float32(camera.horizon) - canvas.rows) / np.float32(camera.focal))
        self.eye = np.float32(camera.height)

    def box(self, centre, size, turn, paint, inside=False, grounded=None):
        """Draw a box of ``size`` (x, y, z) whose base is at ``centre`` (x, y, z), turned about its vertical axis.

        ``paint(u, v, face)`` returns colours (N, 3) at places in metres on face 0 (x), 1 (y, looking up), 2 (z),
        3 (y, looking down). ``inside`` draws the walls seen from within.
        """
        canvas = self.canvas
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        ox, oz = -centre[0] * cos + centre[2] * sin, -centre[0] * sin - centre[2] * cos
        dx = canvas.ray_x * cos - canvas.ray_z * sin
        dz = canvas.ray_x * sin + canvas.ray_z * cos
        half_x, half_z = size[0] / 2, size[2] / 2
        x_near, x_far = _slab(ox, dx, -half_x, half_x)
        z_near, z_far = _slab(oz, dz, -half_z, half_z)
        y_near, y_far = _slab(self.eye - centre[1], self.ray_y, 0, size[1])
        if inside:
            place, by_column, by_row = slice(None), np.minimum(x_far, z_far), y_far
            depth = np.minimum(by_column[None], by_row[:, None])
            hit = depth < canvas.depth
            x_first = x_far < z_far
        else:
            enter, leave = np.maximum(x_near, z_near), np.minimum(x_far, z_far)
            columns = np.flatnonzero((enter < leave) & (leave > _NEAR))
            if not len(columns):
                return
            place = slice(columns[0], columns[-1] + 1)
            by_column, by_row = enter[place], y_near
            depth = np.maximum(by_column[None], by_row[:, None])
            hit = (depth < np.minimum(leave[place][None], y_far[:, None])) & (depth > _NEAR)
            hit &= depth < canvas.depth[:, place]
            x_first = (x_near > z_near)[place]
        rows, cols = np.nonzero(hit)
        if not len(rows):
            return
        d = depth[rows, cols]
        flat = by_row[rows] == d
        face = np.where(flat, 1, np.where(x_first[cols], 0, 2))
        if not isinstance(place.start, (int, np.integer)):
            columns = cols
        else:
            columns = cols + place.start
        px, py, pz = ox + dx[columns] * d, self.eye + self.ray_y[rows] * d, oz + dz[columns] * d
        up = self.ray_y[rows] < 0
        face[flat & ~up] = 3
        u = np.where(face == 0, pz, px)
        v = np.where((face == 1) | (face == 3), pz, py - centre[1])
        colour = np.empty((len(d), 3), np.float32)
        for side in range(4):
            chosen = face == side
            if chosen.any():
                colour[chosen] = paint(u[chosen], v[chosen], side)
        # light: a dim even light and a lamp without shadows
        nx = np.where(face == 0, -np.sign(dx[columns]), 0)
        nz = np.where(face == 2, -np.sign(dz[columns]), 0)
        ny = np.where(face == 1, 1.0, np.where(face == 3, -1.0, 0.0))
        world_x, world_z = canvas.ray_x[columns] * d, canvas.ray_z[columns] * d
        to = self.lamp[0] - world_x, self.lamp[1] - py, self.lamp[2] - world_z
        far = np.sqrt(to[0] ** 2 + to[1] ** 2 + to[2] ** 2) + 0.3
        facing = np.maximum((nx * cos + nz * sin) * to[0] + ny * to[1] + (nz * cos - nx * sin) * to[2], 0) / far
        shade = self.ambient * (0.8 + 0.2 * ny)[:, None]
        shade += self.lamp_colour * (facing / (0.4 + 0.12 * far ** 2))[:, None]
        if inside:  # corners are darker
            edge = np.minimum(half_x - np.abs(px), half_z - np.abs(pz))
            edge = np.where(flat, edge, np.minimum(py - centre[1], centre[1] + size[1] - py))
            shade *= (1 - 0.35 * np.exp(-np.maximum(edge, 0) / 0.35))[:, None]
            if grounded is not None:
                floor = face == 1
                shade[floor] *= grounded(world_x[floor], world_z[floor])[:, None]
        else:
            shade *= (1 - 0.3 * np.exp(-np.maximum(py - centre[1], 0) / 0.25) * (centre[1] < 0.05))[:, None]
        canvas.colour[rows, columns] = colour * shade
        canvas.depth[rows, columns] = d


def _slab(origin, direction, low, high):
    """Distances at which rays enter and leave a slab."""
    inverse = 1 / np.where(np.abs(direction) < 1e-6, np.float32(1e-6), direction)
    a, b = (low - origin) * inverse, (high - origin) * inverse
    return np.minimum(a, b), np.maximum(a, b)


def _colour(rng, saturation=(0.0, 0.5), value=(0.05, 0.8)):
    """A random albedo."""
    hue, s, v = rng.uniform(), rng.uniform(*saturation), rng.uniform(*value)
    pure = np.clip(np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1, 0, 1)
    return np.float32(v * (1 - s + s * pure))


def _wood(rng):
    return np.float32(np.array([0.42, 0.25, 0.12]) * rng.uniform(0.25, 1.5) ** 1.2 + rng.uniform(0, 0.05))


def _material(rng, kind=None, base=None):
    """A function (u, v, face) -> colours."""
    kind = kind or rng.choice(['plain', 'wood', 'fabric', 'stripes', 'tiles', 'checks', 'print'],
                              p=[0.36, 0.2, 0.16, 0.07, 0.06, 0.05, 0.1])
    base = base if base is not None else (_wood(rng) if kind == 'wood' else _colour(rng))
    other, period, offset = _colour(rng), rng.uniform(0.06, 0.5), rng.uniform(0, 512, 2)
    grain, rough = rng.uniform(0.01, 0.12), noise(rng.choice(['rough', 'fractal']))
    tone = [rng.uniform(0.92, 1.05) for _ in range(4)]
    lengthwise = rng.uniform() < 0.5
    colours = np.stack([_colour(rng, (0.1, 0.9), (0.05, 0.9)) for _ in range(4)])

    def paint(u, v, face):
        if kind == 'wood':
            along, across = (u, v) if lengthwise else (v, u)
            board = np.floor(across / period)
            fibre = sample(rough, (along * 25 + board * 97 + offset[0]).astype(np.float32),
                           (across * 400 + offset[1]).astype(np.float32))
            out = base * (1 + 0.14 * np.sin(board * 12.9) + 0.12 * fibre)[:, None]
            out = out * np.where(across / period - board < 0.03, 0.55, 1)[:, None]
        elif kind == 'stripes':
            out = np.where((np.floor(u / period) % 2 == 0)[:, None], base, other)
        elif kind == 'checks':
            out = np.where(((np.floor(u / period) + np.floor(v / period)) % 2 == 0)[:, None], base, other)
        elif kind == 'tiles':
            joint = (np.abs(u / period % 1 - 0.5) > 0.47) | (np.abs(v / period % 1 - 0.5) > 0.47)
            out = np.where(joint[:, None], base * 0.6, base)
        elif kind == 'print':
            places = [((x * 90 + offset[i]).astype(np.float32)) for i, x in enumerate((u, v))]
            levels = np.stack([sample(noise('smooth'), places[0] + 170 * i, places[1]) for i in range(4)])
            weights = np.exp(3 * np.clip(levels, -3, 3))
            out = (weights / weights.sum(0)).T @ colours
        else:
            out = np.broadcast_to(base, (len(u), 3))
        scale = 320 if kind == 'fabric' else 120
        fine = sample(rough, (u * scale + offset[0]).astype(np.float32), (v * scale + offset[1]).astype(np.float32))
        return np.maximum(out * (tone[face] * (1 + grain * fine))[:, None], 0)
    return paint


def _glowing(rng, colour):
    colour = np.float32(colour)
    return lambda u, v, face: np.broadcast_to(colour, (len(u), 3))


def draw_room(canvas, light, rng, warmth):
    """Draw a furnished room around the camera; returns the largest depth in it (m).

    Args:
        canvas (Canvas): Empty; its camera stands at the origin, ``camera.height`` above the floor.
        light (Light): Not used but for its ambient colour, that of the windows.
        rng (Generator): Draws everything.
        warmth (float): 0 daylight to 1 the light of bulbs.
    """
    width, length, height = rng.uniform(2.8, 6.5), rng.uniform(3.2, 11), rng.uniform(2.3, 3.3)
    height = max(height, canvas.camera.height + 0.5)
    back = rng.uniform(0.3, 0.8)  # wall behind the camera
    turn = rng.uniform(-0.7, 0.7)
    cos, sin = np.cos(turn), np.sin(turn)
    aside = rng.uniform(-0.5, 0.5) * (width - 1.2)

    def world(x, z):
        """Room coordinates (x from the middle, z from the camera) to world (x, z)."""
        x, z = x - aside, z
        return x * cos + z * sin, -x * sin + z * cos

    colour = np.float32([1, 1 - 0.22 * warmth, 1 - 0.5 * warmth])
    lamp_x, lamp_z = world(rng.uniform(-0.3, 0.3) * width, rng.uniform(0.2, 0.8) * length)
    level = rng.uniform(0.5, 1.3)
    painter = _Painter(canvas, (lamp_x, height - 0.25, lamp_z), colour * np.float32(level * rng.uniform(0.35, 0.7)),
                       colour * np.float32(level * rng.uniform(0.3, 1.2)))
    pieces, feet = [], []

    def put(x, y, z, size, paint, spin=0.0):
        wx, wz = world(x, z)
        pieces.append(((wx, y, wz), size, turn + spin, paint))

    for _ in range(rng.integers(6, 20)):
        _furniture(rng, put, feet, world, width, length, height)
    for _ in range(rng.integers(2, 9)):
        _on_wall(rng, put, width, length, back, height, light)

    def grounded(x, z):
        shade = np.ones(len(x), np.float32)
        for fx, fz, radius in feet:
            away = np.hypot(x - fx, z - fz)
            shade = np.minimum(shade, 1 - 0.55 * np.exp(-np.maximum(away - 0.6 * radius, 0) / 0.25))
        return shade

    wall = _material(rng, rng.choice(['plain', 'plain', 'plain', 'stripes', 'print', 'tiles']),
                     _colour(rng, (0, 0.35), (0.35, 0.95)))
    plain = _material(rng, 'plain', _colour(rng, (0, 0.1), (0.6, 1)))
    floor = _material(rng, rng.choice(['wood', 'wood', 'tiles', 'fabric', 'checks', 'plain']))

    def shell(u, v, face):
        return floor(u, v, face) if face == 1 else plain(u, v, face) if face == 3 else wall(u, v, face)

    middle = world(0, (length - back) / 2)
    painter.box((middle[0], 0, middle[1]), (width, height, length + back), turn, shell, True, grounded)
    for piece in pieces:
        painter.box(*piece)
    return float(canvas.depth[np.isfinite(canvas.depth)].max())


def _furniture(rng, put, feet, world, width, length, height):
    spin = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.12) if rng.uniform() < 0.8 else rng.uniform(0, np.pi)
    x, z = rng.uniform(-0.5, 0.5) * (width - 0.6), rng.uniform(0.8, max(1.2, length - 0.6))
    kind = rng.choice(['table', 'chair', 'sofa', 'bed', 'shelf', 'cabinet', 'box', 'lamp', 'rug'],
                      p=[0.18, 0.17, 0.12, 0.08, 0.13, 0.13, 0.1, 0.05, 0.04])
    cos, sin = np.cos(spin), np.sin(spin)

    def part(dx, y, dz, size, paint):
        # offsets turn with the piece, as world() turns places
        put(x + dx * cos + dz * sin, y, z - dx * sin + dz * cos, size, paint, spin)

    fx, fz = world(x, z)
    main, second = _material(rng), _material(rng)
    if kind == 'table':
        w, d, h = rng.uniform(0.6, 1.8), rng.uniform(0.5, 1.0), rng.uniform(0.4, 0.95)
        part(0, h - 0.05, 0, (w, 0.05, d), main)
        for sx in (-1, 1):
            for sz in (-1, 1):
                part(sx * (w / 2 - 0.06), 0, sz * (d / 2 - 0.06), (0.06, h - 0.05, 0.06), main)
        for _ in range(rng.integers(0, 6)):
            size = rng.uniform(0.05, 0.35, 3)
            part(rng.uniform(-0.4, 0.4) * w, h, rng.uniform(-0.4, 0.4) * d, tuple(size), _material(rng))
        feet.append((fx, fz, max(w, d) / 2))
    elif kind == 'chair':
        w, h = rng.uniform(0.4, 0.6), rng.uniform(0.38, 0.5)
        part(0, h - 0.06, 0, (w, 0.06, w), main)
        part(0, h, w / 2 - 0.03, (w, rng.uniform(0.3, 0.6), 0.05), second)
        for sx in (-1, 1):
            for sz in (-1, 1):
                part(sx * (w / 2 - 0.04), 0, sz * (w / 2 - 0.04), (0.04, h - 0.06, 0.04), second)
        feet.append((fx, fz, w / 2))
    elif kind == 'sofa':
        w, d, h = rng.uniform(0.8, 2.2), rng.uniform(0.7, 1.0), rng.uniform(0.35, 0.48)
        part(0, 0.06, 0, (w, h - 0.06, d), main)
        part(0, 0.06, d / 2 - 0.12, (w, h + rng.uniform(0.3, 0.5), 0.22), main)
        for sx in (-1, 1):
            part(sx * (w / 2 - 0.1), 0.06, 0, (0.2, h + 0.15, d), main)
        for _ in range(rng.integers(0, 4)):
            part(rng.uniform(-0.35, 0.35) * w, h, 0.1, (0.4, 0.35, 0.14), _material(rng))
        feet.append((fx, fz, w / 2))
    elif kind == 'bed':
        w, d = rng.uniform(0.9, 1.8), rng.uniform(1.9, 2.1)
        part(0, 0, 0, (w, 0.3, d), main)
        part(0, 0.3, 0, (w - 0.04, 0.22, d - 0.04), second)
        part(0, 0.52, d / 2 - 0.3, (w * 0.7, 0.13, 0.4), _material(rng, 'fabric', _colour(rng, (0, 0.3), (0.4, 1))))
        part(0, 0, d / 2, (w, rng.uniform(0.7, 1.2), 0.06), main)
        feet.append((fx, fz, d / 2))
    elif kind == 'shelf':
        w, h, d = rng.uniform(0.6, 1.4), rng.uniform(0.9, min(2.2, height - 0.1)), rng.uniform(0.25, 0.4)
        part(0, 0, d / 2, (w, h, 0.03), main)
        for sx in (-1, 1):
            part(sx * w / 2, 0, 0, (0.03, h, d), main)
        boards = rng.integers(2, 6)
        for i in range(boards + 1):
            y = i * (h - 0.03) / boards
            part(0, y, 0, (w, 0.03, d), main)
            place = -w / 2 + 0.04
            while i < boards and place < w / 2 - 0.1:
                thick, tall = rng.uniform(0.02, 0.12), rng.uniform(0.4, 0.9) * h / boards
                if rng.uniform() < 0.8:
                    part(place + thick / 2, y + 0.03, 0.02, (thick, tall, d * 0.7),
                         _material(rng, 'plain', _colour(rng, (0, 0.9), (0.04, 0.9))))
                place += thick + (rng.uniform(0, 0.12) if rng.uniform() < 0.2 else 0.003)
        feet.append((fx, fz, w / 2))
    elif kind in ('cabinet', 'box'):
        if kind == 'cabinet':
            w, h, d = rng.uniform(0.4, 1.6), rng.uniform(0.5, min(2.1, height - 0.1)), rng.uniform(0.35, 0.65)
            doors = max(1, round(w / 0.45))
            for i in range(doors):
                part((i + 0.5) * w / doors - w / 2, 0.05, -d / 2, (w / doors - 0.02, h - 0.1, 0.03), second)
        else:
            w, h, d = rng.uniform(0.15, 0.8, 3)
        part(0, 0, 0, (w, h, d), main)
        for _ in range(rng.integers(0, 4)):
            size = rng.uniform(0.05, 0.4, 3)
            part(rng.uniform(-0.4, 0.4) * w, h, 0, tuple(size), _material(rng))
        feet.append((fx, fz, max(w, d) / 2))
    elif kind == 'lamp':
        h = rng.uniform(1.2, 1.8)
        part(0, 0, 0, (0.04, h, 0.04), second)
        part(0, h - 0.1, 0, (0.3, 0.3, 0.3), _glowing(rng, rng.uniform(1.5, 4) * np.array([1, 0.85, 0.6])))
        feet.append((fx, fz, 0.15))
    else:
        part(0, 0, 0, (rng.uniform(1, 2.4), 0.012, rng.uniform(0.8, 1.8)), main)


def _on_wall(rng, put, width, length, back, height, light):
    """A window, door, picture or cupboard on one of the three walls in view."""
    wall = rng.integers(3)
    kind = rng.choice(['window', 'picture', 'door', 'cupboard', 'curtain'], p=[0.25, 0.4, 0.13, 0.14, 0.08])
    w, h, y, deep = {'window': (rng.uniform(0.6, 2), rng.uniform(0.8, 1.5), rng.uniform(0.7, 1.1), 0.06),
                     'picture': (rng.uniform(0.2, 1.0), rng.uniform(0.2, 0.9), rng.uniform(1.1, 1.5), 0.03),
                     'door': (rng.uniform(0.75, 1.0), 2.05, 0.0, 0.05),
                     'cupboard': (rng.uniform(0.5, 1.6), rng.uniform(0.4, 0.8), rng.uniform(1.3, 1.6), 0.35),
                     'curtain': (rng.uniform(0.3, 0.9), height - 0.35, 0.1, 0.12)}[kind]
    h = min(h, height - y - 0.05)
    sky = light.horizon / max(float(light.horizon.max()), 1e-3)
    paint = {'window': _glowing(rng, sky * rng.uniform(0.6, 2.5)),
             'picture': _material(rng, 'print'), 'curtain': _material(rng, 'stripes')}.get(kind) or _material(rng)
    if wall == 1:
        x, z, size = rng.uniform(-0.45, 0.45) * max(width - w, 0.1), length - deep / 2, (w, h, deep)
    else:
        side = -1 if wall == 0 else 1
        x, z, size = side * (width / 2 - deep / 2), rng.uniform(0.6, max(0.7, length - w)), (deep, h, w)
    put(x, y, z, size, paint)
    if kind in ('window', 'picture', 'door'):
        frame = _material(rng, 'plain', _colour(rng, (0, 0.2), (0.05, 1)))
        thick = 0.05
        for edge in range(2):
            low = y - thick if edge == 0 else y + h
            put(x, max(low, 0), z, tuple(s + 2 * thick * (i != 1) for i, s in enumerate(size))[:1] + (thick,) +
                (size[2] + (2 * thick if wall != 1 else 0.03),), frame)
        for end in (-1, 0, 1) if kind == 'window' else (-1, 1):
            shift = end * (w / 2 + thick / 2)
            at = (x + shift, z) if wall == 1 else (x, z + shift)
            put(at[0], y, at[1], (thick, h, deep + 0.03) if wall == 1 else (deep + 0.03, h, thick), frame)
