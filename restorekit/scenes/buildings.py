"""Façades of the scene renderer: vertical planes in a depth buffer, shaded together once all are placed."""

import numpy as np

from .parts import chunks, noise, pulse, sample, smoothstep


class Facades:
    """Collects axis-aligned façades, finds what each pixel sees of them, and shades all visible pixels at once."""

    FIELDS = ('axis', 'red', 'green', 'blue', 'facing', 'low', 'top', 'bay', 'storey', 'glazing', 'tallness',
              'first', 'trim', 'glass', 'mullion', 'shop', 'code', 'lit')

    def __init__(self, canvas):
        self.canvas = canvas
        self.owner = np.full(canvas.depth.shape, -1, np.int16)
        self.table = []

    def add(self, axis, position, low, high, top, **look):
        """Place the plane x = position (axis 0) or z = position (axis 1) from ``low`` to ``high``, 0 to ``top`` m."""
        canvas = self.canvas
        camera = canvas.camera
        ray, along = (canvas.ray_x, canvas.ray_z) if axis == 0 else (canvas.ray_z, canvas.ray_x)
        depth = position / np.where(np.abs(ray) < 1e-5, 1e-5, ray)
        reach = depth * along
        columns = np.flatnonzero((depth > 0.5) & (reach >= low) & (reach <= high))
        if not columns.size:
            return
        columns = slice(columns[0], columns[-1] + 1)
        depth = depth[columns].astype(np.float32)
        upper = camera.horizon - camera.focal * (top - camera.height) / depth
        lower = camera.horizon + camera.focal * camera.height / depth
        first = max(int(np.ceil(upper.min())), 0)
        last = min(int(np.floor(lower.max())) + 1, canvas.rows.size)
        if first >= last:
            return
        rows = canvas.rows[first:last, None]
        seen = (rows >= upper) & (rows <= lower) & (depth < canvas.depth[first:last, columns])
        if seen.any():
            np.copyto(canvas.depth[first:last, columns], np.broadcast_to(depth, seen.shape), where=seen)
            self.owner[first:last, columns][seen] = len(self.table)
            # Whole bays and storeys only, so that no window is cut by an edge.
            bay = (high - low) / max(round((high - low) / look['bay']), 1)
            upper = max(top - 0.9 - look['first'], 1)
            storey = upper / max(round(upper / look['storey']), 1)
            values = dict(look, axis=axis, low=low, top=top, bay=bay, storey=storey)
            self.table.append([values[name] for name in self.FIELDS])

    def shade(self, light, opposite):
        """Colour every façade pixel; ``opposite(z, sign)`` is the height (m) of the row across the street."""
        if self.table:
            look = dict(zip(self.FIELDS, np.float32(self.table).T, strict=True))
            for pixels in chunks(np.flatnonzero(self.owner >= 0)):
                self._shade(pixels, look, light, opposite)

    def _shade(self, pixels, look, light, opposite):
        canvas, camera = self.canvas, self.canvas.camera
        rows, columns = np.divmod(pixels, canvas.columns.size)
        owner = self.owner.ravel()[pixels].astype(np.intp)
        sun, ambient, horizon = (value[:, None] for value in (light.sun, light.ambient, light.horizon))

        def of(name):
            return look[name].take(owner)

        depth = canvas.depth.ravel()[pixels]
        ray_x, ray_z = canvas.ray_x[columns], canvas.ray_z[columns]
        x, z = depth * ray_x, depth * ray_z
        y = camera.height - (canvas.rows[rows] - camera.horizon) * depth / camera.focal
        side = of('axis') < 0.5
        s = np.where(side, z, x) - of('low')
        fine = depth / camera.focal
        wide = np.minimum(fine / np.maximum(np.abs(np.where(side, ray_x, ray_z)), 0.05), 40)
        top, first, bay, storey, code = of('top'), of('first'), of('bay'), of('storey'), of('code')
        column, row = s / bay, (y - first) / storey
        upstairs = smoothstep(first - fine, first + fine, y) * smoothstep(top - 0.9 + fine, top - 0.9 - fine, y)
        across, along = pulse(column, of('glazing'), wide / bay), pulse(row, of('tallness'), fine / storey)
        window = across * along * upstairs
        frame = (pulse(column, of('glazing') + 0.34 / bay, wide / bay)
                 * pulse(row, of('tallness') + 0.3 / storey, fine / storey) * upstairs)
        bars = pulse(column + 0.5, 0.09 / bay, wide / bay) * of('mullion')
        floor = np.floor(row)
        inside = row - floor

        cell = column.astype(np.int32) * 37 + floor.astype(np.int32) * 101 + code.astype(np.int32) * 59
        random = noise('white').take(cell & 0x3FFFF)
        wall = np.stack([of('red'), of('green'), of('blue')])
        clear = np.clip(0.06 / np.maximum(fine, 0.01), 0, 1)
        broad = sample(noise('fractal'), 5 * s + 31 * code, 5 * y)
        streaks = sample(noise('fractal'), 24 * s + 17 * code, 2.2 * y)
        grain = sample(noise('rough'), 28 * s, 28 * y) * clear
        texture = 1 + 0.07 * broad + 0.06 * streaks + 0.07 * grain
        joints = pulse((y - first) / storey + 0.5, 0.22 / storey, fine / storey)
        texture *= 1 - 0.22 * joints * (y < top - 0.8)
        grime = 1 - 0.42 * np.exp(y * (-1 / 0.7)) - 0.14 * np.exp(y * (-1 / 6))
        cornice = smoothstep(top - 0.75, top - 0.6, y)
        eaves = smoothstep(top - 1.9, top - 0.75, y) * (1 - cornice)
        albedo = wall * (texture * (1 + 0.12 * cornice - 0.34 * eaves))

        facing = of('facing')
        normal = np.where(side, -np.sign(x), np.float32(0))
        cross = np.maximum(normal * light.direction[0], 1e-3)
        # The ray to the sun meets the row across the street, as far beyond the camera as this one is before it.
        run = 2 * np.abs(x) / cross
        across_top = opposite(z + run * light.direction[2], normal).astype(np.float32)
        blocked = across_top - (y + run * light.direction[1])
        facing = facing * np.where(side & (facing > 0), 1 - smoothstep(-0.4, 0.4, blocked), 1)
        opening = np.clip(0.62 + 0.38 * y / np.maximum(top, 9), 0, 1) * grime
        arriving = sun * facing + ambient * (0.8 * opening)
        colour = albedo * arriving

        trim = np.clip(frame - window, 0, 1) + window * np.clip(bars, 0, 1) * 0.8
        colour += trim * of('trim') * (0.55 * arriving * grime - colour)
        colour *= 1 - 0.35 * np.clip(frame - window, 0, 1) * (inside < 0.12)
        reflection = of('glass') * np.clip(0.55 + 0.35 * random + 0.35 * (y / top - 0.5), 0.05, 1.5)
        pane = horizon * reflection + 0.018 * ambient
        pane = pane * (1 - 0.55 * smoothstep(0.72, 0.9, inside))
        pane += (random > 1.0) * np.float32(0.3) * (inside > 0.45) * ambient
        if light.night:
            level = noise('white').take((cell * 7 + 13) & 0x3FFFF)
            glow = (level > 1.9 - 2.2 * of('lit')) * (0.6 + 0.35 * np.tanh(random)) * (0.8 + 0.3 * broad * clear)
            pane += glow * np.float32([[0.62], [0.40], [0.17]])
        hidden = np.clip(window * (1 - np.clip(bars, 0, 1) * 0.8 * of('trim')), 0, 1)
        colour += hidden * (pane - colour)
        shop = np.flatnonzero((of('shop') > 0) & (y < first - 0.1))
        if shop.size:
            self._open_shops(colour, shop, arriving, light, s[shop], y[shop], wide[shop], first[shop], code[shop])
        canvas.paint(pixels, np.maximum(colour, 0))

    @staticmethod
    def _open_shops(colour, shop, arriving, light, s, y, wide, first, code):
        """Paint the shop windows and signs of the ground floor."""
        ambient, horizon = light.ambient[:, None], light.horizon[:, None]
        number = np.floor(s / 4.5).astype(np.int32) * 311 + code.astype(np.int32) * 97
        window = (y < first - 0.75) * (y > 0.45) * pulse(s / 4.5, 0.84, wide / 4.5)
        # Behind the window: goods as blocks, a ceiling that is brighter than the floor.
        shelf = np.floor(s / 0.6).astype(np.int32) * 71 + np.floor(y / 0.45).astype(np.int32) * 29
        goods = noise('white').take((shelf + number) & 0x3FFFF)
        mood = noise('white').take((number * 5 + 3) & 0x3FFFF)
        blur = sample(noise('fractal'), 12 * s + code, 12 * y)
        brightness = np.clip(0.5 + 0.13 * goods + 0.12 * blur + 0.2 * (y - 1.6) + 0.25 * mood, 0.04, 1.3)
        inner = 0.09 * brightness * ambient + 0.08 * horizon
        if light.night:
            inner = 0.34 * brightness * (mood > -0.5) * np.float32([[0.9], [0.72], [0.45]]) + 0.02 * ambient
        front = colour[:, shop]
        front += window * (inner - front)
        tint = noise('white').take((number + np.arange(3, dtype=np.int32)[:, None] * 7) & 0x3FFFF)
        front += (y > first - 0.7) * (np.clip(0.16 + 0.10 * tint, 0.015, 0.45) * arriving[:, shop] - front)
        colour[:, shop] = front
