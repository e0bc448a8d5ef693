"""Measure whether restoration helps a detector find objects in hazy photos."""

from .common import prepare_process, say, write_json
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
                        help='options of an ONNX file. head: centernet or yolo; size: side of its input in pixels, if '
                        'the file leaves it open; scale: value of white in its input, 1 or 255; categories: names of '
                        'its classes, in order; threshold: least score of a box (default: 0.01). For example head=yolo '
                        'size=640 scale=1')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: CUDA if there is one)')
    parser.add_argument('--list', metavar='FILE', help='score only the photos of this list, one name a line (default: '
                        'all)')
    parser.add_argument('--every', type=int, default=1, metavar='N', help='use every N-th photo by name (default: all)')
    parser.add_argument('--bootstrap', type=int, default=200, metavar='N', help='number of bootstrap draws for the '
                        '95%% intervals over photos (default: 200; 0: no intervals)')
    parser.add_argument('--json', metavar='FILE', help='also write the results to this file as JSON')
    parser.add_argument('--out', metavar='DIR', help='write pictures with boxes to this folder')
    parser.add_argument('--pictures', type=int, default=6, metavar='N', help='number of photos to draw (default: 6)')


def run(args):
    """Detect, score and print."""
    prepare_process()
    from restorekit.evaluation.detection import format_detection
    from restorekit.tasks.detect_compare import detect_compare
    with progress_bar('photos') as progress:
        found = detect_compare(
            args.images, args.annotations, model=args.model, checkpoint=args.checkpoint, config=args.config,
            baselines=args.baselines, detector=args.detector, detector_weights=args.detector_weights,
            detector_options=args.detector_options, device=args.device, listed=args.list, every=args.every,
            bootstrap=args.bootstrap, out=args.out, pictures=args.pictures, progress=progress)
    say(format_detection(found))
    write_json(args.json, found)
    if args.out:
        say(f'\nPictures: {args.out}')
