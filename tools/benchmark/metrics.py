"""Time PSNR and SSIM of RGB pairs, restorekit's against scikit-image's, on the same images in the same run.

Both measure PSNR and the SSIM of Wang et al. (11 x 11 Gaussian, valid part) of one image after the other on one CPU
thread: from float32, from float64, which scikit-image makes of 8-bit images by itself, and from 8-bit images as they
come from a dataset, converting included. With ``--device cuda`` restorekit's also measures a batch there.
"""

import time

import cv2
import numpy as np
import torch
from common import in_turns, parser, table, write
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit.evaluation import PSNR, SSIM
from restorekit.functional.image_quality import psnr, ssim

SSIM_OPTIONS = dict(channel_axis=0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)


def make_pairs(number, height, width):
    """Smooth images and the same with noise and a cast, uint8 (number, 3, height, width)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(number, 3, height // 20, width // 20, generator=generator)
    gt = torch.nn.functional.interpolate(coarse, (height, width), mode='bicubic').clamp(0, 1)
    pred = gt * 0.9 + 0.05 + 0.04 * torch.randn(gt.shape, generator=generator)
    return [(image.clamp(0, 1) * 255).round().byte() for image in (pred, gt)]


def by_skimage(pairs, data_range):
    """PSNR and SSIM of each pair; the border where windows leave the image is left out, as scikit-image does."""
    return [(peak_signal_noise_ratio(gt, pred, data_range=data_range),
             structural_similarity(gt, pred, data_range=data_range, **SSIM_OPTIONS)) for pred, gt in pairs]


def by_restorekit(pairs):
    return [(psnr(pred, gt).item(), ssim(pred, gt).item()) for pred, gt in pairs]


def by_metrics(pred, gt):
    """The whole of what an evaluation does: both metrics on 8-bit ground truth, by protocol."""
    values = []
    for metric in (PSNR(baseline=False), SSIM(baseline=False)):
        metric.process(None, [dict(pred=a, gt=b) for a, b in zip(pred, gt, strict=True)])
        values.append([row['value'] for row in metric.results])
    return list(zip(*values, strict=True))


def main():
    options = parser(__doc__, rounds=9)
    options.add_argument('--images', type=int, default=4, help='pairs in each round (default 4)')
    options.add_argument('--size', type=int, nargs=2, default=(460, 620), metavar=('HEIGHT', 'WIDTH'))
    options.add_argument('--device', help="also measure a batch on this device, as 'cuda'")
    args = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pred, gt = make_pairs(args.images, *args.size)
    unit = pred / 255, gt / 255
    numpy_pairs = {dtype: [tuple(image.numpy().astype(dtype) for image in pair) for pair in zip(*unit, strict=True)]
                   for dtype in (np.float32, np.float64)}
    eight_bit = [(a.numpy(), b.numpy()) for a, b in zip(pred, gt, strict=True)]
    tensors = [(a[None], b[None]) for a, b in zip(*unit, strict=True)]
    runs = {
        'float32': (lambda: by_skimage(numpy_pairs[np.float32], 1.0), lambda: by_restorekit(tensors)),
        'float64 in scikit-image': (lambda: by_skimage(numpy_pairs[np.float64], 1.0), lambda: by_restorekit(tensors)),
        '8-bit, whole metrics': (lambda: by_skimage(eight_bit, 255), lambda: by_metrics(pred, gt))}
    rows = [['images', 'scikit-image', 'restorekit', 'times faster', 'PSNR differs by', 'SSIM differs by']]
    figures = []

    def add(name, times, values, expected):
        psnr_off, ssim_off = np.abs(np.array(values) - np.array(expected)).max(axis=0)
        skimage_ms, ours_ms = (1e3 * times[key] / args.images for key in ('skimage', 'ours'))
        rows.append([name, f'{skimage_ms:.1f} ms', f'{ours_ms:.2f} ms', f'{skimage_ms / ours_ms:.1f}',
                     f'{psnr_off:.0e} dB', f'{ssim_off:.0e}'])
        figures.append(dict(images=name, skimage_ms=skimage_ms, ours_ms=ours_ms, ratio=skimage_ms / ours_ms,
                            psnr_difference=float(psnr_off), ssim_difference=float(ssim_off)))

    exact = by_skimage(numpy_pairs[np.float64], 1.0)
    for name, (theirs, ours) in runs.items():
        add(name, in_turns(dict(skimage=theirs, ours=ours), args.rounds), ours(), exact)
    if args.device:
        on_device = [image.to(args.device) for image in (unit[0], gt)]
        times = in_turns(dict(skimage=lambda: by_skimage(eight_bit, 255), ours=lambda: by_metrics(*on_device)),
                         args.rounds, clock=time.perf_counter)
        add(f'batch of {args.images} on {args.device}', times, by_metrics(*on_device), exact)
    print(f'{args.images} RGB pairs of {args.size[1]}x{args.size[0]}, one thread, time per pair')
    table(rows)
    write(args.json, metrics=figures)


if __name__ == '__main__':
    main()
