"""Measure models on test sets, quality and cost, in one table and one chart."""

import argparse
import sys
from pathlib import Path

from .common import named, prepare_process, say
from .progress import progress_bar


def size(text):
    """Read WIDTHxHEIGHT."""
    width, _, height = text.partition('x')
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f'a size is WIDTHxHEIGHT, as 600x400, but got {text!r}')
    return int(width), int(height)


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('models', nargs='+', metavar='[NAME=]MODEL', help='a model name, a checkpoint, a folder of '
                        'restored images, clahe, or input (the degraded images); NAME is what the table calls it')
    parser.add_argument('--data', nargs='+', required=True, metavar='SET', help='test sets: names below '
                        'configs/_base_/datasets/, or config files with a test_dataloader')
    parser.add_argument('--data-root', metavar='DIR', help='folder that holds the datasets')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for bench.md, bench.csv, bench.json, '
                        'bench.png and a report per model; what is measured there already is not measured again')
    parser.add_argument('--protocol', '--protocols', dest='protocols', nargs='+', default=['rgb'], metavar='NAME',
                        help='protocols to measure under (default: rgb)')
    parser.add_argument('--metrics', nargs='+', default=[], metavar='NAME', help='metrics besides PSNR and SSIM')
    parser.add_argument('--sizes', nargs='+', type=size, default=[(600, 400), (1920, 1080)], metavar='WxH',
                        help='image sizes for time and memory (default: 600x400 1920x1080)')
    parser.add_argument('--repeats', type=int, default=5, metavar='N', help='timed passes; the median counts '
                        '(default: 5)')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: CUDA if there is one)')


def run(args):
    """Measure, print the table and draw the chart."""
    prepare_process()
    from restorekit.messages import InputError, MissingDependencyError
    from restorekit.tasks.bench import bench, format_bench
    from restorekit.visualization.bench_chart import draw_bench
    models = {}
    for name, model in named(args.models, stem=True):
        if name in models:
            raise InputError(f'two models are called {name!r}; give them names: NAME=MODEL')
        models[name] = model
    with progress_bar('images') as progress:
        found = bench(models, args.data, args.out, protocols=args.protocols,
                      metrics=args.metrics, data_root=args.data_root, sizes=args.sizes, repeats=args.repeats,
                      device=args.device, progress=progress)
    say(format_bench(found))
    files = ['bench.md', 'bench.csv', 'bench.json', 'reports/']
    try:
        draw_bench(found, Path(args.out, 'bench.png'))
        files.insert(1, 'bench.png')
    except MissingDependencyError as error:
        say(f'no chart: {error}', file=sys.stderr)
    say(f'Written to {args.out}: {", ".join(files)}')
