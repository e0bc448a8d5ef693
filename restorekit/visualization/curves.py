"""Curves of training runs, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from restorekit.evaluation.runs import Run, curve, smooth
from restorekit.messages import InputError, MissingDependencyError


def draw_curves(runs: dict[str, Run], keys: Sequence[str], out: str | Path, weight: float = 0.0) -> None:
    """Draw a panel per key: a line per run, dotted phase borders, the degraded input's own score dashed.

    Args:
        runs (dict[str, Run]): By name, see :func:`restorekit.evaluation.runs.read_run`.
        keys (Sequence[str]): What to draw.
        out (str | Path): The picture; its suffix says the format (png, svg, pdf). Folders are made.
        weight (float): Smoothing weight in [0, 1) of curves of at least 20 points; 0: none.

    Raises:
        MissingDependencyError: Without matplotlib; names the extra.
        InputError: If the format is not known.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError('drawing curves needs matplotlib: python -m pip install "restorekit[plots]"; '
                                     'without a picture only the table is printed') from error
    columns = 1 if len(keys) == 1 else 2
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(6.2 * columns, 3.1 * rows + 0.4), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axis, key in zip(axes, keys, strict=False):
        for number, (name, phases) in enumerate(runs.items()):
            _draw_run(axis, key, name, phases, f'C{number}', weight, first=number == 0)
        axis.set_title(key, fontsize=10)
        axis.grid(alpha=0.25)
        axis.set_xlim(left=0)
    for axis in axes[len(keys):]:
        axis.set_visible(False)
    for axis in axes[max(len(keys) - columns, 0):len(keys)]:
        axis.set_xlabel('iteration')
        axis.tick_params(labelbottom=True)
    handles = {label: handle for axis in axes[:len(keys)]
               for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc='outside upper center', ncols=min(len(handles), 4), fontsize=9)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(out)
    except ValueError as error:  # an unknown suffix
        raise InputError(f'out: {out}: {error}') from error


def _draw_run(axis: Any, key: str, name: str, phases: Run, colour: str, weight: float, first: bool) -> None:
    """Draw one run's curve of ``key`` with its phase borders; the first run also names the phases."""
    points = curve(phases, key)
    if any(key in phase.training for phase in phases.values()):
        pieces = [[point for point in points if point.phase == phase] for phase in phases]  # losses of phases differ
        pieces = [piece for piece in pieces if piece]
    else:
        pieces = [points] if points else []
    for number, piece in enumerate(pieces):
        x, y = [point.iteration for point in piece], [point.value for point in piece]
        marker = 'o' if len(piece) < 20 else None
        if weight and len(piece) >= 20:
            axis.plot(x, y, color=colour, alpha=0.25, linewidth=0.8)
            y = smooth(y, weight)
        axis.plot(x, y, color=colour, linewidth=1.4, marker=marker, markersize=3.5, label=None if number else name)
    start, _, last = key.rpartition('/')
    baseline = curve(phases, f'{start}/input_{last}' if start else f'input_{last}')
    if baseline:
        axis.axhline(baseline[-1].value, color='0.5', linestyle='--', linewidth=0.9, label='degraded input')
    offset = 0
    for number, (phase, record) in enumerate(phases.items()):
        if number:
            axis.axvline(offset, color=colour, linestyle=':', linewidth=0.9)
        if first and phase:
            axis.text(offset, 1.0, f' {phase}', transform=axis.get_xaxis_transform(), fontsize=7, va='top',
                      color='0.35')
        offset += record.length
