"""Measure images that any program wrote, under named protocols."""

from .common import prepare_process, say
from .option_action import OptionAction


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('images', nargs='*', metavar='PRED GT', help='a restored and a clear image, or a folder of '
                        'each; without them a scene drawn by code is measured against a degraded copy')
    parser.add_argument('--pairing', default='stem', choices=['stem', 'prefix', 'suffix'], help='how file names of two '
                        'folders are matched (default: stem, equal names without the extension)')
    parser.add_argument('--dataset-options', nargs='+', action=OptionAction, default={}, metavar='K=V',
                        help='further arguments of PairedDataset, which reads the folders')
    parser.add_argument('--metrics', nargs='+', default=['PSNR', 'SSIM'], metavar='NAME',
                        help='metrics that compare with a ground truth (default: PSNR SSIM)')
    parser.add_argument('--protocols', '--protocol', nargs='+', metavar='NAME',
                        help='protocols to measure under (default: all)')


def run(args):
    """Print a table with a row for each protocol."""
    from restorekit.messages import InputError
    if len(args.images) not in (0, 2):
        raise InputError(f'give two images, two folders or nothing, but got {len(args.images)}: '
                         f'{" ".join(args.images)}')
    prepare_process()
    from restorekit.tasks.measure import measure
    from restorekit.text_table import markdown_table
    found = measure(*args.images, metrics=args.metrics, protocols=args.protocols, pairing=args.pairing,
                    dataset_options=args.dataset_options)
    say(f'{found.pairs} pair{"s" * (found.pairs > 1)}')
    lines = [['protocol', *found.columns.values()]]
    for protocol, means in found.means.items():
        lines.append([protocol, *(text(mean, found.columns[name]) for name, mean in means.items())])
    say(markdown_table(lines))


def text(mean, column):
    """Return a mean as text; decibels need a digit less."""
    if mean is None:
        return '-'
    return f'{mean:.3f}' if column.endswith('(dB)') else f'{mean:.4f}'
