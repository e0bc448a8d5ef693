"""The page of a test report: one file, readable without a network."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .report_tables import (
    NOTES,
    digits_of,
    not_finite_sentences,
    number,
    provenance_items,
    provenance_sentences,
    table,
)

MAX_BINS = 24
WIDTH, HEIGHT, LEFT = 640, 130, 34  # of a histogram, in pixels; room for the numbers of its axis


def report_page(summary: dict[str, Any], rows: list[dict[str, Any]],
                shown: dict[str, tuple[str, dict[str, list[tuple[dict[str, Any], bytes]]]]]) -> str:
    """Return ``report.html``: table, distributions, strips of the worst and best images, provenance.

    The page is ``report_page.html.j2``, filled with every text escaped. It needs nothing but itself: its pictures are
    in it, and it has no scripts.

    Args:
        summary (dict): See :func:`~restorekit.evaluation.report.summarise`.
        rows (list[dict]): Of the test.
        shown (dict): Of :func:`~restorekit.evaluation.report.shown_strips`.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              keep_trailing_newline=True, loader=FileSystemLoader(Path(__file__).parent))
    header, *lines = table(summary)
    sets = [_set(name, entry, summary, rows, *shown.get(name, (None, {}))) for name, entry in summary['sets'].items()]
    return environment.get_template('report_page.html.j2').render(
        sets=sets, sentences=provenance_sentences(summary), header=header, lines=lines,
        warnings=not_finite_sentences(summary), notes=NOTES, provenance=provenance_items(summary))


def _set(name: str, entry: dict[str, Any], summary: dict[str, Any], rows: list[dict[str, Any]], label: str | None,
         strips: dict[str, list[tuple[dict[str, Any], bytes]]]) -> dict[str, Any]:
    """What the page shows of one set."""
    found: dict[str, Any] = dict(name=name, images=entry['images'], broken=entry['broken'], label=label, unit='',
                                 histogram=None, figures={})
    if label is not None:
        digits, unit = digits_of(entry['metrics'][label]['mean']), summary['definitions'][label]['unit']
        position = list(summary['definitions']).index(label)
        pairs = [row['values'][position] for row in rows if row['domain'] == name]
        figures = {kind: [_figure(item, data, unit, digits) for item, data in items]
                   for kind, items in strips.items()}
        found.update(unit=unit, histogram=_histogram(pairs, digits), figures=figures)
    return found


def _figure(item: dict[str, Any], data: bytes, unit: str, digits: int) -> dict[str, str]:
    value, given = (f'{number(item[key], digits)} {unit}'.rstrip() for key in ('value', 'input'))
    return dict(image=item['image'], value='not finite' if item['value'] is None else value,
                input='' if item['input'] is None else given, data=base64.b64encode(data).decode())


def _histogram(pairs: list[list[float | None]], digits: int) -> dict[str, Any] | None:
    """Lay out a histogram of the images' numbers, restored beside input; None without a finite number."""
    finite = [[pair for pair in pairs if None not in (pair[0], pair[i]) and math.isfinite(pair[i] or 0.0)]
              for i in (0, 1)]
    series = [[float(pair[i] or 0.0) for pair in found] for i, found in enumerate(finite)]
    both = series[0] + series[1]
    if not both:
        return None
    low, high = min(both), max(both)
    margin = (high - low) * 0.02 or max(abs(low), 1) * 0.01
    low, high = low - margin, high + margin
    bins = min(MAX_BINS, max(8, round(2 * math.sqrt(len(series[0])))))
    counts = [np.histogram(values, bins, (low, high))[0] for values in series]
    top = max(1, *(int(count.max()) for count in counts))
    step = (WIDTH - LEFT) / bins
    bars = [dict(x=LEFT + (i + offset) * step, y=HEIGHT + 10 - HEIGHT * n / top, width=step * 0.44,
                 height=HEIGHT * n / top, colour=colour)
            for count, colour, offset in zip(counts, ('main', 'input'), (0.06, 0.5), strict=True)
            for i, n in enumerate(count) if n]
    anchors = ('start', 'middle', 'middle', 'middle', 'end')
    ticks = [dict(x=LEFT + (WIDTH - LEFT) * i / 4, anchor=anchor, text=number(low + (high - low) * i / 4,
                                                                              min(digits, 3)))
             for i, anchor in enumerate(anchors)]
    return dict(width=WIDTH, height=HEIGHT, left=LEFT, top=top, bars=bars, ticks=ticks, has_input=bool(series[1]))
