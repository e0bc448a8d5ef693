"""Pack a folder of images into one LMDB file, byte for byte."""

from .common import say
from .progress import progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('source', metavar='SRC', help='folder of images (and .npy depth maps), including its '
                        'sub-folders')
    parser.add_argument('out', metavar='OUT.lmdb', help='the LMDB to write. A dataset reads it in place of the folder. '
                        'Run the same command again to continue after a stop, or to add new files of SRC')
    parser.add_argument('--commit', type=int, default=200, metavar='N', help='number of files written at once; a '
                        'killed run loses at most this many (default: 200)')


def run(args):
    """Write what is missing and verify everything; returns 0."""
    from restorekit.tasks.make_lmdb import make_lmdb
    with progress_bar('files') as progress:
        report = make_lmdb(args.source, args.out, commit=args.commit, progress=progress)
    say(f'{report.files} files, {report.nbytes / 2**20:.1f} MiB, verified: {report.out}; {report.skipped} files were '
        'in it before')
    return 0
