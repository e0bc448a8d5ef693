"""Measure a checkpoint, or restored images, on test sets and write a report."""

from pathlib import Path

from .common import add_config_options, say, set_local_rank


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='CONFIG', help='config file, or the name of one that comes with restorekit, '
                        'such as cid/cid_quickstart')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', nargs='?', help='checkpoint to measure: .pth or '
                        '.safetensors')
    parser.add_argument('--out', metavar='DIR', help='write the report to this folder: report.html, summary.md, '
                        'summary.json and per_image.csv. Run the same command again to continue an interrupted test')
    parser.add_argument('--overwrite', action='store_true', help='replace the report in --out instead of continuing it')
    parser.add_argument('--data', nargs='+', metavar='NAME', help="measure on these test sets instead of the config's: "
                        'names of files in configs/_base_/datasets/, or config files with a test_dataloader')
    parser.add_argument('--protocol', '--protocols', nargs='+', metavar='NAME', default=[],
                        help="measure PSNR and SSIM by these protocols instead of the config's metrics")
    parser.add_argument('--metrics', nargs='+', metavar='NAME', default=[], help='measure these metrics too, for '
                        'example LPIPS NIQE')
    parser.add_argument('--predictions', metavar='DIR', help='measure the images in this folder instead of a '
                        'checkpoint; they must be named like the inputs. "--predictions input" measures the degraded '
                        'inputs themselves')
    parser.add_argument('--save-images', action='store_true', help='save the restored images in --out')
    add_config_options(parser)


def run(args):
    """Test, then print the table and where the report is."""
    from restorekit.tasks.test import test
    set_local_rank(args)
    report = test(args.config, args.checkpoint, predictions=args.predictions, data=args.data, protocols=args.protocol,
                  metrics=args.metrics, out=args.out, overwrite=args.overwrite, save_images=args.save_images,
                  data_root=args.data_root, options=args.cfg_options, launcher=args.launcher)
    from mmengine.dist import is_main_process
    if not is_main_process():
        return
    say(report, *(f'\nwarning: {text}' for text in report.warnings), sep='\n')
    if report.out:
        images = ', images' if any((report.out / name).is_file() for name in report.summary.get('saved', ())) else ''
        say(f'Report: {Path(report.out, "report.html")} (and summary.md, summary.json, per_image.csv{images})')
