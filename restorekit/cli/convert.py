"""Convert a published CID checkpoint to restorekit's format, or back with --reverse."""


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('source', metavar='IN', help='checkpoint to read; nothing in it is executed')
    parser.add_argument('target', metavar='OUT', help='file to write; .safetensors writes the bare network state')
    parser.add_argument('--reverse', action='store_true', help='from restorekit to the published form')
    parser.add_argument('--quiet', action='store_true', help='do not print every key')
    parser.add_argument('--force', action='store_true', help='overwrite OUT if it exists')


def run(args):
    """Convert and report."""
    from restorekit.models import CIDDecoder
    from restorekit.zoo import convert_cid_file
    state, report = convert_cid_file(args.source, args.target, reverse=args.reverse, force=args.force)
    if not args.quiet:
        for old, new in report:
            print(f'{old} -> {new} {tuple(state[new].shape)}')
    count = sum(value.numel() for value in state.values())
    print(f'{len(report)} tensors, {count:,} values, written to {args.target}; '
          f'input range {CIDDecoder.input_range}, output range {CIDDecoder.output_range}, as CIDDecoder declares')
