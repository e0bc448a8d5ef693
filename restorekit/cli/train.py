"""Train a model: run a config through its phases."""

import os
import shlex

from .common import add_config_options, say, set_local_rank


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='CONFIG', help='config file, or the name of one that comes with restorekit, '
                        'such as cid/cid_quickstart')
    parser.add_argument('--work-dir', metavar='DIR', help='folder for logs and checkpoints (default: work_dirs/NAME, '
                        'where NAME is the name of the config; if it exists, work_dirs/NAME-2, and so on)')
    parser.add_argument('--resume', action='store_true', help='continue an interrupted run: finished phases are '
                        'skipped, the interrupted one continues from its last checkpoint')
    parser.add_argument('--allow-config-change', action='store_true', help='resume even if the config has changed '
                        'since the run was started')
    parser.add_argument('--load-from', metavar='FILE', help='start from the weights in this checkpoint (fine-tuning)')
    parser.add_argument('--phase', metavar='NAME', help='run only this phase of the config')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision, which is faster on most GPUs '
                        '(float16 on a GPU, bfloat16 on a CPU)')
    parser.add_argument('--seed', type=int, metavar='N', help="random seed (default: the config's)")
    add_config_options(parser)


def run(args):
    """Train, then print the results and where they are."""
    from restorekit.tasks.train import train
    set_local_rank(args)
    report = train(args.config, work_dir=args.work_dir, resume=args.resume, load_from=args.load_from,
                   allow_config_change=args.allow_config_change, phase=args.phase, amp=args.amp, seed=args.seed,
                   data_root=args.data_root, options=args.cfg_options, launcher=args.launcher,
                   announce=lambda text: say(f'\n=== {text} ===', flush=True))
    from mmengine.dist import is_main_process
    if is_main_process():
        say(summary(report, args.data_root))


def summary(report, data_root=None):
    """Return the table of results, where everything is, and what to do next."""
    lines = [''] + [report.table] * bool(report.table)
    for name, record in report.phases.items():
        if record.get('align_grad_share') is not None:
            lines += [f'\nAlignment in phase {name}: mean term {record["align_loss"]:.4g}, '
                      f'{100 * record["align_grad_share"]:.1f} % of the gradient of the layers it reaches']
    config = os.path.relpath(report.config)
    config = report.config if config.startswith('..') else config
    lines += ['']
    for title, path in (('Checkpoint:', report.checkpoint), ('Best:', report.best_checkpoint),
                        ('Pictures:', report.picture)):
        lines += [f'{title:<12} {os.path.relpath(path)}'] if path else []
    lines += [f'Logs:        tensorboard --logdir {os.path.relpath(report.work_dir)}']
    if report.checkpoint or report.best_checkpoint:
        checkpoint = os.path.relpath(report.best_checkpoint or report.checkpoint)
        own = f' --config {config}' if report.needs_config else ''
        lines += [f'Try next:    restorekit restore PHOTO.jpg -o restored --checkpoint {checkpoint}{own}',
                  f'             restorekit test {config} {checkpoint} --out results --save-images'
                  + (f' --data-root {shlex.quote(str(data_root))}' if data_root else '')]
    else:
        lines += ['No checkpoint was kept: default_hooks.checkpoint saves none (save_last=False, or None)']
    return '\n'.join(lines)
