"""Measure a checkpoint on a config's test set."""

import json
import os
import tempfile
import uuid
from pathlib import Path

from .common import add_config_options, prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='config file, or its name below configs/')
    parser.add_argument('checkpoint', help='checkpoint (.pth or .safetensors)')
    parser.add_argument('--out', metavar='DIR', help='folder for metrics.json (and images)')
    parser.add_argument('--save-images', action='store_true', help='save the restored images below --out')
    add_config_options(parser)


def run(args):
    """Test; returns the exit status."""
    from restorekit.config import ConfigError, load_config
    if args.save_images and not args.out:
        raise ConfigError('--save-images needs --out DIR to save them to')
    if not Path(args.checkpoint).is_file():
        raise FileNotFoundError(f'no checkpoint {args.checkpoint}')
    cfg = load_config(args.config, options=args.cfg_options, data_root=args.data_root)
    cfg.launcher = args.launcher
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    prepare_process(args.launcher)

    from mmengine.dist import is_main_process

    from restorekit.compat import patch_runner
    from restorekit.engine import RestoreRunner
    patch_runner()
    with tempfile.TemporaryDirectory() as scratch:
        runner = RestoreRunner.from_cfg(test_config(cfg, args, scratch))
        metrics = {key: float(value) for key, value in runner.test().items()}
        runner.visualizer.close()
    if is_main_process():
        for key, value in metrics.items():
            print(f'{key:40s} {value:.4f}')
        if args.out:
            from restorekit.checkpoint import atomic_write_text
            target = Path(args.out, 'metrics.json')
            target.parent.mkdir(parents=True, exist_ok=True)
            record = dict(config=str(args.config), checkpoint=str(args.checkpoint), metrics=metrics)
            atomic_write_text(json.dumps(record, indent=2) + '\n', str(target))
            print(f'Written to {args.out}')
    return 0


def test_config(cfg, args, work_dir):
    """Return the config of a pure test run: the test set (or else the validation set), no training."""
    from mmengine.config import Config

    from restorekit.config import ConfigError
    from restorekit.engine import check_config, check_paths, join_data_root
    kept = {key: value for key, value in cfg.to_dict().items()
            if key not in ('phases', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
                           'val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks')}
    kept['test_cfg'] = kept.get('test_cfg') or dict(type='TestLoop')
    for key in ('dataloader', 'evaluator'):
        if kept.get(f'test_{key}') is None:
            kept[f'test_{key}'] = cfg.get(f'val_{key}')
    if kept['test_dataloader'] is None:
        raise ConfigError(f'{args.config} has neither test_dataloader nor val_dataloader, so there is nothing to test')
    kept.update(work_dir=work_dir, load_from=args.checkpoint, resume=False, default_hooks=dict(
        checkpoint=dict(type='SafeCheckpointHook'), logger=dict(type='LoggerHook')))
    kept['custom_hooks'] = [dict(type='SaveImagesHook', out_dir=str(Path(args.out, 'images')))] \
        if args.save_images else []
    kept['visualizer'] = dict(type='Visualizer')
    kept['experiment_name'] = f'test_{uuid.uuid4().hex[:6]}'  # MMEngine keeps singletons under this name
    kept = Config(kept, filename=cfg.filename, format_python_code=False)  # its layout by yapf takes long
    check_config(kept, str(args.config))
    join_data_root(kept)
    check_paths(kept, str(args.config))
    return kept
