"""Publish a trained network: a .safetensors file that says what it is, and a model card."""

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of a training run')
    parser.add_argument('name', metavar='NAME', help='name of the model; the file is NAME-HASH.safetensors')
    parser.add_argument('--licence', required=True, help='licence of the weights, for example Apache-2.0')
    parser.add_argument('--summary', default='', metavar='TEXT', help='what the model is for, one line')
    parser.add_argument('--report', metavar='DIR', help='folder that restorekit test wrote, for the results')
    parser.add_argument('-o', '--out', default='.', metavar='DIR', help='folder to write to (default: here)')
    parser.add_argument('--dtype', default='float16', choices=('float16', 'bfloat16', 'float32'),
                        help='type of the numbers in the file (default: float16, half the size)')
    parser.add_argument('--force', action='store_true', help='overwrite what is there')


def run(args):
    """Publish, then print the files and the hash."""
    from restorekit.tasks.publish import publish
    report = publish(args.checkpoint, args.name, out=args.out, licence=args.licence, summary=args.summary,
                     report=args.report, dtype=args.dtype, force=args.force)
    say(f'{report.file}: {report.file.stat().st_size:,} bytes, sha256 {report.sha256}\n{report.card}: the model card')
