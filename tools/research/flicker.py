"""How much a model flickers in a film, frame by frame and smoothed over time (``--video-smooth``).

Of each photo a film of a static scene is made: noise of a sensor (sigma 3 of 255), and as a second film also a slow
drift (half a pixel a frame to the right, exposure up and down by 3 % within two seconds). Flicker of a film is the mean
change of a pixel from frame to frame, relative to its mean; of a restoration it is that of the ratio of output to
input. ``whole`` is the same of the mean colours of the frames, from which noise is gone: what the eye sees as flicker.
``fixed`` is what is left where the network looks at the first frame only: the film's own noise, times the contrast that
is restored. ``change`` is the mean absolute difference of output and input, smoothed, relative to frame by frame.
``PSNR`` is that to the restoration of the same film without noise, frame by frame, of the last half of the frames.

    python tools/research/flicker.py PHOTO ... [--model haze | --checkpoint FILE] [--frames 50] [--smooth 1] [--drift]
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


def film(photo, frames, drift, noise=3, width=480, seed=0):
    """Yield the frames of a scene."""
    generator = np.random.default_rng(seed)
    height = round(photo.shape[0] * width / photo.shape[1])
    wide = cv2.resize(photo, (width + 2 * frames, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    for i in range(frames):
        left, gain = (0.5 * i, 1 + 0.03 * np.sin(2 * np.pi * i / (2 * RATE))) if drift else (0, 1)
        view = cv2.warpAffine(wide, np.float32([[1, 0, -left], [0, 1, 0]]), (width, height))
        yield np.clip(view * gain + generator.normal(0, noise, view.shape), 0, 255).astype(np.uint8)


class Flicker:
    """Mean relative change over time of images, and of their mean colours, in percent."""

    def __init__(self):
        self.last, self.sum, self.level, self.colours = None, 0.0, 0.0, []

    def add(self, image):
        """Take the next image, float (H, W, 3)."""
        if self.last is not None:
            self.sum, self.level = self.sum + np.abs(image - self.last).mean(), self.level + image.mean()
        self.last = image
        return self

    def of_pixels(self):
        """Of the pixels."""
        return 100 * self.sum / self.level

    def of_colours(self):
        """Of the mean colours."""
        colours = np.array(self.colours)
        return 100 * np.abs(np.diff(colours / colours.mean(axis=0), axis=0)).mean()


def measure(frames, restore):
    """Return flicker of the frames, flicker of what ``restore`` does to them, and the mean absolute change."""
    own, ratio, changes = Flicker(), Flicker(), []
    for frame in frames:
        restored = restore(frame)
        colour = frame.mean(axis=(0, 1))
        floats = frame.astype(np.float32)
        own.add(floats).colours.append(colour)
        ratio.add(restored / np.maximum(floats, 1)).colours.append(restored.mean(axis=(0, 1)) / colour)
        changes.append(np.abs(restored.astype(np.int16) - frame).mean())
    return own, ratio, np.mean(changes)


def psnr(frames, truths):
    """Return the PSNR of frames to others in dB, of the last half."""
    pairs = list(zip(frames, truths, strict=True))
    error = np.mean([np.square(a.astype(np.float32) - b).mean() for a, b in pairs[len(pairs) // 2:]])
    return 10 * np.log10(255 ** 2 / error)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', type=Path, nargs='+')
    parser.add_argument('--model')
    parser.add_argument('--checkpoint')
    parser.add_argument('--frames', type=int, default=50)
    parser.add_argument('--smooth', type=float, default=1.0, metavar='SECONDS')
    parser.add_argument('--drift', action='store_true', help='also films that drift')
    args = parser.parse_args()
    model = restorekit.load(args.model, checkpoint=args.checkpoint)
    names = 'frame by frame', 'smoothed', 'fixed'
    table = [('film', 'photo', 'flicker', *names, 'whole', *names, 'change', 'PSNR', 'smoothed')]
    for drift in (False, True) if args.drift else (False,):
        for path in args.photos:
            photo = read_image(path)
            restorer = SequenceRestorer(model, args.smooth * RATE)
            own, single, change = measure(film(photo, args.frames, drift), model)
            _, smooth, smooth_change = measure(film(photo, args.frames, drift), restorer.restore_pixels)
            held = model.look(next(film(photo, 1, drift)))
            _, fixed, _ = measure(film(photo, args.frames, drift),
                                  lambda frame, held=held: model.restore_pixels(frame, held=held))
            row = ['drift' if drift else 'static', path.stem[:24]]
            for kind, digits in (('of_pixels', 2), ('of_colours', 4)):
                mine, *others = (getattr(x, kind)() for x in (own, single, smooth, fixed))
                row += [f'{mine:.{digits}f} %', *(f'{x:.{digits}f} % ({x / mine:.2f} x)' for x in others)]
            truths = [model(frame) for frame in film(photo, args.frames, drift, noise=0)]
            restorer = SequenceRestorer(model, args.smooth * RATE)
            qualities = [psnr(map(restore, film(photo, args.frames, drift)), truths)
                         for restore in (model, restorer.restore_pixels)]
            table.append((*row, f'{smooth_change / change:.3f} x', *(f'{quality:.2f}' for quality in qualities)))
    print(markdown_table(table))


if __name__ == '__main__':
    main()
