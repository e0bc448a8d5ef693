"""Measure how far an invented depth is from a measured one: of the proxy, and of any depth network in ONNX.

python tools/research/proxy_depth.py DATA/street_depth --scale 0.01 --far 500 --json proxy.json
python tools/research/proxy_depth.py DATA/street_depth --estimator network=depth.onnx kind=depth size=256

``--estimator`` takes the arguments of ``DepthEstimator``, as that of ``restorekit synthesize`` does: ``kind=disparity``
(the default) where larger is nearer, as MiDaS and Depth Anything give it; ``kind=depth`` where larger is farther.

For each photo, with the extinction that makes the mean transmission 0.5 under either depth:

- rank: Spearman's correlation of the depths (1: the order of all points is right),
- transmission: mean absolute difference of ``exp(-beta d)``.

A depth that is the same everywhere, and one that grows evenly from the bottom to the top, are measured beside them.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

from restorekit.cli.option_action import OptionAction
from restorekit.degradations import DepthEstimator, ProxyDepth
from restorekit.files.image_io import read_image


def half_transmission(depth):
    """Return ``exp(-beta d)`` with the beta that makes its mean 0.5."""
    low, high = 1e-6, 1e6
    for _ in range(80):
        beta = (low * high) ** 0.5
        low, high = (beta, high) if np.exp(-beta * depth).mean() > 0.5 else (low, beta)
    return np.exp(-beta * depth)


def rank_correlation(a, b):
    """Return Spearman's correlation of two arrays; 0 where one is constant."""
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    ranks = [np.unique(x, return_inverse=True, return_counts=True) for x in (a.ravel(), b.ravel())]
    # equal values share the mean of their ranks
    ranks = [(np.cumsum(counts) - (counts - 1) / 2)[inverse] for _, inverse, counts in ranks]
    return float(np.corrcoef(*ranks)[0, 1])


def compare(guess, truth):
    """Return (rank, transmission) of a guessed depth against a measured one, float arrays of one size."""
    return rank_correlation(guess, truth), float(np.abs(half_transmission(guess) - half_transmission(truth)).mean())


def main():
    """Print a line for each kind of depth; write all of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='folder with clear/ and depth/ (16-bit PNG, 0: no value)')
    parser.add_argument('--scale', type=float, default=0.01, help='metres of one step of the depth (default: 0.01)')
    parser.add_argument('--far', type=float, default=500, help='metres where there is no value (default: 500)')
    parser.add_argument('--estimator', nargs='+', action=OptionAction, metavar='KEY=VALUE', help='measure a depth '
                        'network too, for example network=depth.onnx kind=disparity size=256')
    parser.add_argument('--draws', type=int, default=20, help='number of proxies drawn for each photo (default: 20)')
    parser.add_argument('--json', help='file to write')
    args = parser.parse_args()
    estimator = DepthEstimator(**args.estimator) if args.estimator else None
    rows = {}
    for path in sorted(Path(args.folder, 'clear').iterdir()):
        photo = read_image(path)
        small = cv2.resize(photo, (256, round(256 * photo.shape[0] / photo.shape[1])), interpolation=cv2.INTER_AREA)
        truth = cv2.imread(str(Path(args.folder, 'depth', path.name)), cv2.IMREAD_UNCHANGED).astype(np.float64)
        truth = np.where(truth > 0, truth * args.scale, args.far)
        truth = cv2.resize(truth, small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        image = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
        guesses = dict(constant=[np.ones_like(truth)],
                       ramp=[np.repeat(np.linspace(1, 0.01, len(truth))[:, None], truth.shape[1], axis=1)],
                       proxy=[ProxyDepth()(image, [seed])[0, 0].double().numpy() for seed in range(args.draws)],
                       ground=[ProxyDepth(noise_only=0.0)(image, [seed])[0, 0].double().numpy()
                               for seed in range(args.draws)])
        if estimator is not None:
            guesses['network'] = [estimator(small).astype(np.float64)]
        for name, found in guesses.items():
            rows.setdefault(name, []).append(np.mean([compare(guess, truth) for guess in found], axis=0).tolist())
    result = {name: dict(zip(('rank', 'transmission'), np.mean(values, axis=0).tolist(), strict=True))
              for name, values in rows.items()}
    print(f'{len(rows["proxy"])} photos   rank   transmission')
    for name, found in result.items():
        print(f'{name:10s} {found["rank"]:6.2f} {found["transmission"]:10.3f}')
    if estimator is not None and result['network']['rank'] < 0:
        other = 'depth' if estimator.options['kind'] == 'disparity' else 'disparity'
        print(f'near and far are exchanged in most places: does the network return kind={other}?')
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    main()
