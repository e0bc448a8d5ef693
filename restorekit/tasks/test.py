"""Measure a checkpoint, or stored images, on test sets."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit.messages import MissingFileError

from .process import import_from_here, prepare_process
from .train import PathLike

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(frozen=True)
class EvaluationReport:
    """What a test has measured; its text is a table.

    Attributes:
        metrics (dict[str, float]): Mean by ``{set}/{metric}``, and by ``{set}/input_{metric}`` that of the degraded
            input. One is missing where a number is not finite.
        summary (dict): All of ``summary.json``: per set and metric number of images, mean, standard deviation, 95 %
            interval, worst and best images; definitions; provenance.
        rows (list[dict]): Of each image, in order: ``domain`` (its set), ``image`` (its name), ``broken``, ``values``
            ([value, value of the input] by metric, in the order of ``summary['definitions']``). Empty where ``out``
            held this report already.
        out (Path | None): Folder of the report.
        warnings (list[str]): What deserves attention: numbers that are not finite, a report that was finished before, a
            network set otherwise than that of the checkpoint.
    """

    metrics: dict[str, float]
    summary: dict[str, Any]
    rows: list[dict[str, Any]]
    out: Path | None
    warnings: list[str]

    def __str__(self) -> str:
        from restorekit.evaluation.report_tables import table
        from restorekit.text_table import text_table
        return str(text_table(table(self.summary), left=(0, 1)))


def test(config: PathLike, checkpoint: PathLike | None = None, *, predictions: PathLike | None = None,
         data: Sequence[str | Path] | None = None, protocols: Sequence[str] = (), metrics: Sequence[str] = (),
         out: PathLike | None = None, overwrite: bool = False, save_images: bool = False,
         data_root: PathLike | None = None, options: dict[str, Any] | None = None, launcher: str | None = None,
         progress: Callable[[int, int], object] | None = None) -> EvaluationReport:
    """Measure a checkpoint on test sets; or images that were restored before, or the degraded inputs.

    Each image passes the network alone, so the numbers do not depend on batch size and processes.

    The number of threads of torch and OpenCV is set for this process (see
    :func:`~restorekit.tasks.process.prepare_process`). MMEngine logs to the console;
    ``options={'log_level': 'WARNING'}`` quietens it.

    Args:
        config (str | Path): Config file, or its name, such as ``'cid/cid_quickstart'``.
        checkpoint (str | Path, optional): Checkpoint of the config's network (.pth or .safetensors).
        predictions (str | Path, optional): Instead of a checkpoint: folder of restored images, named like the inputs;
            ``'input'``: the inputs themselves.
        data (list[str | Path], optional): Test sets instead of the config's: names below ``configs/_base_/datasets/``,
            or config files with a ``test_dataloader``.
        protocols (list[str]): Measure PSNR and SSIM by these protocols instead of the config's metrics.
        metrics (list[str]): Further metrics, such as ``'LPIPS'``.
        out (str | Path, optional): Folder for the report: ``report.html``, ``summary.md``, ``summary.json``,
            ``per_image.csv``. An interrupted test continues when it is called again.
        overwrite (bool): Replace the report that ``out`` holds.
        save_images (bool): Save the restored images below ``out``.
        data_root (str | Path, optional): Folder of the datasets, joined before their relative paths.
        options (dict, optional): Changes of the config, with dotted keys.
        launcher (str, optional): How the processes of a distributed run were started: none, pytorch, slurm or mpi;
            default: the config's, or none.
        progress (Callable, optional): Called with (images measured, images) after each batch.

    Returns:
        EvaluationReport: The means, and everything the report holds.

    Raises:
        ConfigError: For a mistake in the config, or arguments that exclude each other.
        MissingFileError: If a config, checkpoint or data folder is missing.
        ReportMismatchError: If ``out`` holds the report of another test.

    Example:
        >>> import restorekit
        >>> report = restorekit.test('cid/cid_quickstart', 'iter_180.pth', protocols=['rgb'])  # doctest: +SKIP
        >>> report.metrics['synthetic/PSNR@rgb']  # doctest: +SKIP
        22.31
    """
    from restorekit.config import load_config
    _check_arguments(checkpoint, predictions, out, overwrite, save_images)
    import_from_here(config)
    cfg = load_config(config, options=options, data_root=data_root)
    launcher = cfg.launcher = launcher or cfg.get('launcher') or 'none'

    from mmengine.dist import is_main_process

    from restorekit.distributed import run_on_main
    from restorekit.engine import ProgressHook, RestoreRunner, prepare
    from restorekit.engine.log_file import LogFile
    from restorekit.evaluation.journal import close_report, open_report
    from restorekit.evaluation.provenance import config_hash, set_hashes
    from restorekit.evaluation.report import describe_metric, summarise, write_report
    from restorekit.evaluation.report_tables import not_finite_sentences
    cfg = _test_config(cfg, str(config), checkpoint, predictions, data)
    cfg.test_evaluator = _evaluators(cfg, str(config), protocols, metrics)
    digest = config_hash({**cfg.to_dict(), 'test_dataloader': cfg.test_dataloader.dataset})  # not how it is read
    if save_images:
        cfg.test_cfg.images_dir = str(Path(out, 'images'))  # type: ignore[arg-type]  # checked above
    prepare(cfg, str(config))
    prepare_process(launcher, workers=cfg.test_dataloader.get('num_workers', 0))
    warnings = []
    with tempfile.TemporaryDirectory() as scratch:
        cfg.work_dir = scratch
        runner = RestoreRunner.from_cfg(cfg)
        loop = runner.test_loop
        hashes = set_hashes(loop.dataset)
        measured = [describe_metric(metric) for metric in loop.metrics]
        provenance = run_on_main(_provenance, config, checkpoint, predictions, digest)
        identity = _identity(predictions, provenance, measured, hashes, save_images)
        saves = [path.relative_to(out).as_posix() for path in loop.targets()] if save_images else []
        summary, rows = None, []
        try:
            if out:
                summary, rows = run_on_main(open_report, out, identity, overwrite, saves)
                if summary is None:
                    loop.resume(out, rows)
                    provenance['resumed_images'] = len(rows)
                    if rows:
                        runner.logger.info(f'{len(rows)} of {len(loop.dataset)} images were measured before; '
                                           'continuing')
                else:
                    warnings.append(_finished(Path(out), summary))
            if summary is None:
                if progress is not None:
                    runner.register_hook(ProgressHook(progress, len(rows)))
                runner.test()
                warnings += [f'{checkpoint} was trained with another network: {text}; the config was used. What '
                             'one phase sets is not in the config without phases: give it by options'
                             for text in runner.network_differences]
                rows = loop.rows
                summary = summarise(rows, measured, hashes, provenance, identity)
                if out and is_main_process():
                    summary['saved'] = [name for name in saves if Path(out, name).is_file()]
                    write_report(out, summary, rows, loop.strips)
        finally:
            if out and is_main_process():
                close_report(out)
        runner.visualizer.close()
        for handler in runner.logger.handlers:
            if isinstance(handler, LogFile):
                handler.close()  # in the scratch folder
    return EvaluationReport(metrics=summary['metrics'], summary=summary, rows=rows,
                            out=None if out is None else Path(out), warnings=warnings + not_finite_sentences(summary))


def _check_arguments(checkpoint: PathLike | None, predictions: PathLike | None, out: PathLike | None, overwrite: bool,
                     save_images: bool) -> None:
    from restorekit.config import ConfigError
    if save_images and not out:
        raise ConfigError('--save-images needs --out DIR to save them to')
    if (checkpoint is None) == (predictions is None):
        given = 'both a CHECKPOINT and --predictions were given' if checkpoint else \
            'neither a CHECKPOINT (before the options) nor --predictions DIR was given'
        raise ConfigError(f'{given}; a test measures one of them')
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise MissingFileError(f'no checkpoint {checkpoint}')
    if overwrite and predictions and out and Path(predictions).resolve().is_relative_to(Path(out).resolve()):
        raise ConfigError(f'--overwrite removes the images that the old report in {out} saved, and --predictions '
                          f'{predictions} lies in it; choose another --out')


def _test_config(cfg: Config, where: str, checkpoint: PathLike | None, predictions: PathLike | None,
                 data: Sequence[str | Path] | None) -> Config:
    """Return the config of a test alone: the test set, or else the validation set; nothing of training."""
    from restorekit.config import ConfigError, RestoreConfig
    from restorekit.evaluation.selection import dataset_base, join_sets, name_set
    kept = {key: value for key, value in cfg.to_dict().items()
            if key not in ('phases', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
                           'val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks')}
    kept['test_cfg'] = {**(kept.get('test_cfg') or {}), 'type': 'EvaluationLoop', 'images_dir': None}
    for key in ('dataloader', 'evaluator'):
        if kept.get(f'test_{key}') is None:
            kept[f'test_{key}'] = cfg.get(f'val_{key}')
    if data:
        for name in data:
            import_from_here(dataset_base(name))
        kept['test_dataloader'] = join_sets(data, kept['test_dataloader'])
    elif kept['test_dataloader'] is not None:
        name_set(kept['test_dataloader']['dataset'], Path(where).stem)
    else:
        raise ConfigError(f'{where} has neither test_dataloader nor val_dataloader, so there is nothing to test; '
                          'name test sets with --data')
    if predictions is not None:
        kept['model'] = dict(type='StoredPredictions', folder=None if predictions == 'input' else str(predictions))
    elif kept.get('model') is None:
        raise ConfigError(f'{where} has no model that {checkpoint} could be loaded into: it is a dataset alone. Name '
                          f"the model's config and give the set by --data: restorekit test CONFIG {checkpoint} "
                          f'--data {where}')
    kept.update(load_from=None if checkpoint is None else str(checkpoint), resume=False, custom_hooks=[],
                default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook'), logger=dict(type='LoggerHook')),
                visualizer=dict(type='Visualizer'),
                experiment_name=f'test_{uuid.uuid4().hex[:6]}')  # MMEngine keeps singletons under this name
    return RestoreConfig(kept, filename=cfg.filename)


def _evaluators(cfg: Config, where: str, protocols: Sequence[str], metrics: Sequence[str]) -> list[dict[str, Any]]:
    from restorekit.config import ConfigError
    from restorekit.evaluation.selection import metric_configs
    found = metric_configs(cfg.to_dict()['test_evaluator'], protocols, metrics)
    if not found:
        raise ConfigError(f'{where} names no metric; name some with --metrics (NIQE and its like need no '
                          'truth) or --protocol')
    return found


def _provenance(config: PathLike, checkpoint: PathLike | None, predictions: PathLike | None,
                digest: str) -> dict[str, Any]:
    from restorekit.evaluation.provenance import environment, file_hash, folder_hash
    if predictions is None:
        assert checkpoint is not None
        model, sha256 = f'checkpoint {checkpoint}', file_hash(checkpoint)
    elif predictions == 'input':
        model, sha256 = 'the degraded input itself', None
    else:
        model, sha256 = f'images in {predictions}', folder_hash(predictions)
    return dict(model=model, checkpoint_sha256=sha256, config=str(config), config_sha256=digest, **environment())


def _identity(predictions: PathLike | None, provenance: dict[str, Any], metrics: list[dict[str, Any]],
              hashes: dict[str, str], save_images: bool) -> dict[str, str]:
    """Return what two tests must have in common for one to continue the other."""
    kind = 'predictions' if predictions else 'checkpoint'
    measured = (f'{m["label"]} ({m["fingerprint"]})' if m['fingerprint'] else m['label'] for m in metrics)
    return {kind: provenance['checkpoint_sha256'] or 'input', 'metrics': ', '.join(measured),
            **{f'list of {name}': found for name, found in hashes.items()},
            'config': provenance['config_sha256'], 'images saved': 'yes' if save_images else 'no'}


def _finished(out: Path, summary: dict[str, Any]) -> str:
    """Return a sentence that says that a report was finished before, and what it lacks."""
    saved = summary.get('saved', [])
    broken = sum(len(entry['broken']) for entry in summary['sets'].values())
    gone = sum(not Path(out, name).is_file() for name in saved)
    lacks = [f'{broken} file{"s" * (broken > 1)} could not be read then'] * bool(broken) + \
        [f'{gone} of its {len(saved)} saved images are gone'] * bool(gone)
    return '; '.join([f'{out} holds this report already, finished', *lacks, '--overwrite measures again'])
