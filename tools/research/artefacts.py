"""Measure what restoring adds to photos: amplified JPEG blocks, halos at edges, blotches in flat places.

python tools/research/artefacts.py FOLDER --list DATA/lists/fog_val.txt --models haze dcp --json artefacts.json

- contrast: mean absolute difference of neighbouring pixels inside 8x8 blocks, after over before.
- blocks: mean difference across borders of 8x8 blocks over that inside them. 1: no blocks to be seen. Restoring raises
  contrast; only what it raises more at the borders counts.
- flat: standard deviation in windows of 17x17 pixels that were flat (below 2 of 255 levels), in levels.
- halo: mean tilt of brightness over flat places 6 to 24 pixels beside a strong edge over that of flat places far from
  edges. Smooth gains leave it where it was; gains that change beside an edge raise it.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

import restorekit
from restorekit.files.image_io import read_image


def blocks(grey):
    """Return the mean difference of neighbours inside 8x8 blocks, and across their borders over that."""
    inside, across = [], []
    for x in (grey, grey.T):
        step = np.abs(np.diff(x, axis=1))
        border = np.arange(step.shape[1]) % 8 == 7
        inside.append(step[:, ~border].mean())
        across.append(step[:, border].mean())
    return float(np.mean(inside)), float(np.sum(across) / max(np.sum(inside), 1e-6))


def places(grey):
    """Masks of flat places: all, beside strong edges, far from edges."""
    mean = cv2.blur(grey, (17, 17))
    flat = np.sqrt(np.maximum(cv2.blur(grey * grey, (17, 17)) - mean * mean, 0)) < 2
    edge = (np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) > 160).astype(np.uint8)
    distance = cv2.distanceTransform(1 - edge, cv2.DIST_L2, 3) if edge.any() else np.full(grey.shape, 1e3)
    return flat, flat & (distance > 6) & (distance <= 24), flat & (distance > 40)


def measure(before, after):
    """Return the measures of one photo, before and after, both uint8 (H, W, 3) RGB."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (before, after)]
    flat, near, far = places(grey[0])
    out = {}
    for name, x in zip(('before', 'after'), grey, strict=True):
        smooth = cv2.blur(x, (9, 9))
        tilt = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
        spread = np.sqrt(np.maximum(cv2.blur(x * x, (17, 17)) - cv2.blur(x, (17, 17)) ** 2, 0))
        inside, ratio = blocks(x)
        out[name] = dict(inside=inside, blocks=ratio, flat=float(spread[flat].mean()) if flat.any() else None,
                         halo=float(tilt[near].mean() / tilt[far].mean()) if near.sum() > 500 < far.sum() else None)
    return dict(contrast=out['after'].pop('inside') / max(out['before'].pop('inside'), 1e-6), **out)


def mean(rows, *keys):
    """The mean of a nested entry over the photos that have it."""
    values = []
    for row in rows:
        for key in keys:
            row = row[key]
        if row is not None:
            values.append(row)
    return float(np.mean(values)) if values else None


def main():
    """Print a line for each model; write all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='folder of photos')
    parser.add_argument('--list', help='names of the photos, one a line (default: all)')
    parser.add_argument('--models', nargs='+', default=['haze', 'dcp'], help='names or files of models')
    parser.add_argument('--json', help='file to write')
    args = parser.parse_args()
    folder = Path(args.folder)
    names = Path(args.list).read_text().split('\n') if args.list else sorted(p.name for p in folder.iterdir())
    photos = [read_image(folder / name) for name in names if name]
    result = {}
    print(f'{len(photos)} photos       contrast  blocks        flat          halo')
    for model in args.models:
        restore = restorekit.load(model)
        rows = [measure(photo, restore(photo)) for photo in photos]
        r = dict(contrast=mean(rows, 'contrast'))
        for key in ('blocks', 'flat', 'halo'):
            r.update({f'{key}_{when}': mean(rows, when, key) for when in ('before', 'after')})
        result[model] = r
        print(f'{model:16s} {r["contrast"]:8.2f}  ' + '  '.join(
            f'{r[f"{key}_before"]:.2f} -> {r[f"{key}_after"]:.2f}' for key in ('blocks', 'flat', 'halo')))
    if args.json:
        Path(args.json).write_text(json.dumps(dict(photos=len(photos), models=result), indent=1) + '\n')


if __name__ == '__main__':
    main()
