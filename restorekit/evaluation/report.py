"""A test report: what was measured, as a table of images, a summary for programs and two pages to read."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from restorekit.files.atomic import atomic_write_text

from .journal import SHOWN, rank_of
from .report_page import report_page
from .report_reader import safe_cell
from .report_tables import markdown
from .statistics import RESAMPLES, bootstrap_interval

FORMAT = 1


def describe_metric(metric: Any) -> dict[str, Any]:
    """Return what a report says of an :class:`ImageMetric`: the facts on its class, its protocol and its options.

    A prefix comes before the label, with a slash. A metric without a protocol has None for both; its label names the
    library that measures, ``options`` what it was told.
    """
    protocol = getattr(metric, 'protocol', None)
    return dict(label=f'{metric.prefix}/{metric.label}' if metric.prefix else metric.label,
                options=getattr(metric, 'options', {}), quantity=metric.quantity, unit=metric.unit,
                higher_is_better=metric.higher_is_better, depends_on=list(metric.depends_on),
                protocol=protocol and protocol.settings, fingerprint=protocol and protocol.fingerprint)


def summarise(rows: list[dict[str, Any]], metrics: list[dict[str, Any]], hashes: dict[str, str],
              provenance: dict[str, Any], identity: dict[str, str]) -> dict[str, Any]:
    """Sum up the rows of a test by set and metric.

    Args:
        rows (list[dict]): Of an :class:`~restorekit.engine.EvaluationLoop`.
        metrics (list[dict]): Of each metric, in the order of the rows' values, see :func:`describe_metric`.
        hashes (dict[str, str]): Hash of the list of images of each set.
        provenance (dict): Where and how it was measured.
        identity (dict[str, str]): What was measured; an interrupted run continues if it is equal.

    Returns:
        dict: What ``summary.json`` holds: ``metrics`` (``{set}/{label}`` to mean) and, per set, its size, list hash,
        broken images and per metric n, mean, standard deviation, 95 % interval, the input's mean, worst and best. Where
        a number is not finite there is no mean; ``not_finite`` and ``input_not_finite`` count them.
    """
    sets = {}
    for name in dict.fromkeys([*hashes, *(row['domain'] for row in rows)]):
        chosen = [row for row in rows if row['domain'] == name]
        measured = {metric['label']: _sum_up(chosen, position, metric) for position, metric in enumerate(metrics)}
        sets[name] = dict(images=len(chosen), list_hash=hashes.get(name),
                          broken=[row['image'] for row in chosen if row['broken']], metrics=measured)
    means = {f'{name}/{kind}{label}': found[field] for name, entry in sets.items()
             for label, found in entry['metrics'].items() for kind, field in (('', 'mean'), ('input_', 'input_mean'))
             if found[field] is not None}
    return dict(format=FORMAT, metrics=means, sets=sets, definitions={m['label']: m for m in metrics},
                bootstrap=dict(level=0.95, resamples=RESAMPLES, seed=0, method='percentile, over images'),
                provenance=provenance, identity=identity)


def _sum_up(rows: list[dict[str, Any]], position: int, metric: dict[str, Any]) -> dict[str, Any]:
    found = [(row['values'][position], row) for row in rows if row['values'][position][0] is not None]
    values = [value for (value, _), _ in found]
    inputs = [baseline for (_, baseline), _ in found if baseline is not None]
    failed, inputs_failed = (sum(not math.isfinite(value) for value in found) for found in (values, inputs))
    sample = [] if failed else values
    interval = bootstrap_interval(sample)
    sign = 1 if metric['higher_is_better'] else -1
    order = sorted(found, key=lambda item: (_goodness(sign * item[0][0]), item[1]['index']))
    worst, best = min(SHOWN, math.ceil(len(order) / 2)), min(SHOWN, len(order) // 2)

    def entry(item: Any) -> dict[str, Any]:
        (value, baseline), row = item
        return dict(image=row['image'], index=row['index'], value=_finite(value), input=_finite(baseline))

    return dict(n=len(values), not_finite=failed, mean=_mean(sample),
                sd=float(np.std(sample, ddof=1)) if len(sample) > 1 else None, low=interval and interval[0],
                high=interval and interval[1], input_mean=_mean([] if inputs_failed else inputs),
                input_not_finite=inputs_failed, worst=[entry(item) for item in order[:worst]],
                best=[entry(item) for item in order[::-1][:best]])


def write_report(out: str | os.PathLike[str], summary: dict[str, Any], rows: list[dict[str, Any]],
                 strips: dict[int, bytes]) -> None:
    """Write ``per_image.csv``, ``summary.md``, ``report.html`` and, last, ``summary.json``; end the journal.

    Args:
        out (str | Path): The folder.
        summary (dict): Of :func:`summarise`.
        rows (list[dict]): The same rows.
        strips (dict[int, bytes]): JPEG pictures of the worst and best images, by index.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    labels = list(summary['definitions'])
    atomic_write_text(per_image_csv(rows, labels), str(out / 'per_image.csv'))
    atomic_write_text(markdown(summary), str(out / 'summary.md'))
    atomic_write_text(report_page(summary, rows, shown_strips(summary, rows, strips)), str(out / 'report.html'))
    atomic_write_text(json.dumps(summary, indent=2, allow_nan=False) + '\n', str(out / 'summary.json'))
    shutil.rmtree(out / '.progress', ignore_errors=True)


def per_image_csv(rows: list[dict[str, Any]], labels: Sequence[str]) -> str:
    """Return the table of images: set, image, then each metric's number and the input's; empty where not measured.

    A name that a spreadsheet would run as a formula gets an apostrophe in front (``safe_cell``).
    """
    lines: list[str] = []  # a terminator with \r has names with a \r quoted
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator='\r\n')
    writer.writerow(['domain', 'image', *(f'{kind}{label}' for label in labels for kind in ('', 'input_'))])
    for row in rows:
        values = ['' if value is None else repr(float(value)) for pair in row['values'] for value in pair]
        writer.writerow([safe_cell(row['domain']), safe_cell(row['image']), *values])
    return ''.join(f'{line[:-2]}\n' for line in lines)


def shown_strips(summary: dict[str, Any], rows: list[dict[str, Any]], strips: dict[int, bytes]
                 ) -> dict[str, tuple[str, dict[str, list[tuple[dict[str, Any], bytes]]]]]:
    """Return, per set, which metric ranks it and its worst and best entries that have a strip, with it.

    Returns:
        dict[str, tuple[str, dict[str, list[tuple[dict, bytes]]]]]: Set to (label, {'worst': ..., 'best': ...}).
    """
    labels = list(summary['definitions'])
    directions = [summary['definitions'][label]['higher_is_better'] for label in labels]
    shown = {}
    for name, entry in summary['sets'].items():
        ranks = [rank_of(row, directions) for row in rows if row['domain'] == name]
        positions = [ranked[0] for ranked in ranks if ranked is not None]
        if positions:
            label = labels[min(positions)]
            found = entry['metrics'][label]
            shown[name] = (label, {kind: [(item, strips[item['index']]) for item in found[kind]
                                          if item['index'] in strips] for kind in ('worst', 'best')})
    return shown


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _goodness(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
