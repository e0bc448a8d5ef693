"""Time every degradation per 256x256 image, beside decoding a PNG and beside other libraries, in one run.

Every cell is microseconds per image: drawing the parameters and applying them, float images and their depth given. Rows
take turns, and a cell is the mean over the draws of the lower quartile over the rounds, which a busy machine hardly
moves. Other libraries are timed where they are installed: kornia and deepinv (tensors), albumentations (uint8 arrays,
one at a time), at settings as near to ours as they offer.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.registry import DefaultScope

from restorekit.cli.browse_degradations import collect
from restorekit.degradations import build_degradation, load_preset, normal_field
from restorekit.scenes.renderer import render_scene

SIZE = 256
PRESETS = ('day', 'night', 'dust', 'ridcp_like', 'cdd11_like', 'cid_multi_domain')


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', metavar='NAME', help='operators or presets; default: all')
    parser.add_argument('--batch', type=int, nargs='+', default=[1, 16])
    parser.add_argument('--threads', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--draws', type=int, default=48, help='images degraded for each cell (default 48)')
    parser.add_argument('--rounds', type=int, default=5, help='repetitions of everything (default 5)')
    parser.add_argument('--png', metavar='FILE', help='image to decode; default: a 620x460 scene with noise')
    parser.add_argument('--without-depth', action='store_true', help='let the operators invent the depth')
    parser.add_argument('--json', metavar='FILE', help='write the numbers')
    return parser.parse_args(argv)


def decoding(path):
    """Return the row that decodes a PNG, and a note on the file."""
    if path:
        data = np.fromfile(path, np.uint8)
    else:
        image, _ = render_scene(0, 460, 620)
        noise = normal_field(torch.tensor([0]), 3, 460, 620)[0].permute(1, 2, 0).numpy() * 2
        data = cv2.imencode('.png', np.clip(image + noise, 0, 255).astype(np.uint8))[1]
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if image is None:
        sys.exit(f'{path} is no image that OpenCV can decode')
    note = f'{image.shape[1]}x{image.shape[0]}, {len(data)} bytes'
    return lambda k, batch: cv2.imdecode(data, cv2.IMREAD_COLOR), note


def own_rows(names, images, depths):
    """Return the rows of restorekit: functions of (draw, batch)."""
    operators = {name: operator for name, operator in collect(['operators']).items() if not names or name in names}
    for name in names or PRESETS:
        if name not in operators:
            operators[name] = build_degradation(load_preset(name))

    def row(operator):
        def call(k, batch):
            depth = None if depths is None else depths[:batch]
            return operator(images[:batch], depth, range(k * batch, (k + 1) * batch))
        return call
    return {name: row(operator) for name, operator in operators.items()}


def other_rows(images, depths):
    """Return the rows of other libraries that are installed."""
    rows = {}
    if importlib.util.find_spec('kornia'):
        import kornia.augmentation as kornia
        for name, module in {
                'RandomGaussianBlur': kornia.RandomGaussianBlur((13, 13), (0.2, 2.), p=1.),
                'RandomGaussianNoise': kornia.RandomGaussianNoise(0., 0.03, p=1.),
                'RandomJPEG': kornia.RandomJPEG((30., 95.), p=1.),
                'RandomRain': kornia.RandomRain((500, 1000), p=1.), 'RandomSnow': kornia.RandomSnow(p=1.)}.items():
            rows[f'kornia {name}'] = lambda k, batch, module=module: module(images[:batch])
    if importlib.util.find_spec('albumentations'):
        os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
        import albumentations
        arrays = [np.ascontiguousarray((image * 255).byte().permute(1, 2, 0).numpy()) for image in images]
        for name, options in {'RandomFog': {}, 'GaussianBlur': dict(sigma_limit=(0.2, 2.)),
                              'GaussNoise': dict(std_range=(0.01, 0.06)),
                              'ImageCompression': dict(quality_range=(30, 95)), 'RandomRain': {},
                              'RandomSnow': {}}.items():
            transform = getattr(albumentations, name)(p=1., **options)
            rows[f'albumentations {name}'] = lambda k, batch, transform=transform: [
                transform(image=array) for array in arrays[:batch]]
    if importlib.util.find_spec('deepinv'):
        from deepinv.physics import Haze
        haze, airlight = Haze(beta=1.2), torch.tensor(0.9)
        rows['deepinv Haze'] = lambda k, batch: haze.A((images[:batch], depths[:batch], airlight))
    return rows


def measure(rows, args):
    """Return microseconds per image by row, threads and batch: ``{name: {'1x16': ...}}``."""
    samples = {}
    for _ in range(args.rounds):
        for threads in args.threads:
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
            for batch in args.batch:
                draws = max(1, args.draws // batch)
                for name, row in rows.items():
                    row(0, batch)  # caches warm, as within a run
                    for k in range(draws):
                        start = time.perf_counter()
                        row(k, batch)
                        spent = (time.perf_counter() - start) * 1e6 / (1 if name.startswith('decode') else batch)
                        samples.setdefault((name, f'{threads}x{batch}'), {}).setdefault(k, []).append(spent)
    result = {}
    for (name, cell), spent in samples.items():
        result.setdefault(name, {})[cell] = round(float(np.mean([np.quantile(v, 0.25) for v in spent.values()])), 1)
    return result


def main(argv=None):
    """Measure, print the table and the targets."""
    args = parse_args(argv)
    if min(*args.batch, *args.threads, args.draws, args.rounds) < 1:
        sys.exit('--batch, --threads, --draws and --rounds must be at least 1')
    scenes = [render_scene(k, SIZE, SIZE) for k in range(max(args.batch))]
    images = torch.stack([torch.from_numpy(image).permute(2, 0, 1).float() / 255 for image, _ in scenes])
    depths = torch.stack([torch.from_numpy(depth)[None] for _, depth in scenes])
    decode, note = decoding(args.png)
    with DefaultScope.overwrite_default_scope('restorekit'):
        own = own_rows(args.names, images, None if args.without_depth else depths)
    others = {} if args.names else other_rows(images, depths)
    result = measure({f'decode PNG {note}': decode, **own, **others}, args)
    cells = [f'{threads}x{batch}' for threads in args.threads for batch in args.batch]
    print(f'microseconds per {SIZE}x{SIZE} image; columns: threads x batch; torch {torch.__version__}, '
          f'OpenCV {cv2.__version__}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores')
    print(f'{"":36}' + ''.join(f'{cell:>10}' for cell in cells))
    for name, row in result.items():
        print(f'{name:36}' + ''.join(f'{row[cell]:10.0f}' for cell in cells))
    chain = result.get('cid_multi_domain')
    if chain and {'1x1', '1x16'} <= set(cells):
        decoded = result[f'decode PNG {note}']['1x1']
        print(f'\ncid_multi_domain / decoding, one thread, batch 1: {chain["1x1"] / decoded:.2f} (target 1.00)')
        print(f'cid_multi_domain, one thread, batch 16 / batch 1: {chain["1x16"] / chain["1x1"]:.2f} (target 1.25)')
    if args.json:
        Path(args.json).write_text(json.dumps(dict(image=SIZE, png=note, unit='us per image', torch=torch.__version__,
                                                   rows=result), indent=1), encoding='utf-8')


if __name__ == '__main__':
    main()
