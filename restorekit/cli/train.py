"""Train a config through its phases."""

import os
import shlex
from pathlib import Path

from .common import add_config_options, latest, next_free, prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='config file, or its name below configs/')
    parser.add_argument('--work-dir', metavar='DIR', help='where logs and checkpoints go; default: the next free '
                        'work_dirs/CONFIG, work_dirs/CONFIG-2, ...')
    parser.add_argument('--resume', action='store_true', help='continue the last run where it stopped')
    parser.add_argument('--allow-config-change', action='store_true', help='with --resume: continue although the '
                        'config is not the one the run was started with')
    parser.add_argument('--load-from', metavar='FILE', help="checkpoint the first phase's network starts from "
                        '(fine-tuning)')
    parser.add_argument('--phase', metavar='NAME', help='run this phase alone')
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16 on the CPU)')
    parser.add_argument('--seed', type=int, help='seed of the run')
    add_config_options(parser)


def run(args):
    """Train; returns the exit status."""
    from restorekit.config import load_config
    cfg = load_config(args.config, options=args.cfg_options, data_root=args.data_root)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness', {}), seed=args.seed)
    if args.load_from:
        cfg.load_from = args.load_from
    cfg.launcher = args.launcher
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    prepare_process(args.launcher, workers=(cfg.get('train_dataloader') or {}).get('num_workers', 0))

    from restorekit.distributed import broadcast_object, init_distributed
    from restorekit.engine import MultiPhaseRunner
    init_distributed(args.launcher)
    cfg.work_dir = broadcast_object(str(_work_dir(args, cfg)))
    runner = MultiPhaseRunner(cfg, resume=args.resume, phase=args.phase,
                              allow_config_change=args.allow_config_change)
    runner.train()
    report(runner, args.data_root)
    return 0


def report(runner, data_root=None):
    """Print the table of results and where everything is."""
    from mmengine.dist import is_main_process

    from restorekit.engine import before_after, results_table
    if not is_main_process():
        return
    table = results_table(runner.state)
    picture = before_after(runner.work_dir, runner.state, runner.single)
    checkpoint = [runner.checkpoint(name) for name in runner.state['phases'] if runner.checkpoint(name)][-1]
    print()
    if table:
        print(table)
        (runner.work_dir / 'results.md').write_text(table + '\n')
    for name, record in runner.state['phases'].items():
        if record.get('align_grad_share') is not None:
            print(f'\nAlignment in phase {name}: mean term {record["align_loss"]:.4g}, '
                  f'{100 * record["align_grad_share"]:.1f} % of the gradient of the layers it reaches')
    relative = os.path.relpath(checkpoint)
    print(f'\nCheckpoint:  {relative}')
    if picture:
        print(f'Pictures:    {os.path.relpath(picture)}')
    print(f'Logs:        tensorboard --logdir {os.path.relpath(runner.work_dir)}\n'
          f'Try next:    restorekit restore PHOTO.jpg -o restored --checkpoint {relative}\n'
          f'             restorekit test {_shown_config(runner.where)} {relative} --out results --save-images'
          f'{f" --data-root {shlex.quote(str(data_root))}" if data_root else ""}')


def _shown_config(where):
    path = os.path.relpath(where)
    return where if path.startswith('..') else path


def _work_dir(args, cfg):
    if args.work_dir:
        return args.work_dir
    if cfg.get('work_dir'):
        return cfg.work_dir
    default = Path('work_dirs', Path(cfg.filename).stem)
    return latest(default) if args.resume or args.phase else next_free(default)
