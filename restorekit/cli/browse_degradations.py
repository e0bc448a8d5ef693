"""Show degradations on one contact sheet: a row for each, from weak to strong, with the parameters drawn."""

from pathlib import Path

from .common import OptionAction, prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='presets (day, night, dust, ...) or configs with '
                        'a degradation: one gives a row for it and for each operator in it, several give a row each; '
                        "'operators' gives every registered operator with its default settings")
    parser.add_argument('--image', metavar='FILE', help='clear photo; default: a scene drawn by code, with its depth')
    parser.add_argument('--depth', metavar='FILE', help='its depth (png or npy)')
    parser.add_argument('--depth-options', nargs='+', action=OptionAction, default={}, metavar='K=V',
                        help='how the map is coded, e.g. kind=disparity scale=2')
    parser.add_argument('--style', default='city', help='of the scene drawn by code: city, city_night or highland')
    parser.add_argument('--columns', type=int, default=5, metavar='N', help='strengths (default 5)')
    parser.add_argument('--draws', type=int, default=40, metavar='N', help='draws to choose the strengths from')
    parser.add_argument('--height', type=int, default=160, help='of a picture in pixels (default 160)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', default='degradations.png', metavar='FILE', help='PNG (default degradations.png); the '
                        'strips go to TensorBoard logs in a folder of the same name without suffix')
    parser.add_argument('--colours', type=int, metavar='N', help='write a palette of N colours: small files for docs')


def run(args):
    """Draw the sheet; returns 0."""
    from restorekit.config import ConfigError
    for name, least in (('columns', 1), ('height', 32), ('draws', 1)):
        if getattr(args, name) < least:
            raise ConfigError(f'--{name} must be at least {least}, got {getattr(args, name)}')
    if args.draws < args.columns:
        raise ConfigError(f'--draws {args.draws} are too few for --columns {args.columns}')
    if args.depth and not args.image:
        raise ConfigError('--depth belongs to a photo: give --image too')
    if args.colours is not None and not 2 <= args.colours <= 256:
        raise ConfigError(f'--colours must be within [2, 256], got {args.colours}')
    prepare_process('none')
    import numpy as np
    from torch.utils.tensorboard import SummaryWriter

    from restorekit.visualization import contact_sheet, strip
    out = Path(args.out)
    clear, depth = load_scene(args)
    rows = {label: strengths(operator, clear, depth, args) for label, operator in collect(args.configs).items()}
    titles = ['clear', *(f'{percent(args, k)} %' for k in range(args.columns))]
    lines = []
    for label, row in rows.items():
        lines.append(contact_sheet([row], None if lines else titles, [label], row[0].shape[0]))
    sheet = np.vstack(lines)
    out.parent.mkdir(parents=True, exist_ok=True)
    save(out, sheet, args.colours)
    with SummaryWriter(str(out.with_suffix(''))) as writer:
        for label, row in rows.items():
            writer.add_image(f'degradations/{label}', strip(row), dataformats='HWC')
    print(f'{len(rows)} rows: {out}, TensorBoard logs in {out.with_suffix("")}')
    return 0


def load_scene(args):
    """Return the clear image (1,3,H,W) and its depth (1,1,H,W) or None."""
    import torch

    from restorekit.config import ConfigError
    from restorekit.degradations import read_depth
    from restorekit.files.image_io import read_image
    if args.image:
        image = read_image(args.image)
        depth = read_depth(args.depth, **args.depth_options) if args.depth else None
        if depth is not None and depth.shape != image.shape[:2]:
            raise ConfigError(f'--depth is {depth.shape}, --image {image.shape[:2]} (height, width)')
    else:
        from restorekit.scenes.renderer import STYLES, render_scene
        if args.style not in STYLES:
            raise ConfigError(f'--style must be one of {", ".join(STYLES)}, got {args.style!r}')
        image, depth = render_scene(args.seed, args.height * 2, args.height * 8 // 3, args.style)
    clear = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    return clear, None if depth is None else torch.from_numpy(depth)[None, None]


def collect(configs):
    """Return the degradations to show by row label."""
    from restorekit.degradations import Degradation, build_degradation, load_preset
    from restorekit.registry import DEGRADATIONS
    if configs == ['operators']:
        names = sorted(name for name in DEGRADATIONS.names() if issubclass(DEGRADATIONS.get(name), Degradation))
        return {name: build_degradation(dict(type=name)) for name in names
                if not {'children', 'child'} & set(DEGRADATIONS.get(name).__init__.__code__.co_varnames)}
    rows = {}
    for config in configs:
        label = Path(config).stem
        rows[label if label not in rows else str(config)] = build_degradation(load_preset(config))
    if len(rows) == 1:
        for leaf in leaves(load_preset(configs[0])):
            label, number = leaf['type'], 2
            while label in rows:
                label, number = f'{leaf["type"]} {number}', number + 1
            rows[label] = build_degradation(leaf)
    return rows


def leaves(config):
    """Return the configs of the operators in a composition, in order; none for an operator on its own."""
    children = config.get('children', [config['child']] if 'child' in config else [])
    return [leaf for child in children
            for leaf in (leaves(child) if 'children' in child or 'child' in child else [child])]


def percent(args, column):
    """Percentile of strength that a column shows: the middles of equal parts."""
    return round(100 * (column + 0.5) / args.columns)


def strengths(operator, clear, depth, args):
    """Return the clear image and, from weak to strong, degraded ones with their parameters under them.

    Strength is the root mean square difference from the clear image; the columns are percentiles of it over the draws.
    """
    import numpy as np
    import torch

    from restorekit.degradations import params_to_json
    from restorekit.random import derive_seed
    drawn = []
    for number in range(args.draws):
        seed = derive_seed(args.seed, number)
        image, params = operator(clear, depth, [seed])
        drawn.append((float(torch.sqrt((image - clear).square().mean())), number, image, params))
    drawn.sort(key=lambda item: item[:2])
    cells = [caption(clear, '', args.height)]
    for column in range(args.columns):
        _, _, image, params = drawn[int((column + 0.5) / args.columns * args.draws)]
        cells.append(caption(image, describe(params_to_json(params)[0] if params else {}), args.height))
    height = max(cell.shape[0] for cell in cells)
    return [np.pad(cell, ((0, height - cell.shape[0]), (0, 0), (0, 0)), constant_values=255) for cell in cells]


def describe(params):
    """Write drawn parameters as words: seeds and long lists are left out, of a composition what was applied."""
    words = []
    for name, value in params.items():
        if isinstance(value, dict):
            kind = name.split('_', 1)[1]
            inner = describe(value)
            words.append(inner if kind in ('Sequential', 'OneOf', 'Maybe', 'Shuffle') else f'{kind}: {inner}')
        elif name.endswith('seed') or name in ('choice', 'applied', 'order') or (
                isinstance(value, list) and len(value) > 3):
            continue
        else:
            numbers = value if isinstance(value, list) else [value]
            words.append(f'{name} ' + ' '.join(f'{float(number):.3g}' for number in numbers))
    return ' '.join(word for word in words if word)


def caption(image, text, height):
    """Scale an image to ``height`` and write ``text`` on white under it, wrapped to its width."""
    import textwrap

    import cv2
    import numpy as np

    from restorekit.functional.images import to_array
    from restorekit.visualization import strip
    picture = strip([to_array(image[0])], height)
    lines = textwrap.wrap(text, max(8, picture.shape[1] // 6))
    below = np.full((13 * len(lines) + 5, picture.shape[1], 3), 255, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(below, line, (1, 13 * number + 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([picture, below])


def save(path, image, colours=None):
    """Write the sheet, with a palette if ``colours`` is given."""
    if colours is None:
        from restorekit.files.image_io import write_image
        write_image(path, image)
    else:
        from PIL import Image
        Image.fromarray(image).quantize(colours).save(path, format='PNG', optimize=True)
