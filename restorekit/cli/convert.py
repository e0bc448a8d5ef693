"""Convert a published checkpoint of CID to restorekit's format, or back with --reverse."""

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('source', metavar='IN', help='checkpoint to read; no code in it is run')
    parser.add_argument('target', metavar='OUT', help='file to write: .pth for a checkpoint, .safetensors for the '
                        'weights of the network alone')
    parser.add_argument('--reverse', action='store_true', help='convert from restorekit to the published format')
    parser.add_argument('--quiet', action='store_true', help='do not list every tensor')
    parser.add_argument('--force', action='store_true', help='overwrite OUT if it exists')


def run(args):
    """Convert, then list what was converted."""
    from restorekit.tasks.convert import convert
    report = convert(args.source, args.target, reverse=args.reverse, force=args.force)
    if not args.quiet:
        for old, new, shape in report.tensors:
            say(f'{old} -> {new} {shape}')
    say(f'{len(report.tensors)} tensors, {report.values:,} values, written to {args.target}; '
        f'input range {report.input_range}, output range {report.output_range}, as CIDDecoder declares')
