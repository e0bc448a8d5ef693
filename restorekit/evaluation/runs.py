"""Read the logs of training runs: curves over phases, their last and best values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from restorekit.messages import InputError, MissingFileError, unknown_name_message

from .facts import metric_class

DEFAULT_KEYS = ('loss', '*@*')


class Phase(NamedTuple):
    """The log of one phase.

    Attributes:
        curves (dict[str, dict[int, float]]): By key, the value at each iteration.
        training (set[str]): The keys that were logged in training.
        facts (dict[str, dict]): By a metric's label, what its run wrote down: ``dict(higher_is_better, unit)``.
        length (int): The last iteration.
    """

    curves: dict[str, dict[int, float]]
    training: set[str]
    facts: dict[str, dict[str, Any]]
    length: int


Run = dict[str, Phase]


class Point(NamedTuple):
    """One value of a curve: its iteration over all phases, the value, the phase."""

    iteration: int
    value: float
    phase: str


def run_names(folders: Sequence[str | Path]) -> list[str]:
    """Name each folder by its last part, and by more of its path where that does not tell them apart.

    Raises:
        InputError: If a folder is given twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = ['/'.join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise InputError(f'a run is named twice: {", ".join(map(str, folders))}')


def read_run(folder: str | Path) -> Run:
    """Read the logs of a run.

    A phase that was resumed has several log files. What a later file says of a key, from its first iteration on,
    replaces what earlier files say.

    Args:
        folder (str | Path): Work dir of a run, or the folder of one phase.

    Returns:
        dict[str, Phase]: By phase, in order; one phase named ``''`` for a run without phases.

    Raises:
        MissingFileError: If there is no log below ``folder``.
    """
    folder = Path(folder)
    found: dict[str, list[Path]] = {}
    for path in folder.glob('*/vis_data/scalars.json'):
        found.setdefault('', []).append(path)
    for path in folder.glob('*/*/vis_data/scalars.json'):
        found.setdefault(path.relative_to(folder).parts[0], []).append(path)
    if not found:
        raise MissingFileError(f'{folder.absolute()} ' + (
            'has no log (no */vis_data/scalars.json in it or in its sub-folders); give the work dir of a run'
            if folder.is_dir() else 'is not a folder; give the work dir of a run'))
    return {name: _read_phase(sorted(found[name], key=_start)) for name in _phase_order(folder, found)}


def _start(path: Path) -> str:
    return path.parts[-3]


def _phase_order(folder: Path, found: dict[str, list[Path]]) -> list[str]:
    """Order phases as the run's state records them; others follow by the time of their first log."""
    try:
        state = json.loads((folder / 'run_state.json').read_text())
        known = [*state.get('configs', {}), *state.get('phases', {})]
    except (OSError, ValueError, RecursionError, AttributeError, TypeError):
        known = []
    start = {name: min(map(_start, paths)) for name, paths in found.items()}
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), start[name]))


def _read_phase(paths: list[Path]) -> Phase:
    """Read the log files of one phase, oldest first."""
    curves: dict[str, dict[int, float]] = {}
    training: set[str] = set()
    facts: dict[str, dict[str, Any]] = {}
    for path in paths:
        added: dict[str, dict[int, float]] = {}
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            try:
                entry = json.loads(line)
                step = int(entry['step'])
                numbers = {key: float(value) for key, value in entry.items() if isinstance(value, int | float)}
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                continue  # a killed run leaves half a line
            trained = 'iter' in entry
            for key, value in numbers.items():
                if key in ('iter', 'step', 'epoch'):
                    continue
                if not trained and key in ('time', 'data_time'):  # of validation; the same names mean training's
                    continue
                added.setdefault(key, {})[step] = value
                if trained:
                    training.add(key)
        for key, points in added.items():
            kept = {step: value for step, value in curves.get(key, {}).items() if step < min(points)}
            curves[key] = {**kept, **points}
        facts.update(_read_facts(path.with_name('metrics.json')))
    length = max((max(points) for points in curves.values()), default=0)
    return Phase(curves, training, facts, length)


def _read_facts(path: Path) -> dict[str, dict[str, Any]]:
    try:
        facts = json.loads(path.read_text(encoding='utf-8'))
        return {label: fact for label, fact in facts.items() if isinstance(fact['higher_is_better'], bool)}
    except (OSError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return {}  # a log of another version, or of MMEngine's own runner


def select_keys(patterns: Sequence[str], runs: dict[str, Run]) -> list[str]:
    """Return the keys of the runs that match the patterns, in the patterns' order.

    Scores of the degraded input are left out unless a pattern contains ``input_``.

    Raises:
        InputError: If a pattern matches nothing; names the nearest keys.
    """
    known = list(dict.fromkeys(key for phases in runs.values() for phase in phases.values() for key in phase.curves))
    keys: list[str] = []
    for pattern in patterns:
        matches = [key for key in known if key == pattern] or [key for key in known if fnmatchcase(key, pattern)]
        if 'input_' not in pattern:
            matches = [key for key in matches if not is_input(key)]
        if not matches and pattern not in DEFAULT_KEYS:
            inside = [key for key in known if pattern.lower() in key.lower()]
            if inside:
                raise InputError(f"keys: no key is {pattern!r}; '*{pattern}*' would match {', '.join(inside)}")
            raise InputError('keys: ' + unknown_name_message(pattern, known, 'keys of these logs'))
        keys += [key for key in matches if key not in keys]
    if not keys:
        raise InputError(f'these logs have none of {", ".join(patterns)}; their keys: {", ".join(known) or "none"}')
    return keys


def curve(phases: Run, key: str) -> list[Point]:
    """Return the values of a key in the order of iterations over all phases."""
    points, offset = [], 0
    for name, phase in phases.items():
        points += [Point(offset + step, value, name) for step, value in sorted(phase.curves.get(key, {}).items())]
        offset += phase.length
    return points


def is_input(key: str) -> bool:
    """Return whether a key is the score of the degraded input itself."""
    return key.rpartition('/')[2].startswith('input_')


def higher_is_better(phases: Run, key: str) -> bool | None:
    """Return whether a larger value of a key is better; None where nobody knows.

    Losses are better when smaller. Of a measured quantity the run's own record says it, or else the registered metric.
    """
    name = key.rpartition('/')[2].removeprefix('input_')
    if name == 'loss' or name.startswith('loss_'):
        return False
    for phase in phases.values():
        for label, fact in phase.facts.items():
            if name == label.rpartition('/')[2]:
                return bool(fact['higher_is_better'])
    found = metric_class(name) if '@' in name else None
    return None if found is None else bool(getattr(found, 'higher_is_better', True))


def summary(phases: Run, key: str) -> dict[str, Any] | None:
    """Return the last and the best value of a key, or None where the run does not have it.

    Returns:
        dict: ``points`` (how many), ``last``, ``last_iteration``, ``best``, ``best_iteration`` and ``best_phase``;
        iterations count over all phases. The best is None where :func:`higher_is_better` is.
    """
    points = curve(phases, key)
    if not points:
        return None
    found: dict[str, Any] = dict(points=len(points), last=points[-1].value, last_iteration=points[-1].iteration,
                                 best=None, best_iteration=None, best_phase=None)
    higher = higher_is_better(phases, key)
    numbers = [point for point in points if point.value == point.value]
    if higher is not None and numbers:
        best = (max if higher else min)(numbers, key=lambda point: point.value)
        found.update(best=best.value, best_iteration=best.iteration, best_phase=best.phase or None)
    return found


def smooth(values: Sequence[float], weight: float) -> list[float]:
    """Return the exponential moving average, without the bias of the start.

    y_t = sum_k weight^k x_(t-k) / sum_k weight^k.

    Example:
        >>> smooth([1.0, 3.0], 0.5)
        [1.0, 2.3333333333333335]
    """
    result, top, bottom = [], 0.0, 0.0
    for value in values:
        top, bottom = weight * top + value, weight * bottom + 1
        result.append(top / bottom)
    return result
