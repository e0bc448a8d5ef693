"""Train a config through its phases."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit.messages import refuse_unused

from .process import import_from_here, latest, next_free, prepare_process

if TYPE_CHECKING:
    from mmengine.config import Config

    from restorekit.engine import MultiPhaseRunner

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class TrainReport:
    """What a training run has come to.

    Attributes:
        work_dir (Path): Folder of logs and checkpoints.
        config (str): The config's file.
        phases (dict[str, dict]): By phase, in order: ``checkpoint`` and ``best_checkpoint`` (relative to ``work_dir``),
            ``metrics`` of the last validation, ``iterations``, ``seconds``.
        checkpoint (Path | None): Last checkpoint of the last phase that has one.
        best_checkpoint (Path | None): Best checkpoint of the last phase, where ``save_best`` is set.
        needs_config (bool): Whether the checkpoints load with the config alone: it imports components of your own.
        table (str): The metrics by phase as a Markdown table; empty without metrics.
        picture (Path | None): ``before_after.png``: samples of the validation before and after each phase.
    """

    work_dir: Path
    config: str
    phases: dict[str, dict[str, Any]]
    checkpoint: Path | None
    best_checkpoint: Path | None
    needs_config: bool
    table: str
    picture: Path | None


def train(config: PathLike, *, work_dir: PathLike | None = None, resume: bool = False,
          allow_config_change: bool = False, load_from: PathLike | None = None, phase: str | None = None,
          amp: bool = False, seed: int | None = None, data_root: PathLike | None = None,
          options: dict[str, Any] | None = None, launcher: str | None = None,
          progress: Callable[[int, int], object] | None = None,
          announce: Callable[[str], object] | None = None) -> TrainReport:
    """Train a config: all of its phases in order, or one of them.

    The number of threads of torch and OpenCV is set for this process (see
    :func:`~restorekit.tasks.process.prepare_process`). MMEngine logs to the console;
    ``options={'log_level': 'WARNING'}`` quietens it.

    Args:
        config (str | Path): Config file, or its name, such as ``'cid/cid_quickstart'``.
        work_dir (str | Path, optional): Folder of logs and checkpoints; default: the config's, or the next free of
            ``work_dirs/CONFIG``, ``work_dirs/CONFIG-2``, ... With ``resume`` or ``phase``, the last of them.
        resume (bool): Continue the run in ``work_dir``; finished phases are skipped.
        allow_config_change (bool): Resume although the config has changed.
        load_from (str | Path, optional): Checkpoint that the first phase starts from.
        phase (str, optional): Run this phase alone.
        amp (bool): Train in mixed precision: float16 on a GPU, bfloat16 on a CPU.
        seed (int, optional): Seed of the run; default: the config's.
        data_root (str | Path, optional): Folder of the datasets, joined before their relative paths.
        options (dict, optional): Changes of the config, with dotted keys: ``{'train_cfg.max_iters': 100}``.
        launcher (str, optional): How the processes of a distributed run were started: none, pytorch, slurm or mpi;
            default: the config's, or none.
        progress (Callable, optional): Called with (iterations done, iterations of the phase) after each iteration.
        announce (Callable, optional): Called with a sentence when a phase starts or is skipped, on the main process;
            default: it is logged.

    Returns:
        TrainReport: Where everything is, and the metrics of each phase.

    Raises:
        ConfigError: For a mistake in the config of any phase, before the first one starts.
        ExistingFileError: If ``work_dir`` holds a run and ``resume`` is False.
        MissingFileError: If a config, checkpoint or data folder is missing.
        NonFiniteError: If a loss or gradient is not finite.

    Example:
        >>> import restorekit
        >>> report = restorekit.train('cid/cid_quickstart', options={'train_cfg.max_iters': 20})  # doctest: +SKIP
        >>> report.checkpoint  # doctest: +SKIP
        PosixPath('work_dirs/cid_quickstart/adapt/iter_20.pth')
    """
    from restorekit.distributed import run_on_main
    from restorekit.engine import ProgressHook
    runner = prepared_run(config, work_dir=work_dir, resume=resume, allow_config_change=allow_config_change,
                          load_from=load_from, phase=phase, amp=amp, seed=seed, data_root=data_root, options=options,
                          launcher=launcher)
    if progress is not None:
        runner.hooks.append(ProgressHook(progress))
    if announce is not None:
        runner.announce = announce
    runner.train()
    report: TrainReport = run_on_main(_report, runner)
    return report


def prepared_run(config: PathLike, *, work_dir: PathLike | None = None, resume: bool = False,
                 allow_config_change: bool = False, load_from: PathLike | None = None, phase: str | None = None,
                 amp: bool = False, seed: int | None = None, data_root: PathLike | None = None,
                 options: dict[str, Any] | None = None, launcher: str | None = None) -> MultiPhaseRunner:
    """Return the checked run that :func:`train` trains; nothing is written yet. The arguments are the same."""
    from restorekit.config import load_config
    import_from_here(config)
    cfg = load_config(config, options=options, data_root=data_root)
    from restorekit.engine.unread_keys import check_option_keys
    from restorekit.engine.value_check import check_kinds
    check_option_keys(options or {}, str(cfg.filename))
    check_kinds(cfg, str(cfg.filename))
    if amp:
        cfg.optim_wrapper = dict(cfg.get('optim_wrapper') or {}, type='AmpOptimWrapper')
    if seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    if load_from:
        cfg.load_from = os.path.expanduser(load_from)
    if not resume and not cfg.get('resume') and phase is None:
        refuse_unused(train, dict(allow_config_change=allow_config_change), 'resume', 'resume=False')
    launcher = cfg.launcher = launcher or cfg.get('launcher') or 'none'
    prepare_process(launcher, workers=(cfg.get('train_dataloader') or {}).get('num_workers', 0))

    from restorekit.distributed import broadcast_object, init_distributed
    from restorekit.engine import MultiPhaseRunner
    init_distributed(launcher)
    folder = os.path.expanduser(work_dir or '') or cfg.get('work_dir') or \
        _default_work_dir(cfg, resume or phase is not None)
    cfg.work_dir = broadcast_object(str(folder))
    return MultiPhaseRunner(cfg, resume=resume, phase=phase, allow_config_change=allow_config_change)


def _default_work_dir(cfg: Config, again: bool) -> Path:
    default = Path('work_dirs', Path(cfg.filename).stem)
    return latest(default) if again else next_free(default)


def _report(runner: Any) -> TrainReport:
    from restorekit.engine import before_after, results_table
    from restorekit.files.atomic import atomic_write_text
    table = results_table(runner.state)
    if table:
        atomic_write_text(table + '\n', str(runner.work_dir / 'results.md'))
    phases = {name: record for name, record in runner.state['phases'].items() if name in runner.phases}  # not of old
    checkpoints = [runner.checkpoint(name) for name in phases if runner.checkpoint(name)]
    return TrainReport(work_dir=runner.work_dir, config=runner.where, phases=phases,
                       checkpoint=checkpoints[-1] if checkpoints else None, table=table,
                       best_checkpoint=runner.checkpoint(list(phases)[-1], 'best_checkpoint'),
                       needs_config=bool(runner.cfg.get('custom_imports')),
                       picture=before_after(runner.work_dir, runner.state, runner.single))
