"""Pack the network of a checkpoint into a small .safetensors file."""

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of a training run')
    parser.add_argument('target', metavar='OUT.safetensors', help='file to write; it says what network it holds')
    parser.add_argument('--dtype', default='float16', choices=('float16', 'bfloat16', 'float32'),
                        help='type of the numbers in the file (default: float16, half the size)')
    parser.add_argument('--licence', help='licence of the weights, kept in the file')
    parser.add_argument('--force', action='store_true', help='overwrite OUT if it exists')


def run(args):
    """Pack, then print size and hash."""
    from restorekit.tasks.pack import pack
    report = pack(args.checkpoint, args.target, dtype=args.dtype, licence=args.licence, force=args.force)
    say(f'{report.target}: {report.size:,} bytes, sha256 {report.sha256}')
