"""Cut images into overlapping patches, paired folders and depth alike."""

from .common import say
from .progress import print_failures, progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('source', metavar='SRC', help='folder of images, including its sub-folders. With --pairs: the '
                        'folder that contains the folders of the pairs')
    parser.add_argument('out', metavar='OUT', help='output folder. It receives NAME_rR_cC.png for row R and column C '
                        'of the grid. Run the same command again to continue after a stop')
    parser.add_argument('--size', type=int, default=256, metavar='PIXELS', help='patch size in pixels (default: 256)')
    parser.add_argument('--stride', type=int, metavar='PIXELS', help='distance between neighbouring patches in pixels '
                        '(default: three quarters of the patch size)')
    parser.add_argument('--pairs', nargs='+', metavar='DIR', help='two or three folders in SRC to cut alike: HAZY '
                        'CLEAR, or HAZY CLEAR DEPTH. Image sizes are compared before anything is written')
    parser.add_argument('--pairing', default='stem', choices=['stem', 'prefix', 'suffix'], help='how the clear image '
                        'of a hazy image is found: stem = same name (default); prefix = the name up to the first '
                        'underscore; suffix = the name without what follows the last underscore')
    parser.add_argument('--workers', type=int, metavar='N', help='number of processes (default: one per core)')


def run(args):
    """Write what is missing; returns 0, or 1 if an image failed (the others are cut all the same)."""
    from restorekit.files.names import terminal_text
    from restorekit.tasks.extract_patches import extract_patches
    with progress_bar('images') as progress:
        report = extract_patches(args.source, args.out, size=args.size, stride=args.stride, pairs=args.pairs,
                                 pairing=args.pairing, workers=args.workers, progress=progress)
    if report.small:
        names = ', '.join(map(terminal_text, report.small[:5])) + (' ...' if len(report.small) > 5 else '')
        say(f'{len(report.small)} images are smaller than a patch; their patches are smaller too: {names}')
    say(f'{report.patches} patches of {report.images} images in {report.out}; {report.skipped} images were done '
        'before')
    if report.pairing is not None:
        say(f'in a config: pairing={report.pairing}')
    return print_failures(report.failures)
