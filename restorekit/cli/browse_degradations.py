"""Draw a contact sheet of degradations, each from weak to strong."""

from pathlib import Path

from .common import say
from .option_action import OptionAction
from .progress import progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('configs', nargs='+', metavar='DEGRADATION', help='presets (day, night, dust ...) or config '
                        'files with a "degradation". One of them gives a row for the whole and a row for each operator '
                        'in it; several give a row each; the word "operators" gives every operator there is')
    parser.add_argument('--image', metavar='FILE', help='clear photo (default: a scene drawn by code, with its depth)')
    parser.add_argument('--depth', metavar='FILE', help='depth map of the photo (png, tif or npy)')
    parser.add_argument('--depth-options', nargs='+', action=OptionAction, default={}, metavar='KEY=VALUE',
                        help='how the depth map is stored, for example kind=disparity scale=2')
    parser.add_argument('--style', default='city', metavar='STYLE',
                        help='style of the drawn scene: city (default), city_night, highland or room')
    parser.add_argument('--columns', type=int, default=5, metavar='N', help='number of strengths (default: 5)')
    parser.add_argument('--draws', type=int, default=40, metavar='N', help='number of random draws that the strengths '
                        'are chosen from (default: 40)')
    parser.add_argument('--height', type=int, default=160, metavar='PIXELS',
                        help='height of a picture in pixels (default: 160)')
    parser.add_argument('--seed', type=int, default=0, help='random seed (default: 0)')
    parser.add_argument('--out', default='degradations.png', metavar='FILE', help='PNG file to write (default: '
                        'degradations.png). The same rows go to TensorBoard logs in a folder of this name without .png')
    parser.add_argument('--colours', type=int, metavar='N', help='reduce the PNG to N colours, for small files')


def run(args):
    """Draw the sheet; returns 0."""
    from restorekit.tasks.browse_degradations import browse_degradations
    with progress_bar('rows') as progress:
        sheet = browse_degradations(args.configs, image=args.image, depth=args.depth, depth_options=args.depth_options,
                                    style=args.style, columns=args.columns, draws=args.draws, height=args.height,
                                    seed=args.seed, colours=args.colours, out=args.out, progress=progress)
    say(f'{len(sheet.rows)} rows: {args.out}, TensorBoard logs in {Path(args.out).with_suffix("")}')
    return 0
