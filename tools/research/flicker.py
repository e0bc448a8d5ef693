"""How much a model flickers in a film, frame by frame and smoothed over time (``--video-smooth``).

Of each photo a film of a static scene is made: noise of a sensor (sigma 3 of 255), and as a second film also a slow
drift (half a pixel a frame to the right, exposure up and down by 3 % within two seconds). Of a film,
flicker is the mean change from frame to frame of the mean colour, relative to that colour, in percent; of a
restoration it is that of the gain, the mean colour of the output over that of the input.
``change`` is the mean absolute difference of output and input, relative to that of restoring frame by frame.

    python tools/research/flicker.py PHOTO ... [--model haze | --checkpoint FILE] [--frames 50] [--smooth 1]
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

import restorekit
from restorekit.files.image_io import read_image
from restorekit.inference.sequence import SequenceRestorer
from restorekit.text_table import markdown_table

RATE = 25


def film(photo, frames, drift, width=640, noise=3, seed=0):
    """Yield the frames of a static scene."""
    generator = np.random.default_rng(seed)
    height = round(photo.shape[0] * width / photo.shape[1])
    wide = cv2.resize(photo, (width + 2 * frames, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    for i in range(frames):
        left, gain = (0.5 * i, 1 + 0.03 * np.sin(2 * np.pi * i / (2 * RATE))) if drift else (0, 1)
        view = cv2.warpAffine(wide, np.float32([[1, 0, -left], [0, 1, 0]]), (width, height))
        yield np.clip(view * gain + generator.normal(0, noise, view.shape), 0, 255).astype(np.uint8)


def flicker(colours):
    """Mean change over time of (frames, 3) mean colours, relative to their mean, in percent."""
    return 100 * np.abs(np.diff(colours / colours.mean(axis=0), axis=0)).mean()


def measure(model, frames, smooth):
    """Return (flicker of the gain, mean absolute change) of restoring frames, in one walk in constant memory."""
    restorer = SequenceRestorer(model, smooth * RATE)
    gains, changes = [], []
    for frame in frames:
        restored = restorer.restore_pixels(frame)
        gains.append(restored.mean(axis=(0, 1)) / frame.mean(axis=(0, 1)))
        changes.append(np.abs(restored.astype(np.int16) - frame).mean())
    return flicker(np.array(gains)), np.mean(changes)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', type=Path, nargs='+')
    parser.add_argument('--model')
    parser.add_argument('--checkpoint')
    parser.add_argument('--frames', type=int, default=50)
    parser.add_argument('--smooth', type=float, default=1.0, metavar='SECONDS')
    args = parser.parse_args()
    model = restorekit.load(args.model, checkpoint=args.checkpoint)
    table = [('film', 'photo', 'flicker of the film', 'frame by frame', 'smoothed', 'change, smoothed')]
    for drift in (False, True):
        for path in args.photos:
            photo = read_image(path)
            own = flicker(np.array([frame.mean(axis=(0, 1)) for frame in film(photo, args.frames, drift)]))
            single, smooth = (measure(model, film(photo, args.frames, drift), seconds) for seconds in (0, args.smooth))
            table.append(('drift' if drift else 'static', path.stem[:24], f'{own:.4f} %',
                          *(f'{value[0]:.4f} % ({value[0] / own:.2f} x)' for value in (single, smooth)),
                          f'{smooth[1] / single[1]:.3f} x'))
    print(markdown_table(table))


if __name__ == '__main__':
    main()
