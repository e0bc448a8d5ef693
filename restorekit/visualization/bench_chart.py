"""The chart of a bench: quality against speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from restorekit.messages import InputError, MissingDependencyError


def draw_bench(found: dict[str, Any], out: str | Path) -> None:
    """Draw a panel per set for its first metric: seconds of a pass at the first size against the mean, with intervals.

    Seconds of a CPU are CPU time over all threads, which other work on the machine hardly changes; those of a GPU are
    by the clock.

    Models without a time, such as stored predictions, are horizontal lines.

    Args:
        found (dict): Of :func:`restorekit.tasks.bench.bench`.
        out (str | Path): The picture; its suffix says the format (png, svg, pdf).

    Raises:
        MissingDependencyError: Without matplotlib; names the extra.
        InputError: If the format is not known.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullFormatter
    except ImportError as error:
        raise MissingDependencyError('the chart of a bench needs matplotlib: python -m pip install '
                                     '"restorekit[plots]"') from error
    rows = list({row['set']: row for row in reversed(found['rows'])}.values())[::-1]
    on_cpu = found['device'] == 'cpu'
    seconds = 'cpu_seconds' if on_cpu else 'seconds'
    figure = Figure(figsize=(5.2 * len(rows), 4.2), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)
    for axis, row in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        for number, method in enumerate(found['methods']):
            mean, interval = row['means'][method], row['intervals'][method]
            times = list(found['costs'][method]['sizes'].items())
            if mean is None:
                continue
            if not times:
                axis.axhline(mean, color=f'C{number}', linestyle='--', linewidth=1, label=method)
                continue
            errors = None if interval is None else [[mean - interval[0]], [interval[1] - mean]]
            axis.errorbar(times[0][1][seconds], mean, yerr=errors, fmt='o', color=f'C{number}', capsize=3)
            axis.annotate(method, (times[0][1][seconds], mean), xytext=(6, 4), textcoords='offset points', fontsize=9)
            axis.set_xscale('log')
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter(lambda value, _: f'{value:g}')
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.set_xlabel(f'{"CPU " if on_cpu else ""}seconds at {times[0][0]}')
        unit = f' ({row["unit"]})' if row['unit'] else ''
        axis.set_ylabel(f'{row["label"]}{unit}, {"larger" if row["higher_is_better"] else "smaller"} is better')
        axis.set_title(f'{row["set"]}, {row["n"]} images', fontsize=10)
        axis.grid(alpha=0.25)
        axis.margins(x=0.2)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(out)
    except ValueError as error:  # an unknown suffix
        raise InputError(f'out: {out}: {error}') from error
