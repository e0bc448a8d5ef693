"""What a model does to clipped skies and lamps, without and with --protect-highlights.

For the photos of a folder in which at least one percent of the pixels is clipped (darkest channel >= 0.98):
clipped: share of them that is still bright (>= 0.9) afterwards; rough: mean gradient inside them, in 1/255 per pixel;
halo: mean absolute change of the ring of 8 pixels around them; outside: mean absolute change elsewhere, and how far
protection changes that.

    python tools/research/highlights.py PHOTOS [--model haze | --checkpoint FILE]
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

import restorekit
from restorekit.files.image_io import read_image
from restorekit.text_table import markdown_table


def measure(image, restored, clipped):
    """Return (still bright, gradient inside, change of the ring around, change outside) of one photo."""
    image, restored = (x.astype(np.float32) for x in (image, restored))
    inner = cv2.erode(clipped.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    near = cv2.dilate(clipped.astype(np.uint8), np.ones((17, 17), np.uint8)).astype(bool)
    far = ~cv2.dilate(clipped.astype(np.uint8), np.ones((65, 65), np.uint8)).astype(bool)
    grey = restored.mean(axis=2)
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8))
    change = np.abs(restored - image).mean(axis=2)
    return ((restored.min(axis=2)[clipped] >= 0.9 * 255).mean(), gradient[inner].mean() if inner.any() else np.nan,
            change[near & ~clipped].mean(), change[far].mean() if far.any() else np.nan)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', type=Path)
    parser.add_argument('--model')
    parser.add_argument('--checkpoint')
    args = parser.parse_args()
    model = restorekit.load(args.model, checkpoint=args.checkpoint)
    rows = []
    for path in sorted(args.photos.rglob('*')):
        if path.suffix.lower() not in ('.jpg', '.png', '.jpeg'):
            continue
        image = read_image(path)
        clipped = image.min(axis=2) >= 0.98 * 255
        if clipped.mean() < 0.01:
            continue
        values = []
        for protect in (False, True):
            model.protect_highlights = protect
            values.append(measure(image, model(image), clipped))
        rows.append(np.array(values))
    mean = np.nanmean(rows, axis=0)
    table = [('protect', 'photos', 'clipped kept', 'rough', 'halo', 'outside')]
    table += [(name, len(rows), f'{100 * row[0]:.1f} %', f'{row[1]:.3f}', f'{row[2]:.2f}', f'{row[3]:.2f}')
              for name, row in zip(('no', 'yes'), mean, strict=True)]
    print(markdown_table(table))
    print(f'haze removed outside highlights changes by {100 * abs(mean[1, 3] / mean[0, 3] - 1):.2f} %')


if __name__ == '__main__':
    main()
