"""Pack the network of a checkpoint into a small .safetensors file."""

import argparse

from .common import say

_EXAMPLE = '''example:
  restorekit pack work_dirs/run/iter_2400.pth haze.safetensors --licence Apache-2.0
  restorekit restore photo.jpg -o clear --checkpoint haze.safetensors

int8 is not for .safetensors but for ONNX:
  restorekit export haze.safetensors -o haze.onnx --precision int8 --images photos/*.jpg
'''


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, _EXAMPLE
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of a training run')
    parser.add_argument('target', metavar='OUT.safetensors', help='file to write; it says what network it holds')
    parser.add_argument('--dtype', default='float16', choices=('float16', 'bfloat16', 'float32'),
                        help='type of the numbers in the file (default: float16, half the size)')
    parser.add_argument('--licence', metavar='TEXT', help='licence of the weights, kept in the file')
    parser.add_argument('--force', action='store_true', help='overwrite OUT if it exists')


def run(args):
    """Pack, then print size and hash."""
    from restorekit.tasks.pack import pack
    report = pack(args.checkpoint, args.target, dtype=args.dtype, licence=args.licence, force=args.force)
    say(f'{report.target}: {report.size:,} bytes, sha256 {report.sha256}')
