"""Make a paired dataset: degrade clear images and record what was drawn."""

from .common import say
from .option_action import OptionAction
from .progress import print_failures, progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='DEGRADATION', help='name of a preset (day, night, dust, cid_multi_domain '
                        '...), or a config file with a top-level "degradation"')
    parser.add_argument('--clear', required=True, metavar='DIR', help='folder of clear images')
    parser.add_argument('--out', required=True, metavar='DIR', help='output folder. It receives hazy/NAME_k.png, '
                        'clear/NAME.png, manifest.jsonl (seed and parameters of every image) and settings.json. Run '
                        'the same command again to continue after a stop')
    parser.add_argument('--per-image', type=int, default=1, metavar='N',
                        help='number of hazy images made from each clear image (default: 1)')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--depth', metavar='DIR', help='folder of depth maps named like the clear images. Without '
                        'maps or a network, a plausible depth is invented')
    source.add_argument('--estimator', nargs='+', action=OptionAction, metavar='KEY=VALUE', help='compute the depth '
                        'with a network, for example network=depth.onnx size=256')
    parser.add_argument('--depth-options', nargs='+', action=OptionAction, default={}, metavar='KEY=VALUE',
                        help='how the depth maps are stored, for example kind=disparity scale=2')
    parser.add_argument('--seed', type=int, default=0, help='random seed (default: 0)')
    parser.add_argument('--workers', type=int, metavar='N', help='number of processes (default: one per core)')


def run(args):
    """Write what is missing; returns 0, or 1 if an image failed (the others are written all the same)."""
    from restorekit.tasks.synthesize import synthesize
    with progress_bar('clear images') as progress:
        report = synthesize(args.config, args.clear, args.out, per_image=args.per_image, depth=args.depth,
                            depth_options=args.depth_options, estimator=args.estimator, seed=args.seed,
                            workers=args.workers, progress=progress)
    say(f'{report.images} clear images, {args.per_image} hazy images of each; {report.skipped} were done before')
    say(f'{report.written} hazy images in {report.out}, parameters in {report.manifest}')
    return print_failures(report.failures)
