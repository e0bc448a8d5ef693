"""Compare the statistics of synthetic hazy images with those of real photos."""

import json
from pathlib import Path

from .common import OptionAction, prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='preset (day, night, dust, cid_multi_domain, ...) or config with a degradation')
    parser.add_argument('--real', nargs='+', required=True, metavar='DIR', help='folders of real photos, each compared '
                        'on its own and all together')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--clear', metavar='DIR', help='clear images to degrade; default: scenes drawn by code')
    source.add_argument('--dataset', metavar='KEY', help='key of the config that holds a data set of clear images, '
                        'such as train_dataloader.dataset.source; its pipelines are not run')
    parser.add_argument('--depth', metavar='DIR', help='depth maps of --clear, same names')
    parser.add_argument('--depth-options', nargs='+', action=OptionAction, default={}, metavar='K=V',
                        help='how the maps are coded, e.g. kind=disparity scale=2')
    parser.add_argument('--data-root', metavar='DIR', help='folder joined before the relative paths of --dataset')
    parser.add_argument('--count', type=int, default=1000, help='synthetic images (default 1000)')
    parser.add_argument('--size', type=int, default=256, help='shorter side everything is shrunk to (default 256)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--figure', metavar='FILE', help='write the histograms as an image')
    parser.add_argument('--json', metavar='FILE', help='write the numbers')


def run(args):
    """Measure, print the table, write figure and numbers; returns 0."""
    from restorekit.config import ConfigError
    if args.count < 1 or args.size < 16:
        raise ConfigError(f'--count must be at least 1 and --size at least 16, got {args.count} and {args.size}')
    prepare_process('none')
    from restorekit.datasets import scan_images
    from restorekit.evaluation.coverage import coverage, image_statistics
    from restorekit.files.image_io import read_image
    synthetic = synthetic_statistics(args)
    real = {Path(folder).name: [image_statistics(shrink(read_image(Path(folder, name)), args.size))
                                for name in scan_images(folder)] for folder in args.real}
    if len(real) > 1:
        real['all'] = [item for items in real.values() for item in items]
    scores = {name: coverage(items, synthetic) for name, items in real.items()}
    groups = {**real, 'synthetic': synthetic}
    print(table(groups, scores))
    if args.figure:
        draw_figure(args.figure, {name: items for name, items in groups.items() if name != 'all'})
        print(f'histograms: {args.figure}')
    if args.json:
        Path(args.json).write_text(json.dumps({
            'config': args.config, 'count': args.count, 'size': args.size, 'seed': args.seed, 'coverage': scores,
            'percentiles': {name: percentiles(items) for name, items in groups.items()}}, indent=1), encoding='utf-8')
    return 0


def shrink(image, size):
    """Shrink an image, or a depth, by area until its shorter side is at most ``size``."""
    import cv2
    height, width = image.shape[:2]
    factor = size / min(height, width)
    if factor >= 1:
        return image
    return cv2.resize(image, (round(width * factor), round(height * factor)), interpolation=cv2.INTER_AREA)


def synthetic_statistics(args):
    """Degrade ``args.count`` clear images and measure each, as a list."""
    import torch

    from restorekit.degradations import build_degradation, load_preset
    from restorekit.evaluation.coverage import image_statistics
    from restorekit.functional.images import to_array
    from restorekit.random import derive_seed
    degradation = build_degradation(load_preset(args.config))
    dataset = clear_dataset(args)
    measured = []
    for number in range(args.count):
        seed = derive_seed(args.seed, number)
        item = dataset[(seed % len(dataset), number)]
        sample = item['data_samples']
        clear = shrink(item['inputs'].permute(1, 2, 0).numpy(), args.size)
        image = torch.from_numpy(clear).permute(2, 0, 1).float()[None] / 255
        depth = torch.from_numpy(shrink(sample.depth[0].numpy(), args.size))[None, None] if 'depth' in sample else None
        measured.append(image_statistics(to_array(degradation(image, depth, [seed])[0][0])))
    return measured


def clear_dataset(args):
    """Build the data set of clear images that the command line names."""
    from restorekit.config import ConfigError, load_config
    from restorekit.datasets import ClearDepthDataset, ProceduralScenes
    from restorekit.registry import DATASETS
    if args.clear:
        return ClearDepthDataset(args.clear, args.depth, args.depth_options)
    if not args.dataset:
        return ProceduralScenes(length=args.count, height=args.size, width=args.size * 4 // 3)
    from mmengine.registry import DefaultScope

    from restorekit.engine import join_data_root
    config = load_config(args.config, data_root=args.data_root)
    dataset = config._cfg_dict
    for key in args.dataset.split('.'):
        if not isinstance(dataset, dict) or key not in dataset:
            raise ConfigError(f'{args.config} has no data set {args.dataset!r}; it sets {", ".join(config)}')
        dataset = dataset[key]
    config.train_dataloader = dict(dataset=dataset)
    join_data_root(config)
    dataset = config.train_dataloader.dataset
    _drop_pipelines(dataset)
    with DefaultScope.overwrite_default_scope('restorekit'):
        return DATASETS.build(dataset)


def _drop_pipelines(node):
    if isinstance(node, dict):
        for key in [key for key in node if key.endswith('pipeline')]:
            node[key] = []
        for value in node.values():
            _drop_pipelines(value)
    elif isinstance(node, list):
        for value in node:
            _drop_pipelines(value)


def percentiles(items):
    """Return the 2nd, 50th and 98th percentile of every statistic."""
    import numpy as np

    from restorekit.evaluation.coverage import STATISTICS
    values = np.percentile([item['vector'] for item in items], [2, 50, 98], axis=0).T
    return {name: [round(float(value), 4) for value in row] for name, row in zip(STATISTICS, values, strict=True)}


def table(groups, scores):
    """Lay out the percentiles of each group and the coverage of each real one as text."""
    from restorekit.evaluation.coverage import STATISTICS
    lines = ['2nd, 50th and 98th percentile',
             f'{"":12} {"images":>6} ' + ' '.join(f'{name:>17}' for name in STATISTICS)]
    for name, items in groups.items():
        cells = [' '.join(f'{value:5.2f}' for value in row) for row in percentiles(items).values()]
        lines.append(f'{name:12.12} {len(items):6} {" ".join(f"{cell:>17}" for cell in cells)}')
    lines += ['', 'coverage of the real photos by the synthetic images, in per cent',
              f'{"":12} {"inside":>8} {"near":>8} {"dark_channel":>14} {"saturation":>12}']
    for name, score in scores.items():
        lines.append(f'{name:12.12} {100 * score["inside"]:8.1f} {100 * score["near"]:8.1f} '
                     f'{100 * score["dark_channel"]:14.1f} {100 * score["saturation"]:12.1f}')
    return '\n'.join(lines)


def draw_figure(path, groups):
    """Draw histograms and airlight colours of every group into one image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    figure = Figure(figsize=(13, 3.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4)
    for name, items in groups.items():
        style = dict(label=name, linewidth=2.5 if name == 'synthetic' else 1.2,
                     color='black' if name == 'synthetic' else None)
        for axis, key in zip(axes, ('dark_channel', 'saturation'), strict=False):
            density = sum(item[key] for item in items) / len(items)
            axis.plot([(i + 0.5) / len(density) for i in range(len(density))], density, **style)
            axis.set(title=key.replace('_', ' '), xlabel='value', ylabel='share of pixels')
        noise = sorted(item['vector'][5] for item in items)
        axes[2].plot(noise, [(i + 1) / len(noise) for i in range(len(noise))], **style)
        red, green, blue = ([item['vector'][i] for item in items] for i in range(3))
        ratio = [[a / max(b, 1e-3) for a, b in zip(x, green, strict=True)] for x in (red, blue)]
        axes[3].scatter(*ratio, s=8, alpha=0.5, zorder=0 if name == 'synthetic' else 1,
                        color='lightgrey' if name == 'synthetic' else None)
    axes[2].set(title='noise level', xlabel='1/255', ylabel='share of images')
    axes[3].set(title='airlight colour', xlabel='red / green', ylabel='blue / green', xlim=(0.5, 2), ylim=(0, 1.6))
    axes[0].legend(fontsize=8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
