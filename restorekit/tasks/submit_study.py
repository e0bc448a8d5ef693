"""Submit a study to a cluster's scheduler."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from restorekit.messages import InputError, MissingDependencyError

from .process import prepare_process
from .study import StudyState, study
from .study_file import Study

CLUSTERS = ('slurm', 'local', 'debug')


def submit_study(file: str | os.PathLike[str], out: str | os.PathLike[str], *, shares: int, cluster: str = 'slurm',
                 parameters: Mapping[str, Any] | None = None, variants: Sequence[str] | None = None,
                 data_root: str | os.PathLike[str] | None = None,
                 options: Mapping[str, Any] | None = None) -> list[Any]:
    """Submit the jobs of a study as an array of ``shares`` tasks, by the library submitit; returns at once.

    Each task runs one share, as ``study(..., job=(i, shares))`` does. Submitted again, finished jobs are not run again.

    Args:
        file: The study; see :class:`~restorekit.tasks.study_file.Study`.
        out: Folder of the results, on a file system that all machines share; logs are in ``out/cluster``.
        shares: Tasks of the array.
        cluster: 'slurm'; 'local', processes on this machine; 'debug', in this process when a result is asked for.
        parameters: For the scheduler, by submitit's names, such as ``timeout_min``, ``cpus_per_task``, ``mem_gb`` and
            ``slurm_partition``.
        variants, data_root, options: As in :func:`~restorekit.tasks.study.study`.

    Returns:
        list: submitit's jobs; ``job_id`` is the scheduler's number, ``result()`` waits and gives a ``StudyState``.

    Raises:
        MissingDependencyError: Without submitit.
        InputError: If the cluster is unknown, shares is below 1, or the scheduler is not on this machine.

    Example:
        >>> submit_study('studies/tiny', 'work_dirs/tiny', shares=4,
        ...              parameters=dict(slurm_partition='cpu', timeout_min=60))  # doctest: +SKIP
    """
    try:
        import submitit
    except ImportError as error:
        raise MissingDependencyError('submitting a study needs submitit: python -m pip install "restorekit[cluster]"; '
                                     'or start restorekit study --job I/N by your scheduler') from error
    if cluster not in CLUSTERS:
        raise InputError(f'cluster must be one of {", ".join(map(repr, CLUSTERS))}, but got {cluster!r}')
    if shares < 1:
        raise InputError(f'shares must be at least 1, but got {shares}')
    Study(file)  # its mistakes are told here, not in a log
    if os.path.isfile(file):
        file = os.path.abspath(file)
    try:
        executor = submitit.AutoExecutor(folder=Path(out, 'cluster').absolute(), cluster=cluster)
        executor.update_parameters(name='study', **(parameters or {}))
    except (RuntimeError, NameError) as error:  # no sbatch; an unknown parameter
        raise InputError(f'submitit cannot submit to {cluster!r}: {error}') from error
    arguments = (str(file), str(Path(out).absolute()), list(variants) if variants else None,
                 None if data_root is None else os.path.abspath(data_root), dict(options or {}))
    with executor.batch():
        return [executor.submit(_run_share, (number, shares), *arguments) for number in range(1, shares + 1)]


def _run_share(job: tuple[int, int], file: str, out: str, variants: list[str] | None, data_root: str | None,
               options: dict[str, Any]) -> StudyState:
    prepare_process()
    return study(file, out, job=job, variants=variants, data_root=data_root, options=options)
