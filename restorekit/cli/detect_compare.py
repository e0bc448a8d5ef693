"""Measure whether restoration helps a detector find objects in hazy photos."""

from .common import prepare_process, write_json
from .option_action import OptionAction
from .progress import progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('--images', required=True, metavar='DIR', help='folder of hazy photos')
    parser.add_argument('--annotations', required=True, metavar='DIR', help='folder of their boxes: PASCAL VOC XML '
                        'files with the names of the photos')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--model', metavar='NAME', help='restore with this model (default: score the photos as they '
                       'are)')
    which.add_argument('--checkpoint', metavar='FILE', help='restore with this checkpoint instead')
    parser.add_argument('--config', metavar='CONFIG', help='config the network is built from (default: as stored in '
                        'the checkpoint)')
    parser.add_argument('--with', dest='baselines', nargs='+', default=[], metavar='NAME', help='classical methods to '
                        'score too: clahe (histogram equalisation), dcp (dark channel prior)')
    parser.add_argument('--detector', default='fasterrcnn_mobilenet_v3_large_320_fpn', metavar='NAME', help='an ONNX '
                        'file with a CenterNet or YOLO head, or a torchvision model (default: %(default)s)')
    parser.add_argument('--detector-weights', metavar='FILE', help='weights of a torchvision model (default: '
                        'downloaded once)')
    parser.add_argument('--detector-options', nargs='+', action=OptionAction, default={}, metavar='KEY=VALUE',
                        help='options of an ONNX file: head, size, scale, categories, threshold')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: CUDA if there is one)')
    parser.add_argument('--every', type=int, default=1, metavar='N', help='use every N-th photo by name (default: all)')
    parser.add_argument('--bootstrap', type=int, default=200, metavar='N', help='number of bootstrap draws for the '
                        '95%% intervals over photos (default: 200; 0: no intervals)')
    parser.add_argument('--json', metavar='FILE', help='also write the results to this file as JSON')
    parser.add_argument('--out', metavar='DIR', help='write pictures with boxes to this folder')
    parser.add_argument('--pictures', type=int, default=6, metavar='N', help='number of photos to draw (default: 6)')


def run(args):
    """Detect, score and print."""
    prepare_process()
    from restorekit.tasks.detect_compare import detect_compare
    with progress_bar('photos') as progress:
        found = detect_compare(
            args.images, args.annotations, model=args.model, checkpoint=args.checkpoint, config=args.config,
            baselines=args.baselines, detector=args.detector, detector_weights=args.detector_weights,
            detector_options=args.detector_options,
            device=args.device, every=args.every, bootstrap=args.bootstrap, out=args.out, pictures=args.pictures,
            progress=progress)
    print(report(found))
    write_json(args.json, found)
    if args.out:
        print(f'\nPictures: {args.out}')


def report(found):
    """Format the numbers as a Markdown table, in percent, with notes below."""
    from restorekit.text_table import markdown_table
    lines = [['', 'boxes', *(title for name in found['rows'][0]['sides']
                             for title in ([name] if name == 'hazy' else [name, 'gain']))]]
    for row in found['rows']:
        line = [row['measure'], row['boxes']]
        for name, side in row['sides'].items():
            line.append(percent(side['value'], side['interval'] if name == 'hazy' else None))
            if name != 'hazy':
                line.append(percent(side['gain'], side['gain_interval'], '+'))
        lines.append(line)
    notes = [f'{found["images"]} photos, {found["boxes"]} boxes scored, {found["difficult"]} difficult ones ignored; '
             f'average precision in percent, with 95 % intervals over photos; detector {found["detector"]}']
    if found['unmapped']:
        listed = ', '.join(f'{name} ({count})' for name, count in found['unmapped'].items())
        notes.append(f'Not scored, since the detector does not know these classes: {listed}')
    if found['photos_without_annotation'] or found['annotations_without_photo']:
        notes.append(f'Left out: {found["photos_without_annotation"]} photos without annotation, '
                     f'{found["annotations_without_photo"]} annotations without photo')
    return '\n'.join([markdown_table(lines), '', *notes])


def percent(value, interval, sign=''):
    """Return a share as percent, with its interval."""
    if value is None:
        return '-'
    ends = f' ({100 * interval[0]:{sign}.1f} to {100 * interval[1]:{sign}.1f})' if interval else ''
    return f'{100 * value:{sign}.1f}{ends}'
