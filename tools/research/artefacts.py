"""Measure what restoring adds to photos: JPEG blocks, halos at edges, blotches in flat places, rings in skies.

python tools/research/artefacts.py FOLDER --list DATA/lists/fog_val.txt --models haze dcp --json artefacts.json

- contrast: mean absolute difference of neighbouring pixels inside 8x8 blocks, after over before.
- blocks: mean difference across borders of 8x8 blocks over that inside them. 1: no blocks to be seen. Restoring raises
  contrast; only what it raises more at the borders counts.
- flat: standard deviation in windows of 17x17 pixels that were flat (below 2 of 255 levels), in levels.
- halo: mean tilt of brightness over flat places 6 to 24 pixels beside a strong edge over that of flat places far from
  edges. Smooth gains leave it where it was; gains that change beside an edge raise it. Photos that have hardly any tilt
  far from edges, such as clipped skies (below 0.05 levels a pixel), are left out.
- rings: height of the steps in bright smooth places, after over before, mean and worst photo. 1: they are as they were.
  Places: windows of 33x33 pixels of the photo with a standard deviation below 2 levels and a mean above 128. Height:
  what 5 % of the pixels exceed in the difference of the image, blurred by 5 pixels against grain, and its blur by 17;
  at least 0.25 levels, which is rounding. A smooth gradient has no steps, however steep it is made.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

import restorekit
from restorekit.datasets.list_file import read_list
from restorekit.datasets.scanner import scan_images
from restorekit.files.image_io import read_image
from restorekit.text_table import markdown_table


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


def bright_places(grey):
    """Mask of bright smooth places, such as skies and fog."""
    mean = cv2.blur(grey, (33, 33))
    return (np.sqrt(np.maximum(cv2.blur(grey * grey, (33, 33)) - mean * mean, 0)) < 2) & (mean > 128)


def step_height(image, mask):
    """Height of the steps in the masked places of an image, in levels."""
    image = image.astype(np.float32)
    return max(float(np.percentile(np.abs(cv2.blur(image, (5, 5)) - cv2.blur(image, (17, 17)))[mask], 95)), 0.25)


def measure(before, after):
    """Return the measures of one photo, before and after, both uint8 (H, W, 3) RGB."""
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (before, after)]
    flat, near, far = places(grey[0])
    out, comparable = {}, near.sum() > 500 < far.sum()
    for name, x in zip(('before', 'after'), grey, strict=True):
        smooth = cv2.blur(x, (9, 9))
        tilt = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
        comparable = comparable and (name == 'after' or tilt[far].mean() > 0.05)
        spread = np.sqrt(np.maximum(cv2.blur(x * x, (17, 17)) - cv2.blur(x, (17, 17)) ** 2, 0))
        inside, ratio = blocks(x)
        out[name] = dict(inside=inside, blocks=ratio, flat=float(spread[flat].mean()) if flat.any() else None,
                         halo=float(tilt[near].mean() / tilt[far].mean()) if comparable else None)
    bright = bright_places(grey[0])
    return dict(contrast=out['after'].pop('inside') / max(out['before'].pop('inside'), 1e-6), **out,
                rings=step_height(after, bright) / step_height(before, bright) if bright.sum() > 500 else None)


def mean(rows, *keys, of=np.mean):
    """The mean of a nested entry over the photos that have it."""
    values = []
    for row in rows:
        for key in keys:
            row = row[key]
        if row is not None:
            values.append(row)
    return float(of(values)) if values else None


def shown(value):
    """A number as text; '-' where no photo has such a place."""
    return '-' if value is None else f'{value:.2f}'


def main():
    """Print a line for each model; write all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='folder of photos')
    parser.add_argument('--list', help='list of the photos, one name a line (default: all)')
    parser.add_argument('--models', nargs='+', default=['haze', 'dcp'], help='names or files of models')
    parser.add_argument('--json', help='file to write')
    args = parser.parse_args()
    names = read_list(args.list, ('input',)).find(args.folder, 'input') if args.list else scan_images(args.folder)
    photos, result = [read_image(Path(args.folder, name)) for name in names], {}
    table = [('model', 'contrast', 'blocks', 'flat', 'halo', 'rings', 'worst')]
    for model in args.models:
        restore = restorekit.load(model)
        rows = [measure(photo, restore(photo)) for photo in photos]
        r = dict(contrast=mean(rows, 'contrast'))
        for key in ('blocks', 'flat', 'halo'):
            r.update({f'{key}_{when}': mean(rows, when, key) for when in ('before', 'after')})
        r.update(rings=mean(rows, 'rings'), rings_worst=mean(rows, 'rings', of=np.max))
        result[model] = r
        table.append((model, shown(r['contrast']), *(
            f'{shown(r[f"{key}_before"])} -> {shown(r[f"{key}_after"])}' for key in ('blocks', 'flat', 'halo')),
            shown(r['rings']), shown(r['rings_worst'])))
    print(f'{len(photos)} photos, {sum(row["rings"] is not None for row in rows)} of them with bright smooth places\n')
    print(markdown_table(table))
    if args.json:
        Path(args.json).write_text(json.dumps(dict(photos=len(photos), models=result), indent=1) + '\n')


if __name__ == '__main__':
    main()
