"""Fit the parameters of NIQE or BRISQUE to a folder of clean photos."""

from .common import prepare_process, say
from .progress import progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('folder', metavar='DIR', help='folder of clean, sharp photos')
    parser.add_argument('out', metavar='FILE', help='parameter file to write (.npz), for parameters= of the metric')
    parser.add_argument('--metric', choices=['niqe', 'brisque'], default='niqe', help='which metric (default: niqe)')


def run(args):
    """Fit, write and say what was used."""
    prepare_process()
    from restorekit.tasks.fit_quality import fit_quality
    with progress_bar('photos') as progress:
        found = fit_quality(args.folder, args.out, metric=args.metric, progress=progress)
    what = 'sharp blocks' if args.metric == 'niqe' else 'images'
    say(f'{args.out}: fitted to {found["rows"]} {what} of {found["photos"]} photos')
    if 'correlation' in found:
        say(f'Rank correlation with the target on photos left out of the fit: {found["correlation"]:.3f}')
