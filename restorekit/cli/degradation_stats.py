"""Compare statistics of synthetic hazy images with those of real photos."""

import json

from .common import say
from .option_action import OptionAction
from .progress import progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='DEGRADATION', help='name of a preset (day, night, dust ...), or a config '
                        'file with a "degradation"')
    parser.add_argument('--real', nargs='+', required=True, metavar='DIR', help='folders of real hazy photos; each is '
                        'compared on its own, and all of them together')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--clear', metavar='DIR', help='folder of clear images to degrade (default: scenes drawn by '
                        'code)')
    source.add_argument('--dataset', metavar='KEY', help='take the clear images from a dataset of the config, for '
                        'example train_dataloader.dataset.source; its transforms are not applied')
    parser.add_argument('--depth', metavar='DIR', help='folder of depth maps named like the images of --clear')
    parser.add_argument('--depth-options', nargs='+', action=OptionAction, default={}, metavar='KEY=VALUE',
                        help='how the depth maps are stored, for example kind=disparity scale=2')
    parser.add_argument('--data-root', metavar='DIR', help='folder that the relative paths of --dataset start from')
    parser.add_argument('--count', type=int, default=1000, metavar='N',
                        help='number of synthetic images (default: 1000)')
    parser.add_argument('--size', type=int, default=256, metavar='PIXELS', help='all images are shrunk to this length '
                        'of the shorter side before they are measured (default: 256)')
    parser.add_argument('--seed', type=int, default=0, help='random seed (default: 0)')
    parser.add_argument('--figure', metavar='FILE', help='also draw the histograms into this image file')
    parser.add_argument('--json', metavar='FILE', help='also write the numbers to this JSON file')


def run(args):
    """Measure, print the table, write figure and numbers; returns 0."""
    from restorekit.files.atomic import atomic_write_text
    from restorekit.tasks.degradation_stats import degradation_stats
    with progress_bar('images') as progress:
        report = degradation_stats(args.config, args.real, clear=args.clear, depth=args.depth,
                                   depth_options=args.depth_options, dataset=args.dataset, data_root=args.data_root,
                                   count=args.count, size=args.size, seed=args.seed, progress=progress)
    say(report.table())
    if args.figure:
        report.draw_figure(args.figure)
        say(f'histograms: {args.figure}')
    if args.json:
        atomic_write_text(json.dumps(report.to_dict(), indent=1) + '\n', args.json)
    return 0
