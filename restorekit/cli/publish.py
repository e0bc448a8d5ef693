"""Publish a trained network: a .safetensors file that says what it is, and a model card."""

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of a training run')
    parser.add_argument('name', metavar='NAME', help='name of the model; the file is NAME-HASH.safetensors')
    parser.add_argument('--licence', required=True, metavar='TEXT', help='licence of the weights, for '
                        'example Apache-2.0. If the training data allows less than the code does, such as research '
                        'alone, say so: "research use (as its training data)"')
    parser.add_argument('--summary', default='', metavar='TEXT', help='what the model is for, one line')
    parser.add_argument('--report', metavar='DIR', help='folder that restorekit test wrote of these weights')
    parser.add_argument('--compare', nargs='+', default=[], metavar='NAME=DIR', help='reports of other methods on the '
                        'same test sets, for the table of figures')
    parser.add_argument('--notes', metavar='FILE.md', help='notes for the card: an introduction, then sections (##), '
                        'such as what the model does badly')
    parser.add_argument('--facts', metavar='FILE.yml', help='data: {SET: origin and licence} of training sets '
                        'and pretrained components; sets: {SET: title} of test sets')
    parser.add_argument('--run', nargs='+', default=[], dest='runs', metavar='DIR', help='work dirs of the training, '
                        'in order (default: that of CHECKPOINT)')
    parser.add_argument('--data-root', metavar='DIR', help='folder of the training data, to count and hash it')
    parser.add_argument('--packed', metavar='FILE.safetensors', help='describe this file, packed from CHECKPOINT '
                        'before, and write the card alone')
    parser.add_argument('-o', '--out', default='.', metavar='DIR', help='folder to write to (default: here)')
    parser.add_argument('--dtype', default='float16', choices=('float16', 'bfloat16', 'float32'),
                        help='type of the numbers in the file (default: float16, half the size)')
    parser.add_argument('--force', action='store_true', help='overwrite what is there')


def run(args):
    """Publish, then print the files and the hash."""
    from restorekit.messages import InputError
    from restorekit.tasks.publish import publish
    wrong = [text for text in args.compare if not all(text.partition('='))]
    if wrong:
        raise InputError(f'--compare takes NAME=DIR, but got {wrong[0]}')
    report = publish(args.checkpoint, args.name, out=args.out, licence=args.licence, summary=args.summary,
                     report=args.report, compare=dict(text.split('=', 1) for text in args.compare), notes=args.notes,
                     facts=args.facts, runs=args.runs, data_root=args.data_root, packed=args.packed,
                     dtype=args.dtype, force=args.force)
    say(f'{report.file}: {report.file.stat().st_size:,} bytes, sha256 {report.sha256}\n{report.card}: the model card')
