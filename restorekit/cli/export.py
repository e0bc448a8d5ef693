"""Export a checkpoint as ONNX, and check that it gives the same images."""

import sys

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint, or the name of a model')
    parser.add_argument('-o', '--out', required=True, metavar='FILE',
                        help='file to write: .onnx, or .pt2 for a program of torch.export')
    parser.add_argument('--config', metavar='CONFIG', help='config the network is built from; default: what the '
                        'checkpoint says')
    parser.add_argument('--input', default='float', choices=['float', 'uint8'],
                        help='float (default): RGB (N, 3, H, W) in [0, 1]; uint8: RGB (N, H, W, 3)')
    parser.add_argument('--precision', default='fp32', choices=['fp32', 'fp16', 'int8'],
                        help='number type of the weights (default: fp32); int8 needs --images')
    parser.add_argument('--images', nargs='+', default=[], metavar='FILE',
                        help='photos to compare on, and to calibrate int8 with')
    parser.add_argument('--licence', default='', metavar='TEXT', help='licence of the weights, for the metadata')
    parser.add_argument('--overwrite', action='store_true', help='replace the file if it exists')


def run(args):
    """Export and print the parity table."""
    from restorekit.tasks.export import export
    from restorekit.text_table import text_table
    options = {key: value for key, value in vars(args).items() if key not in ('checkpoint', 'out', 'command')}
    report = export(args.checkpoint, args.out, **options, progress=lambda text: say(f'{text} ...', file=sys.stderr))
    rows = [('image', 'size', 'max difference', 'PSNR of the two')]
    rows += [(row.image, f'{row.size[0]}x{row.size[1]}', f'{row.difference:.2e}', f'{row.psnr:.1f} dB')
             for row in report.parity]
    say(text_table(rows))
    say(f'wrote {report.file} ({report.bytes / 2 ** 20:.1f} MiB)')
