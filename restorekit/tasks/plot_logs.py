"""Read the logs of training runs and draw their curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from restorekit.evaluation.runs import DEFAULT_KEYS, read_run, run_names, select_keys, summary
from restorekit.messages import InputError, refuse_unused


def plot_logs(work_dirs: str | Path | Sequence[str | Path], *, keys: Sequence[str] | None = None,
              labels: Sequence[str] | None = None, smooth: float = 0.0, out: str | Path | None = None,
              progress: Callable[[int, int], object] | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the last and best values of one or more runs and, with ``out``, draw their curves.

    Args:
        work_dirs (str | Path | Sequence): Work dir of a run, or of one phase of it; one or several.
        keys (Sequence[str], optional): Keys or patterns such as ``'loss*'`` or ``'*PSNR*'``; default: the loss
            and every metric.
        labels (Sequence[str], optional): A name per run; default: their folders.
        smooth (float): Smoothing weight in [0, 1) of drawn curves of at least 20 points; 0: none.
        out (str | Path, optional): The picture to write (png, svg, pdf); needs matplotlib.
        progress (Callable, optional): Called with (runs read, runs) after each.

    Returns:
        dict[str, dict[str, dict]]: By run and key: ``points`` (how many), ``last``, ``last_iteration``, ``best``,
        ``best_iteration``, ``best_phase``. Iterations count over all phases. The best is None where it is not known
        whether a larger value is better.

    Raises:
        InputError: If a pattern matches nothing, labels do not fit the runs, or an option is out of range.
        MissingFileError: If a folder has no log.
        MissingDependencyError: If ``out`` is given and matplotlib is not installed.

    Example:
        >>> import restorekit
        >>> restorekit.plot_logs('work_dirs/cid_quickstart')['cid_quickstart']['loss']['last']  # doctest: +SKIP
        0.0312
    """
    folders = [work_dirs] if isinstance(work_dirs, str | Path) else list(work_dirs)
    if not folders:
        raise InputError('give at least one work dir')
    if not 0 <= smooth < 1:
        raise InputError(f'smooth must be at least 0 and below 1, but got {smooth}')
    if out is None:
        refuse_unused(plot_logs, dict(smooth=smooth), 'the picture in out', 'no out')
    names = run_names(folders) if labels is None else list(labels)
    if len(names) != len(folders):
        raise InputError(f'labels gives {len(names)} names for {len(folders)} runs')
    if len(set(names)) < len(names):
        raise InputError(f'two runs have the same name in labels: {", ".join(names)}')
    runs = {}
    for name, folder in zip(names, folders, strict=True):
        runs[name] = read_run(folder)
        if progress is not None:
            progress(len(runs), len(folders))
    chosen = select_keys(DEFAULT_KEYS if keys is None else keys, runs)
    if out is not None:
        from restorekit.visualization.curves import draw_curves
        draw_curves(runs, chosen, out, smooth)
    found = {name: {key: summary(phases, key) for key in chosen} for name, phases in runs.items()}
    return {name: {key: value for key, value in record.items() if value is not None} for name, record in found.items()}
