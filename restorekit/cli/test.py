"""Measure a checkpoint, or stored images, on test sets and write a report."""

import os
import tempfile
import uuid
from pathlib import Path

from .common import add_config_options, import_from_here, prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='config file, or its name below configs/')
    parser.add_argument('checkpoint', nargs='?', help='checkpoint (.pth or .safetensors)')
    parser.add_argument('--out', metavar='DIR', help='folder for the report: report.html, summary.md, summary.json, '
                        'per_image.csv. An interrupted run continues when started again')
    parser.add_argument('--overwrite', action='store_true', help='start the report in --out anew')
    parser.add_argument('--data', nargs='+', metavar='NAME', help="test sets instead of the config's: names below "
                        'configs/_base_/datasets/, or config files with a test_dataloader')
    parser.add_argument('--protocol', '--protocols', nargs='+', metavar='NAME',
                        help="PSNR and SSIM by these protocols instead of the config's metrics")
    parser.add_argument('--metrics', nargs='+', metavar='NAME', default=[], help='further metrics, e.g. LPIPS NIQE')
    parser.add_argument('--predictions', metavar='DIR', help='measure these images, named like the inputs, instead of '
                        'a checkpoint; the word "input" measures the degraded images themselves')
    parser.add_argument('--save-images', action='store_true', help='save the restored images below --out')
    add_config_options(parser)


def run(args):
    """Test; returns the exit status."""
    from restorekit.config import ConfigError, load_config
    if args.save_images and not args.out:
        raise ConfigError('--save-images needs --out DIR to save them to')
    if (args.checkpoint is None) == (args.predictions is None):
        given = 'both a CHECKPOINT and --predictions were given' if args.checkpoint else \
            'neither a CHECKPOINT (before the options) nor --predictions DIR was given'
        raise ConfigError(f'{given}; a test measures one of them')
    if args.checkpoint is not None and not Path(args.checkpoint).is_file():
        raise FileNotFoundError(f'no checkpoint {args.checkpoint}')
    if args.overwrite and args.predictions and args.out and \
            Path(args.predictions).resolve().is_relative_to(Path(args.out).resolve()):
        raise ConfigError(f'--overwrite removes the images that the old report in {args.out} saved, and --predictions '
                          f'{args.predictions} lies in it; choose another --out')
    cfg = load_config(args.config, options=args.cfg_options, data_root=args.data_root)
    cfg.launcher = args.launcher
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    from mmengine.dist import is_main_process

    from restorekit.distributed import run_on_main
    from restorekit.engine import RestoreRunner
    from restorekit.evaluation.journal import close_report, open_report
    from restorekit.evaluation.provenance import set_hashes
    from restorekit.evaluation.report import describe_metric, summarise, write_report
    from restorekit.evaluation.report_tables import not_finite_sentences, table
    from restorekit.text_table import text_table
    cfg = test_config(cfg, args)
    prepare_process(args.launcher, workers=cfg.test_dataloader.get('num_workers', 0))
    digest = config_digest(cfg)
    with tempfile.TemporaryDirectory() as scratch:
        cfg.work_dir = scratch
        runner = RestoreRunner.from_cfg(cfg)
        loop = runner.test_loop
        hashes = set_hashes(loop.dataset)
        metrics = [describe_metric(metric) for metric in loop.metrics]
        provenance = run_on_main(describe_run, args, digest)
        identity = describe_identity(args, provenance, metrics, hashes)
        saves = [path.relative_to(args.out).as_posix() for path in loop.targets()] if args.save_images else []
        summary = None
        try:
            if args.out:
                summary, rows = run_on_main(open_report, args.out, identity, args.overwrite, saves)
                if summary is None:
                    loop.resume(args.out, rows)
                    provenance['resumed_images'] = len(rows)
                    if rows:
                        runner.logger.info(f'{len(rows)} of {len(loop.dataset)} images were measured before; '
                                           'continuing')
                elif is_main_process():
                    print(finished(args.out, summary))
            if summary is None:
                runner.test()
                summary = summarise(loop.rows, metrics, hashes, provenance, identity)
                if args.out and is_main_process():
                    summary['saved'] = [name for name in saves if Path(args.out, name).is_file()]
                    write_report(args.out, summary, loop.rows, loop.strips)
        finally:
            if args.out and is_main_process():
                close_report(args.out)
        runner.visualizer.close()
    if is_main_process():
        print(text_table(table(summary), left=(0, 1)))
        print(''.join(f'\nwarning: {text}\n' for text in not_finite_sentences(summary)), end='')
        if args.out:
            images = ', images' if any(Path(args.out, name).is_file() for name in summary.get('saved', ())) else ''
            print(f'Report: {Path(args.out, "report.html")} (and summary.md, summary.json, per_image.csv{images})')
    return 0


def finished(out, summary):
    """Say that a report is finished, and what it lacks."""
    saved = summary.get('saved', [])
    broken = sum(len(entry['broken']) for entry in summary['sets'].values())
    gone = sum(not Path(out, name).is_file() for name in saved)
    lacks = [f'{broken} file{"s" * (broken > 1)} could not be read then'] * bool(broken) + \
        [f'{gone} of its {len(saved)} saved images are gone'] * bool(gone)
    return '; '.join([f'{out} holds this report already, finished', *lacks, '--overwrite measures again'])


def test_config(cfg, args):
    """Return the config of a pure test run: the test set (or else the validation set), no training."""
    from restorekit.config import ConfigError, RestoreConfig
    from restorekit.engine import check_config
    kept = {key: value for key, value in cfg.to_dict().items()
            if key not in ('phases', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
                           'val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks')}
    kept['test_cfg'] = {**(kept.get('test_cfg') or {}), 'type': 'EvaluationLoop'}
    if args.save_images:
        kept['test_cfg']['images_dir'] = str(Path(args.out, 'images'))
    for key in ('dataloader', 'evaluator'):
        if kept.get(f'test_{key}') is None:
            kept[f'test_{key}'] = cfg.get(f'val_{key}')
    if args.data:
        kept['test_dataloader'] = join_sets(args.data, kept['test_dataloader'])
    elif kept['test_dataloader'] is not None:
        name_set(kept['test_dataloader']['dataset'], Path(args.config).stem)
    if kept['test_dataloader'] is None:
        raise ConfigError(f'{args.config} has neither test_dataloader nor val_dataloader, so there is nothing to test; '
                          'name test sets with --data')
    kept['test_evaluator'] = evaluators(kept['test_evaluator'], args)
    if args.predictions is not None:
        kept['model'] = dict(type='StoredPredictions',
                             folder=None if args.predictions == 'input' else args.predictions)
    elif kept.get('model') is None:
        raise ConfigError(f'{args.config} has no model that {args.checkpoint} could be loaded into: it is a data set '
                          "alone. Name the model's config and give the set by --data: tools/test.py CONFIG "
                          f'{args.checkpoint} --data {args.config}')
    kept.update(load_from=args.checkpoint, resume=False, custom_hooks=[], default_hooks=dict(
        checkpoint=dict(type='SafeCheckpointHook'), logger=dict(type='LoggerHook')))
    kept['visualizer'] = dict(type='Visualizer')
    kept['experiment_name'] = f'test_{uuid.uuid4().hex[:6]}'  # MMEngine keeps singletons under this name
    kept = RestoreConfig(kept, filename=cfg.filename)
    check_config(kept, str(args.config))
    return kept


def config_digest(cfg):
    """Return the hash of the config as it is before the data root is joined, then join it."""
    from restorekit.engine import check_paths, join_data_root
    from restorekit.evaluation.provenance import config_hash
    digest = config_hash({**cfg.to_dict(), 'test_cfg': dict(cfg.test_cfg, images_dir=None),
                          'test_dataloader': cfg.test_dataloader.dataset})  # how it is read changes no number
    join_data_root(cfg)
    check_paths(cfg, str(cfg.filename))
    return digest


def join_sets(names, loader):
    """Return one test_dataloader of the sets of several dataset bases; each without a domain gets its base's name.

    ``loader`` is the config's own test_dataloader, if any; all but its dataset is kept.
    """
    from restorekit.config import ConfigError, load_config
    datasets, domains = {}, set()
    for name in names:
        import_from_here(dataset_base(name))
        cfg, label = load_config(dataset_base(name)), Path(name).stem
        found = cfg.to_dict().get('test_dataloader') or cfg.to_dict().get('val_dataloader')
        if found is None:
            raise ConfigError(f'{cfg.filename} has no test_dataloader, so --data {name} names no test set')
        if label in datasets:
            raise ConfigError(f'--data names {label!r} twice')
        dataset, loader = found['dataset'], loader or found
        name_set(dataset, label, domains)
        domains.add(dataset.get('domain'))
        datasets[label] = dataset
    return dict(loader, dataset=dict(type='ConcatDataset', datasets=datasets))


def name_set(dataset, label, taken=()):
    """Give the config of a dataset, or of each part, the domain ``label`` if it has none, or one that is taken."""
    kind = str(dataset.get('type')).rpartition('.')[2]
    if kind == 'ConcatDataset':
        parts = dataset['datasets']
        for part in parts.values() if isinstance(parts, dict) else parts:
            name_set(part, label)
    elif kind != 'DomainPairDataset':
        default = 'source' if kind == 'UnpairedDataset' else None
        if dataset.get('domain', default) in (None, *taken):
            dataset['domain'] = label


def dataset_base(name):
    """Return the file of a dataset base: a path, or a name below configs/_base_/datasets/.

    Raises:
        FileNotFoundError: If there is none; the message gives the nearest names.
    """
    from restorekit.config import configs_root
    from restorekit.messages import nearest
    if Path(name).is_file():
        return Path(name)
    folder = configs_root() / '_base_' / 'datasets'
    known = {file.stem: file for file in sorted(folder.glob('*.py'))}
    if name.removesuffix('.py') not in known:
        near = nearest(name, known)
        hint = f'did you mean {" or ".join(map(repr, near))}?' if near else f'there are {", ".join(known)}'
        raise FileNotFoundError(f'--data: there is no file {name!r}, and no data set of that name in {folder}; {hint}')
    return known[name.removesuffix('.py')]


def evaluators(configured, args):
    """Return the metrics: the config's, or PSNR and SSIM by each protocol asked for; and the further ones named.

    A further metric that looks at colours is left out under protocols that keep none.
    """
    import inspect

    from restorekit.config import ConfigError
    from restorekit.evaluation import get_protocol
    from restorekit.evaluation.metrics.fidelity import ColourMetric
    from restorekit.registry import METRICS
    chosen = [configured] if isinstance(configured, dict) else configured
    if args.protocol or chosen is None:
        chosen = [dict(type=name, protocol=protocol) for protocol in args.protocol or ['rgb']
                  for name in ('PSNR', 'SSIM')]
    chosen = list(chosen)
    for name in args.metrics:
        if 'protocol' in inspect.signature(METRICS.get(name)).parameters:
            found = [protocol for protocol in args.protocol or ['rgb']
                     if not issubclass(METRICS.get(name), ColourMetric) or get_protocol(protocol).colour == 'rgb']
            if not found:
                raise ConfigError(f'{name} looks at colours; no protocol of {", ".join(args.protocol)} keeps them')
            chosen += [dict(type=name, protocol=protocol) for protocol in found]
        else:
            chosen.append(dict(type=name))
    if not chosen:
        raise ConfigError(f'{args.config} names no metric; name some with --metrics (NIQE and its like need no '
                          'truth) or --protocol')
    return chosen


def describe_run(args, digest):
    """Return the provenance of this run."""
    from restorekit.evaluation.provenance import environment, file_hash, folder_hash
    if args.predictions is None:
        model, sha256 = f'checkpoint {args.checkpoint}', file_hash(args.checkpoint)
    elif args.predictions == 'input':
        model, sha256 = 'the degraded input itself', None
    else:
        model, sha256 = f'images in {args.predictions}', folder_hash(args.predictions)
    return dict(model=model, checkpoint_sha256=sha256, config=str(args.config), config_sha256=digest, **environment())


def describe_identity(args, provenance, metrics, hashes):
    """Return what two runs must have in common for one to continue the other."""
    kind = 'predictions' if args.predictions else 'checkpoint'
    measured = (f'{m["label"]} ({m["fingerprint"]})' if m['fingerprint'] else m['label'] for m in metrics)
    return {kind: provenance['checkpoint_sha256'] or 'input', 'metrics': ', '.join(measured),
            **{f'list of {name}': found for name, found in hashes.items()},
            'config': provenance['config_sha256'], 'images saved': 'yes' if args.save_images else 'no'}
