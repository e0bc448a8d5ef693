"""Restore photos and films with a model."""

import argparse
import contextlib
import sys

from .common import prepare_process, say
from .progress import progress_bar

_EXAMPLES = """examples:
  restorekit restore photo.jpg -o clear.jpg
  restorekit restore photos film.mp4 -o clear              a folder keeps its tree
  restorekit restore photo.jpg -o out --strength 0.6 --compare
  restorekit restore photos -o clear --checkpoint latest.pth
  find . -name '*.jpg' -print0 | restorekit restore - -o clear
"""


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, _EXAMPLES
    parser.add_argument('inputs', nargs='+', metavar='INPUT',
                        help='image or film, folder (searched through), glob, or - for names on standard input')
    parser.add_argument('-o', '--out', required=True, metavar='OUT',
                        help='output folder, or an image file for a single input')
    group = parser.add_argument_group('result')
    group.add_argument('--strength', type=float, default=1.0, metavar='S',
                       help='0 changes nothing, 1 (default) is the full result')
    group.add_argument('--mask', metavar='FILE', help='image of any size: its white parts are restored, the black are '
                       'left as they are')
    guard = group.add_mutually_exclusive_group()
    guard.add_argument('--protect-highlights', action='store_true', default=None,
                       help='keep clipped skies and lamps as they are and, with networks of coefficients on 8-bit '
                       'files without a mask, flat skies smooth; default: as the model recommends')
    guard.add_argument('--no-protect-highlights', action='store_false', dest='protect_highlights',
                       help='restore them like the rest')
    group = parser.add_argument_group('model')
    which = group.add_mutually_exclusive_group()
    which.add_argument('--model', metavar='NAME', help='model to use, by name (restorekit models lists them); default: '
                       'haze')
    which.add_argument('--checkpoint', metavar='FILE', help='file to use instead: .pth, .safetensors, or .onnx')
    group.add_argument('--config', metavar='CONFIG', help='config the network is built from; default: what the '
                       'checkpoint says')
    group = parser.add_argument_group('output files')
    group.add_argument('--format', metavar='F', help='format of the outputs, e.g. png, jpg, tif, webp, avif; '
                       'default: that of the input')
    group.add_argument('--quality', type=int, metavar='Q', help='quality of JPEG, WebP, AVIF and HEIC, 0 to 100 '
                       '(default: 95)')
    group.add_argument('--suffix', default='', metavar='TEXT', help='added to the names of the outputs: _clear makes '
                       'photo_clear.jpg of photo.jpg')
    group.add_argument('--compare', action='store_true', help='write input and result side by side')
    group.add_argument('--skip-existing', action='store_true',
                       help='leave outputs that exist, to continue a stopped run')
    group = parser.add_argument_group('films')
    group.add_argument('--sequence', action='store_true', help='the images are frames of a film: no flicker')
    group.add_argument('--video-smooth', type=float, metavar='SECONDS',
                       help='smooth changes of the whole picture over this time, and do not amplify the grain of what '
                       'stands still (default: 1; 0: restore each frame by itself)')
    group.add_argument('--video-crf', type=int, metavar='Q', help='quality of films, 0 (best) to 51 (default: 16)')
    group = parser.add_argument_group('computation')
    group.add_argument('--device', help='cpu, cuda, cuda:1, ...; default: CUDA if there is one')
    group.add_argument('--precision', default='auto', choices=['auto', 'fp32', 'bf16', 'fp16'],
                       help='number type of the computation; default: auto (fp32)')
    group.add_argument('--backend', choices=['torch', 'onnxruntime', 'openvino'], help='what runs the network; '
                       'default: torch, and onnxruntime for .onnx files')
    group.add_argument('--tile', default='auto', metavar='auto|off|SIZE',
                       help='restore in tiles of this many pixels; default: auto, when memory asks for it')
    group.add_argument('--max-pixels', type=int, metavar='N', help='largest image that is read, in pixels; default: '
                       '67108864, or RESTOREKIT_MAX_PIXELS')
    group.add_argument('--shard', metavar='I/N', help='restore only part I of N; default under torchrun or Slurm: '
                       'the part of this process')


def run(args):
    """Restore; returns 0, or 1 if any input failed (the others are restored all the same)."""
    if not (args.checkpoint or '').endswith('.onnx'):
        prepare_process('none')
    from restorekit.files.names import terminal_text
    from restorekit.tasks.restore import restore
    options = {key: value for key, value in vars(args).items() if key not in ('inputs', 'out', 'command')}
    count, total, bar = 0, 0, None

    def show(result):
        nonlocal count
        count += 1
        if result.error is None:
            what = 'is there already' if result.skipped else f'{result.size[0]}x{result.size[1]}'
            say(f'[{count}/{total}] {terminal_text(result.source)} -> {terminal_text(result.target)}  {what}',
                flush=True)

    with contextlib.ExitStack() as stack:
        def progress(done, of):
            nonlocal total, bar
            total = of
            if bar is None and (of > 1 or 0 < done < 1) and sys.stderr.isatty():  # one photo is done before it is drawn
                bar = stack.enter_context(progress_bar('restoring'))
            if bar is not None:
                bar(done, of)
        report = restore(_inputs(args.inputs), args.out, **options, on_result=show, progress=progress,
                         on_note=lambda text: say(terminal_text(text), file=sys.stderr))
    if report.left_out:
        names = ', '.join(terminal_text(path.name) for path in report.left_out[:5])
        more = len(report.left_out) - 5
        what = '1 file was' if len(report.left_out) == 1 else f'{len(report.left_out)} files were'
        say(f'{what} left out, for a name that is not that of an image: {names}'
            + (f' and {more} more' if more > 0 else ''), file=sys.stderr)
    for result in report.failed:
        say(f'failed: {result.error}', file=sys.stderr)
    if report.failed:
        say(f'{len(report.failed)} of {len(report.results)} images could not be restored', file=sys.stderr)
    return 1 if report.failed else 0


def _inputs(given):
    """Replace ``-`` by the names on standard input, one a line or separated by NUL."""
    for text in given:
        if text == '-':
            names = sys.stdin.read()
            yield from filter(None, names.split('\0') if '\0' in names else names.splitlines())
        else:
            yield text
