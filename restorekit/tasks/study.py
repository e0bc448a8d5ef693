"""A study: methods times left-out domains times seeds, as jobs that any number of processes and machines share."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from restorekit.config import ConfigError
from restorekit.files.atomic import atomic_write_text
from restorekit.files.lock import FolderInUseError, lock_folder, unlock_folder
from restorekit.files.reader import read_json
from restorekit.messages import InputError, MissingFileError, unknown_name_message

from .process import available_cores, prepare_process
from .study_file import Job, Study

STUDY_FILE, RESULT_FILE = 'study.json', 'result.json'


@dataclass(frozen=True)
class StudyState:
    """What a call of :func:`study` left behind.

    Attributes:
        total: Jobs of the study.
        finished: Of these, those with a result, also of former calls and of other machines.
        ran: Names of the jobs that this call ran.
        running: Names of the jobs that other processes were running at the end.
        failed: Name -> reason of the jobs whose training diverged; they are reported as such.
        report: The page, once every job has a result.
    """

    total: int
    finished: int
    ran: list[str]
    running: list[str]
    failed: dict[str, str]
    report: Path | None


def study(file: str | os.PathLike[str], out: str | os.PathLike[str], *, job: tuple[int, int] | None = None,
          variants: Sequence[str] | None = None, workers: int = 1,
          data_root: str | os.PathLike[str] | None = None, options: Mapping[str, Any] | None = None,
          progress: Callable[[str], None] | None = None) -> StudyState:
    """Run the jobs of a study that have no result yet, and write the report once all have one.

    Any number of processes and machines may call this on one ``out``: a job belongs to the process that holds its
    lock, and the lock falls with the process, so that a job whose owner died is continued at its last checkpoint.

    Args:
        file: The study; see :class:`~restorekit.tasks.study_file.Study`.
        out: Folder of the results, shared by all processes.
        job: (i, n): run only the i-th of n equal shares of the jobs, i from 1 to n. None: all.
        variants: Run the jobs of these variants alone; for example the baseline's, before any claim is made, to see
            what can be told apart. None: all.
        workers: Processes to run jobs in, each on cores of its own.
        data_root: Folder joined before the relative paths of the datasets.
        options: Changes to the config of every job, with dotted keys.
        progress: Called with a line of text after each job.

    Returns:
        StudyState: How far the study is.

    Raises:
        ConfigError: If the study is wrong, or changed since ``out`` was started.

    Example:
        >>> study('domains/study_cached', 'work_dirs/study', data_root='data')  # doctest: +SKIP
    """
    found, out = Study(file), Path(out)
    if workers < 1:
        raise InputError(f'workers must be at least 1, but got {workers}')
    jobs = found.jobs()
    for name in variants or ():
        if name not in found.variants:
            raise InputError(unknown_name_message(name, found.variants, f'variants of {found.file}'))
    mine = _share([item for item in jobs if not variants or item.variant in variants], job)
    _claim(found, out)
    say = progress or (lambda text: None)
    if workers == 1:
        prepare_process()
        ran = _run_jobs(found, out, mine, data_root, options, say)
    else:
        ran = _run_in_processes(found, out, mine, data_root, options, say, min(workers, len(mine)))
    results = {item.name: result for item in jobs if (result := _result(out, item)) is not None}
    failed = {name: result['failed'] for name, result in results.items() if result['failed']}
    running = [item.name for item in mine if item.name not in results]
    report = study_report(out)['page'] if len(results) == len(jobs) else None
    return StudyState(len(jobs), len(results), ran, running, failed, report)


def study_report(out: str | os.PathLike[str]) -> dict[str, Any]:
    """Write the report of what is finished in ``out``: ``report.html``, ``report.md`` and ``report.json``.

    It depends on the results alone, not on the order in which they came.

    Args:
        out: Folder of a study.

    Returns:
        dict: ``page``, the path of the report; ``summary``, its numbers (see
        :func:`~restorekit.evaluation.study_summary.summarise_study`).

    Raises:
        MissingFileError: If ``out`` is no study, or none of its jobs has a result.
    """
    from restorekit.evaluation.study_page import study_markdown, study_page
    from restorekit.evaluation.study_summary import summarise_study
    out = Path(out)
    if not (out / STUDY_FILE).is_file():
        raise MissingFileError(f'{out} holds no study ({STUDY_FILE}); run one with restorekit study STUDY.py --out DIR')
    record = _record(out / STUDY_FILE)
    results = []
    for entry in record['jobs']:
        result = _result(out, Job(**entry))
        if result is not None:
            results.append(dict(result, job=entry, folder=f'jobs/{Job(**entry).name}'))
    if not results:
        raise MissingFileError(f'none of the {len(record["jobs"])} jobs in {out} has a result yet')
    summary = summarise_study(record, results)
    atomic_write_text(json.dumps(summary, indent=1) + '\n', out / 'report.json')
    atomic_write_text(study_markdown(summary), out / 'report.md')
    atomic_write_text(study_page(summary, out), out / 'report.html')
    return dict(page=out / 'report.html', summary=summary)


def _record(path: Path) -> dict[str, Any]:
    """What was written down about a study before its first run."""
    record = read_json(path, 'the record of a study')
    missing = [key for key in ('hypothesis', 'analysis', 'jobs') if key not in record]
    if missing:
        raise InputError(f'{path} is not the record of a study: it has no {missing[0]}')
    return record


def _share(jobs: list[Job], job: tuple[int, int] | None) -> list[Job]:
    if job is None:
        return jobs
    number, count = job
    if not 1 <= number <= count:
        raise InputError(f'job must be I/N with 1 <= I <= N, but got {number}/{count}')
    return jobs[number - 1::count]


def _claim(found: Study, out: Path) -> None:
    """Write down the study; refuse a change of what was to be written before the first run."""
    record, path = found.record(), out / STUDY_FILE
    if path.is_file():
        old = _record(path)
        for key in ('hypothesis', 'analysis'):
            if old[key] != record[key]:
                raise ConfigError(f'{found.file}: the {key} changed since the first run in {out}; take the change '
                                  'back, or start anew in another --out')
        missing = [Job(**entry).name for entry in old['jobs'] if entry not in record['jobs']]
        finished = [name for name in missing if (out / 'jobs' / name / RESULT_FILE).is_file()]
        if finished:
            raise ConfigError(f'{found.file}: {out} has the results of {len(finished)} jobs that are no longer in the '
                              f'study (first: {finished[0]}); all runs are reported, so keep them in the study, or '
                              'start anew in another --out')
        if old == record:
            return
    out.mkdir(parents=True, exist_ok=True)
    atomic_write_text(json.dumps(record, indent=1) + '\n', path)


def _result(out: Path, job: Job) -> dict[str, Any] | None:
    path = out / 'jobs' / job.name / RESULT_FILE
    return read_json(path, 'the result of a job') if path.is_file() else None


def _run_in_processes(found: Study, out: Path, jobs: list[Job], data_root: str | os.PathLike[str] | None,
                      options: Mapping[str, Any] | None, say: Callable[[str], None], workers: int) -> list[str]:
    """Run jobs in processes that are pinned to cores of their own; returns the names of the jobs that ran."""
    import multiprocessing
    context = multiprocessing.get_context('spawn')
    lines = context.Queue()
    children = [context.Process(target=_work, args=(number, workers, str(found.file), str(out), jobs, data_root,
                                                    dict(options or {}), lines))
                for number in range(workers)]
    for child in children:
        child.start()
    ran, ended = [], False
    while not ended:
        ended = not any(child.is_alive() for child in children)  # then what they sent is all there
        try:
            while True:
                kind, text = lines.get(timeout=0.2)
                say(text) if kind == 'line' else ran.append(text)
        except queue.Empty:
            continue
    broken = [child.exitcode for child in children if child.exitcode]
    if broken:
        raise RuntimeError(f'{len(broken)} of {workers} processes of the study ended with an error, shown above')
    return sorted(ran)


def _work(number: int, workers: int, file: str, out: str, jobs: list[Job],
          data_root: str | os.PathLike[str] | None, options: dict[str, Any], lines: Any) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else []
    if len(cores) >= workers:
        os.sched_setaffinity(0, cores[number::workers])
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, available_cores())))
    prepare_process()
    start = number * len(jobs) // workers  # each begins elsewhere, so that they meet at few locks
    for name in _run_jobs(Study(file), Path(out), jobs[start:] + jobs[:start], data_root, options,
                          lambda text: lines.put(('line', text))):
        lines.put(('ran', name))


def _run_jobs(found: Study, out: Path, jobs: list[Job], data_root: str | os.PathLike[str] | None,
              options: Mapping[str, Any] | None, say: Callable[[str], None]) -> list[str]:
    ran = []
    for job in jobs:
        folder = out / 'jobs' / job.name
        cfg = found.config(job, data_root, options)
        digest = _digest(cfg)
        if _is_done(out, job, digest, found):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock_folder(folder)
        except FolderInUseError:  # another process is at it
            continue
        try:
            if _is_done(out, job, digest, found):
                continue
            start = time.time()
            result = _train(job, cfg, folder, dict(found.options(job, options)))
            result['digest'] = digest
            atomic_write_text(json.dumps(result, sort_keys=True) + '\n', folder / RESULT_FILE)
            ran.append(job.name)
            say(f'{job.name}: {result["failed"] or "finished"} ({time.time() - start:.0f} s)')
        finally:
            unlock_folder(folder)
    return ran


def _is_done(out: Path, job: Job, digest: str, found: Study) -> bool:
    result = _result(out, job)
    if result is not None and result['digest'] != digest:
        raise ConfigError(f'{found.file}: the config of job {job.name} is not the one its result in {out} was made '
                          'with; take the change back, or start anew in another --out')
    return result is not None


def _digest(cfg: Config) -> str:
    from restorekit.engine.config_diff import relevant
    return hashlib.sha256(json.dumps(relevant(cfg), sort_keys=True).encode()).hexdigest()


def _train(job: Job, cfg: Config, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Train one job, or what is left of it; returns its result."""
    from restorekit.engine import MultiPhaseRunner
    from restorekit.models.restorers import NonFiniteError
    cfg.work_dir = str(folder / 'run')
    failed = None
    with contextlib.redirect_stdout(_Nowhere()):  # the run keeps a log of its own
        runner = MultiPhaseRunner(cfg, resume=True)
        try:
            runner.train()
        except NonFiniteError as error:
            failed = str(error)
    records = list(runner.state['phases'].values())
    curve, measured, logged, done = [], {}, {}, 0
    for name, record in runner.state['phases'].items():
        path = Path(runner.configs[name].work_dir, 'per_image.json')
        if path.is_file():
            found = read_json(path, 'the measurements of a run')
            curve += [[done + iteration, means] for iteration, means in found['curve']]
            measured, logged = found['metrics'], found['logged']
        done += record.get('iterations', 0)
    last = runner.configs[list(runner.configs)[-1]].work_dir
    return dict(failed=failed, metrics={} if failed else measured, curve=curve, logged=logged, iterations=done,
                seconds=sum(record.get('seconds', 0) for record in records), run=os.path.relpath(last, folder))


class _Nowhere(io.TextIOBase):
    """A stream that forgets; unlike a closed file, loggers that outlive the job may write to it."""

    def write(self, text: str) -> int:
        return len(text)
