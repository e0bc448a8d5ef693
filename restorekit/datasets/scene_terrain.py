"""Landscapes of the scene renderer: hills, fields, a dirt road, trees and farmhouses."""

import numpy as np

from .scene_parts import draw_sky, draw_tree, noise, sample, smoothstep


def draw_terrain(canvas, light, rng, far):
    """Rolling hills, drawn column by column through slices of growing distance, then trees and houses on them."""
    camera = canvas.camera
    height, width = canvas.depth.shape
    shift, roughness = rng.uniform(0, 512, 4), rng.uniform(0.6, 1.3)
    ridge_z, ridge_h = rng.uniform(0.7, 0.95) * far, rng.uniform(0.04, 0.17) * far
    valley = rng.uniform(0, 0.05) * far
    bend, sweep, lane = rng.uniform(0, 6.3), rng.uniform(4, 12), rng.uniform(1.3, 2.2)
    start = rng.uniform(-5, 5)

    def lift(x, z):
        hills = sample(noise('hills'), x / 3.1 + shift[0], z / 3.1 + shift[1])
        knolls = sample(noise('smooth'), x / 1.1 + shift[2], z / 1.1 + shift[3])
        open_up = smoothstep(8, 0.35 * far, z)
        return (open_up * (0.026 * far * roughness * hills + 1.1 * roughness * knolls)
                - valley * smoothstep(5, 0.3 * far, z) + ridge_h * smoothstep(0.25 * far, ridge_z, z) * (1 + 0.45 * hills))

    ground_here = float(lift(np.float32([0]), np.float32([0]))[0])
    eye = ground_here + camera.height
    nearest = 0.6 * camera.focal * camera.height / max(height - camera.horizon, 1)
    slices = np.geomspace(max(nearest, 0.8), far, 130).astype(np.float32)
    x = slices[:, None] * canvas.ray_x
    level = lift(x.ravel(), np.broadcast_to(slices[:, None], x.shape).ravel()).reshape(x.shape)
    rows_at = camera.horizon - camera.focal * (level - eye) / slices[:, None]
    covered = np.minimum.accumulate(rows_at, axis=0)
    first_row = np.clip(np.ceil(covered), 0, height).astype(np.int64)
    counts = np.bincount((first_row * width + np.arange(width)).ravel(), minlength=(height + 1) * width)
    covering = np.cumsum(counts.reshape(height + 1, width)[:height], axis=0)
    first = len(slices) - covering
    rows, columns = np.nonzero(covering > 0)
    k = np.maximum(first[rows, columns], 1)
    upper, lower = rows_at[k, columns], rows_at[k - 1, columns]
    part = np.clip((rows - lower) / np.minimum(upper - lower, -1e-4), 0, 1).astype(np.float32)
    depth = 1 / ((1 - part) / slices[k - 1] + part / slices[k])
    canvas.depth[rows, columns] = depth

    step_z = np.gradient(level, axis=0) / np.gradient(slices)[:, None]
    step_x = np.gradient(level, axis=1) / (slices[:, None] / camera.focal)
    step_z = step_z - step_x * canvas.ray_x
    steep = 1 / np.sqrt(1 + step_x ** 2 + step_z ** 2)
    lit = (light.direction[1] - step_x * light.direction[0] - step_z * light.direction[2]) * steep
    lit_here = np.maximum((1 - part) * lit[k - 1, columns] + part * lit[k, columns], 0)
    sky_here = (0.55 + 0.45 * steep)[k, columns]
    x, z = depth * canvas.ray_x[columns], depth
    fine = depth / camera.focal

    season = rng.uniform(0, 1)
    meadow = np.float32([0.105 + 0.12 * season, 0.135 + 0.03 * season, 0.035 + 0.02 * season])
    straw, earth = np.float32([0.34, 0.26, 0.12]), np.float32([0.17, 0.115, 0.075])
    woods = np.float32([0.035 + 0.08 * (season > 0.7), 0.05, 0.022])
    zones = sample(noise('smooth'), x / 2.6 + shift[2], z / 3.6 + shift[0])
    tufts = sample(noise('rough'), 9 * x, 5 * z) * np.clip(0.3 / fine, 0, 1) ** 0.5
    blades = sample(noise('rough'), 46 * x, 22 * z) * np.clip(0.05 / fine, 0, 1)
    patchy = sample(noise('fractal'), 1.4 * x + shift[1], 1.4 * z)
    wide = sample(noise('fractal'), x / 4 + shift[3], z / 4)
    colour = meadow * (1 + 0.12 * patchy + 0.12 * wide)[:, None]
    fade = smoothstep(0.35, 0.55, zones + 0.08 * patchy)[:, None]
    colour = colour + fade * (straw * (0.85 + 0.1 * patchy)[:, None] - colour)
    furrows = np.sin((x + 0.4 * z) * 2.4) * np.clip(0.5 / fine, 0, 1)
    fade = (smoothstep(-0.75, -0.85, zones) * (1 - smoothstep(0.3 * far, 0.5 * far, z)))[:, None]
    colour = colour + fade * (earth * (1 + 0.16 * furrows + 0.1 * patchy)[:, None] - colour)
    forest = smoothstep(0.25, 0.5, wide + 0.5 * zones + 0.2 * patchy) * smoothstep(0.2 * far, 0.45 * far, z)
    canopy = sample(noise('rough'), 1.3 * x, 1.3 * z + 2.0 * level[k, columns])
    colour = colour + forest[:, None] * (woods * np.clip(1 + 0.55 * canopy, 0.2, 3)[:, None] - colour)
    colour *= np.clip(1 + 0.22 * tufts + 0.26 * blades, 0.2, 2)[:, None]
    path = start + sweep * (np.sin(z / 27 + bend) - np.sin(bend)) - start * z / far
    off = np.abs(x - path) + 0.12 * patchy
    ruts = np.exp(-((off - 0.62 * lane) / (0.28 * lane)) ** 2)
    trodden = np.clip((lane - off) / np.maximum(fine, 0.25) + 0.5, 0, 1) * (0.35 + 0.65 * ruts)
    colour += (trodden * (1 - forest))[:, None] * (np.float32([0.30, 0.235, 0.165]) * (1 + 0.14 * tufts)[:, None]
                                                   - colour)
    shade = 1 - 0.65 * smoothstep(0.35, 0.9, sample(noise('smooth'), x / 3.4 + shift[1], z / 6 + shift[2])) * (
        0.3 < light.clouds < 0.6)
    arriving = light.sun * (lit_here * shade)[:, None] + light.ambient * sky_here[:, None]
    canvas.colour[rows, columns] = colour * arriving
    draw_sky(canvas, light, rng)

    count = 260
    tree_z = np.geomspace(12, 0.9 * far, count) * rng.uniform(0.9, 1.1, count)
    tree_x = rng.uniform(-0.75, 0.75, count) * tree_z * (width / camera.focal)
    tree_x, tree_z = np.float32(tree_x), np.float32(tree_z)
    foot = lift(tree_x, tree_z) - eye + camera.height
    grove = (sample(noise('fractal'), tree_x / 4 + shift[3], tree_z / 4)
             + 0.5 * sample(noise('smooth'), tree_x / 2.6 + shift[2], tree_z / 3.6 + shift[0]))
    leaf = np.float32([0.06 + 0.10 * season * (rng.random() < 0.5), 0.085, 0.028])
    conifers = rng.uniform(0, 1)
    density = rng.uniform(-0.5, 0.5)
    for i in np.argsort(-tree_z):
        pick, mood, size, tint = rng.random(), rng.random(), rng.uniform(0.6, 1.25), rng.uniform(0.8, 1.25, 3)
        away = abs(tree_x[i] - (start + sweep * (np.sin(tree_z[i] / 27 + bend) - np.sin(bend))
                                - start * tree_z[i] / far))
        if grove[i] + 0.9 * (mood - 0.5) < density or away < lane + 1.5:
            continue
        kind = 'conifer' if pick < conifers * 0.8 else 'broadleaf' if pick < 0.85 else 'bush'
        metres = size * {'conifer': 11, 'broadleaf': 8.5, 'bush': 2.2}[kind]
        albedo = leaf * tint * (0.65 if kind == 'conifer' else 1)
        draw_tree(canvas, light, kind, i, (tree_x[i], foot[i] - 0.15, tree_z[i]), metres, albedo)
