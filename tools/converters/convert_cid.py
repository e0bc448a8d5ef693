"""Convert a published CID checkpoint to restorekit's format, or back with --reverse."""

import argparse
import sys

from restorekit.checkpoint import CheckpointError
from restorekit.models import CIDDecoder
from restorekit.zoo import convert_cid_file


def parse_args(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('source', metavar='IN', help='checkpoint to read; nothing in it is executed')
    parser.add_argument('target', metavar='OUT', help='file to write; .safetensors writes the bare network state')
    parser.add_argument('--reverse', action='store_true', help='from restorekit to the published form')
    parser.add_argument('--quiet', action='store_true', help='do not print every key')
    parser.add_argument('--force', action='store_true', help='overwrite OUT if it exists')
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    try:
        state, report = convert_cid_file(args.source, args.target, reverse=args.reverse, force=args.force)
    except (OSError, ValueError, CheckpointError) as error:
        sys.exit(f'{args.source} was not converted: {error}')
    if not args.quiet:
        for old, new in report:
            print(f'{old} -> {new} {tuple(state[new].shape)}')
    count = sum(value.numel() for value in state.values())
    print(f'{len(report)} tensors, {count:,} values, written to {args.target}; '
          f'input range {CIDDecoder.input_range}, output range {CIDDecoder.output_range}, as CIDDecoder declares')


if __name__ == '__main__':
    main()
