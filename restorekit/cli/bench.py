"""Measure models on test sets, quality and cost, in one table and one chart."""

import argparse
import sys
from pathlib import Path

from .common import prepare_process
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
    """Measure, print the table, and write table and chart."""
    prepare_process()
    from restorekit.evaluation.method_table import close_calls, format_table
    from restorekit.files.atomic import atomic_write_text
    from restorekit.messages import MissingDependencyError
    from restorekit.tasks.bench import bench
    from restorekit.visualization.bench_chart import draw_bench
    with progress_bar('images') as progress:
        found = bench(named_models(args.models), args.data, args.out, protocols=args.protocols,
                      metrics=args.metrics, data_root=args.data_root, sizes=args.sizes, repeats=args.repeats,
                      device=args.device, progress=progress)
    table = format_table(found, extra=costs(found), intervals=True)
    notes = f'{found["machine"]["device"]}, {found["machine"]["threads"]} thread(s), {found["machine"]["date"]}. ' \
        'Quality: mean and 95 % interval over images. Memory: what a pass takes beyond the loaded model.'
    notes = '\n'.join([notes, *close_calls(found)])
    atomic_write_text(f'{table}\n\n{notes}\n', Path(args.out, 'bench.md'))
    atomic_write_text(format_table(found, 'csv', extra=costs(found)) + '\n', Path(args.out, 'bench.csv'))
    print(f'{table}\n\n{notes}')
    try:
        draw_bench(found, Path(args.out, 'bench.png'))
    except MissingDependencyError as error:
        print(f'no chart: {error}', file=sys.stderr)
    print(f'Written to {args.out}: bench.md, bench.csv, bench.json, reports/')


def named_models(arguments):
    """Return the models by name; a file or folder that exists under the whole argument is called by its stem."""
    from restorekit.messages import InputError
    models = {}
    for argument in arguments:
        name, equals, spec = argument.partition('=')
        if not equals or Path(argument).exists():
            name, spec = Path(argument).stem, argument
        if models.setdefault(name, spec) != spec or arguments.count(argument) > 1:
            raise InputError(f'two models are called {name!r}; give them names: NAME=MODEL')
    return models


def costs(found):
    """Return the columns of cost, texts by method."""
    columns = {}
    for method, cost in found['costs'].items():
        for size, pass_ in cost['sizes'].items():
            columns.setdefault(f's at {size}', {})[method] = f'{pass_["seconds"]:.3f}'
            columns.setdefault(f'CPU s at {size}', {})[method] = f'{pass_["cpu_seconds"]:.3f}'
            columns.setdefault(f'MiB at {size}', {})[method] = \
                '-' if pass_['memory'] is None else f'{pass_["memory"] / 2**20:.0f}'
        for title, key, scale in (('parameters (M)', 'parameters', 1e6), ('multiply-adds (G)', 'macs', 1e9)):
            columns.setdefault(title, {})[method] = '-' if cost[key] is None else f'{cost[key] / scale:.3g}'
        columns.setdefault('licence', {})[method] = cost['licence']
    return columns
