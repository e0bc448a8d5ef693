"""Time loading a pair of training crops (hazy and clear) from PNG and JPEG, beside the ways of other libraries.

Every row reads the same files and gives two uint8 tensors (3, crop, crop). Cells are crops of pairs per second of one
worker process: CPU time of one thread, the median over rounds in which the rows take turns.

- restorekit: ``PairedDataset`` with RandomCrop, RandomFlip and RandomRotate90, as the configs have it: decode, crop,
  turn the crop by views, one copy when packing. Its second row is without kornia-rs and simplejpeg, by OpenCV alone.
- MMagic: the steps of two of its configs, written out with the functions of mmcv it calls. Both load with
  ``mmengine.fileio`` and ``mmcv.imfrombytes``. Restoration, ``nafnet_c64eb11128mb1db1111_8xb8-lr1e-3-400k_gopro.py``:
  SetValues, Flip horizontal, Flip vertical, RandomTransposeHW, PairedRandomCrop, pack. Super-resolution,
  ``edsr_x2c64b16_1xb16-300k_div2k.py``: RGB instead of BGR; SetValues, PairedRandomCrop, both Flips,
  RandomTransposeHW, pack.
- PIL + torchvision: ``Image.open().convert('RGB')``, RandomCrop, flips, ``pil_to_tensor``.
- cache: restorekit with ``cache=True``, images decoded before.

With ``--memory`` it measures instead the private memory of a worker process (Linux) whose dataset lists 1000 and
1000000 pairs, after it looked up 100000 of them and loaded some; beside it, the same with a Python list of pairs.
"""

import importlib.metadata
import itertools
import tempfile
from pathlib import Path

import cv2
import mmcv
import numpy as np
import torch
from common import in_turns, parser, processor, table, write
from mmengine import fileio
from mmengine.structures import BaseDataElement
from PIL import Image
from torchvision.transforms import RandomCrop
from torchvision.transforms.v2 import functional as tv

from restorekit.datasets import PairedDataset
from restorekit.datasets.base import Draw
from restorekit.degradations import normal_field
from restorekit.files import image_io, lazy_image
from restorekit.scenes.renderer import render_scene


def version(name):
    """The version of a package, None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


SOURCES = {'620x460 PNG': (620, 460, '.png'), '1280x720 JPEG': (1280, 720, '.jpg')}
FAST = {name: version(name) for name in ('kornia-rs', 'simplejpeg')}
TARGETS = {'620x460 PNG': {'MMagic': 1.5, 'PIL': 1.1}, '1280x720 JPEG': {'MMagic': 1.5, 'PIL': 1.3}}


def make_pairs(folder, width, height, suffix, count):
    """Write ``count`` hazy and clear scenes with the noise of a camera; return the mean bytes of a file."""
    for i in range(count):
        clear, depth = render_scene(i, height, width)
        noise = 2 * normal_field(torch.tensor([i]), 3, height, width)[0].permute(1, 2, 0).numpy()
        seen = np.exp(-0.03 * depth)[..., None]
        for name, image in (('clear', clear), ('hazy', clear * seen + 215 * (1 - seen))):
            image_io.write_image(folder / name / f'{i}{suffix}', np.clip(image + noise, 0, 255).astype(np.uint8))
    files = list(folder.rglob(f'*{suffix}'))
    return sum(file.stat().st_size for file in files) / len(files)


def ours(folder, crop, cache=False):
    """Return a function of an index that loads with restorekit."""
    data = PairedDataset(str(folder / 'hazy'), str(folder / 'clear'), cache=cache, pipeline=[
        dict(type='restorekit.RandomCrop', size=crop), dict(type='restorekit.RandomFlip'),
        dict(type='restorekit.RandomRotate90')])
    draws = itertools.count()
    return lambda i: data[Draw(i % len(data), i, next(draws))]


def mmagic(paths, crop, order):
    """Return a function of an index that loads with the steps of MMagic, in the order ``nafnet`` or ``edsr``."""
    def load(results):
        for key in ('img', 'gt'):
            data = fileio.get(results[f'{key}_path'])
            channels = 'rgb' if order == 'edsr' else 'bgr'
            results[key] = mmcv.imfrombytes(data, flag='color', channel_order=channels)
            results[f'ori_{key}_shape'] = results[key].shape

    def flip(results, direction):
        results.setdefault('flip_infos', []).append(dict(direction=direction, flip=np.random.random() < 0.5))
        if results['flip_infos'][-1]['flip']:
            for key in ('img', 'gt'):
                mmcv.imflip_(results[key], direction)

    def transpose(results):
        results['transpose'] = np.random.random() < 0.5
        if results['transpose']:
            for key in ('img', 'gt'):
                results[key] = results[key].transpose(1, 0, 2)

    def cut(results):
        height, width = results['gt'].shape[:2]
        top, left = np.random.randint(height - crop + 1), np.random.randint(width - crop + 1)
        for key in ('img', 'gt'):
            results[key] = results[key][top:top + crop, left:left + crop]
            if order == 'edsr':
                results[key] = np.ascontiguousarray(results[key])  # as imflip_ needs it

    def pack(results):
        tensors = {key: torch.from_numpy(np.ascontiguousarray(results.pop(key))).permute(2, 0, 1).contiguous()
                   for key in ('img', 'gt')}
        sample = BaseDataElement(metainfo=results)
        sample.gt_img = tensors['gt']
        return dict(inputs=tensors['img'], data_samples=sample)

    def item(i):
        hazy, clear = paths[i % len(paths)]
        results = dict(img_path=hazy, gt_path=clear)
        load(results)
        results['scale'] = 1
        if order == 'edsr':
            cut(results)
        flip(results, 'horizontal')
        flip(results, 'vertical')
        transpose(results)
        if order == 'nafnet':
            cut(results)
        return pack(results)
    return item


def pil(paths, crop):
    """Return a function of an index that loads with PIL and torchvision."""
    def item(i):
        images = [Image.open(path).convert('RGB') for path in paths[i % len(paths)]]
        window = RandomCrop.get_params(images[0], (crop, crop))
        images = [tv.crop(image, *window) for image in images]
        for flip in (tv.horizontal_flip, tv.vertical_flip):
            if torch.rand(()) < 0.5:
                images = [flip(image) for image in images]
        return [tv.pil_to_tensor(image) for image in images]
    return item


def with_opencv(item):
    """Return ``item`` decoded by OpenCV alone."""
    def call(i):
        decoders = image_io._png_decoder, lazy_image._jpeg_decoder
        image_io._png_decoder = lazy_image._jpeg_decoder = lambda: None
        try:
            return item(i)
        finally:
            image_io._png_decoder, lazy_image._jpeg_decoder = decoders
    return call


def measure(width, height, suffix, crops, pairs, rounds):
    """Return ``{crop: {row: crops of pairs per second}}`` and the mean bytes of a file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = make_pairs(folder, width, height, suffix, pairs)
        paths = [(str(folder / 'hazy' / f'{i}{suffix}'), str(folder / 'clear' / f'{i}{suffix}')) for i in range(pairs)]
        figures = {}
        for crop in crops:
            rows = {'restorekit': ours(folder, crop)}
            if all(FAST.values()):
                rows['restorekit, OpenCV alone'] = with_opencv(ours(folder, crop))
            rows.update({"MMagic's order (NAFNet)": mmagic(paths, crop, 'nafnet'),
                         "MMagic's order (EDSR)": mmagic(paths, crop, 'edsr'),
                         'PIL + torchvision': pil(paths, crop), 'restorekit, cache': ours(folder, crop, cache=True)})
            seconds = in_turns({name: lambda row=row: [row(i) for i in range(pairs)] for name, row in rows.items()},
                               rounds)
            figures[crop] = {name: pairs / spent for name, spent in seconds.items()}
    return figures, size


class OneImage(fileio.BaseStorageBackend):
    """A store in which every file is the same image."""

    def __init__(self):
        image, _ = render_scene(0, 64, 64)
        self.data = cv2.imencode('.png', image.astype(np.uint8))[1].tobytes()

    def get(self, filepath):
        return self.data

    def get_text(self, filepath, encoding='utf-8'):
        raise OSError(f'{filepath} is no text')


class Probe(torch.utils.data.Dataset):
    """One item: the private megabytes of the worker that looked up 100000 of ``number`` pairs and loaded some."""

    def __init__(self, look_up, load, number):
        self.look_up, self.load, self.number = look_up, load, number

    def __len__(self):
        return 1

    def __getitem__(self, index):
        for k in range(100000):
            self.look_up(k * 7919 % self.number)
        for k in range(50):
            self.load(k * 7919 % self.number)
        lines = Path('/proc/self/smaps_rollup').read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith('Private_')) / 1024


def memory(number):
    """Return ``{row: MB}`` for datasets of ``number`` pairs."""
    fileio.register_backend('one_image', OneImage, force=True)
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, 'pairs.txt')
        listed.write_text(''.join(f'hazy/{i:07}_1.png clear/{i:07}.png\n' for i in range(number)))
        data = PairedDataset('one', 'one', ann_file=str(listed), backend_args=dict(backend='one_image'))
    rows = {'PairedDataset': Probe(data.files, data.__getitem__, number)}
    pairs = [tuple(data.files(i).values()) for i in range(number)]
    rows['list of pairs'] = Probe(pairs.__getitem__, data.__getitem__, number)
    return {name: next(iter(torch.utils.data.DataLoader(
        probe, num_workers=1, batch_size=None, multiprocessing_context='fork'))) for name, probe in rows.items()}


def main(argv=None):
    """Measure, print the tables and the ratios."""
    options = parser(__doc__, rounds=15)
    options.add_argument('--crops', type=int, nargs='+', default=[128, 256])
    options.add_argument('--pairs', type=int, default=8, help='different pairs, all loaded in a round (default 8)')
    options.add_argument('--memory', action='store_true', help='measure memory instead')
    args = options.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.memory:
        figures = {number: memory(number) for number in (1000, 1000000)}
        table([['private MB of a worker', *(f'{number} pairs' for number in figures)],
               *([name, *(f'{figures[number][name]:.0f}' for number in figures)] for name in figures[1000])])
        return write(args.json, private_megabytes=figures)
    fast = ', '.join(f'{name} {version or "not installed"}' for name, version in FAST.items())
    print(f'crops of pairs per second and worker; {processor()}, one thread; OpenCV {cv2.__version__}, {fast}')
    figures, sizes = {}, {}
    for source, kind in SOURCES.items():
        figures[source], sizes[source] = measure(*kind, args.crops, args.pairs, args.rounds)
    columns = [(source, crop) for source in SOURCES for crop in args.crops]
    names = list(dict.fromkeys(name for source, crop in columns for name in figures[source][crop]))
    table([['', *(f'{source} ({sizes[source] / 1e3:.0f} kB), crop {crop}' for source, crop in columns)],
           *([name, *(f'{figures[s][c][name]:.0f}' if name in figures[s][c] else '' for s, c in columns)]
             for name in names)])
    print()
    table([['restorekit against', *(f'{source}, crop {crop}' for source, crop in columns), 'target'],
           *([name, *(f'{figures[s][c]["restorekit"] / figures[s][c][name]:.2f}x' for s, c in columns),
              ' / '.join(f'{goals[goal]}x' for goals in TARGETS.values() for goal in goals if name.startswith(goal))]
             for name in names if name.startswith(tuple(TARGETS['620x460 PNG'])))])
    return write(args.json, pairs_per_second=figures, bytes_per_file=sizes, opencv=cv2.__version__, **FAST)


if __name__ == '__main__':
    main()
