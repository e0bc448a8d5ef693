"""Several reports in one table: methods by sets and metrics, seeds of one method together."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from restorekit.messages import InputError
from restorekit.text_table import latex_table, markdown_table

from .comparison import ALPHA, NotComparableError, differences
from .report_reader import Images, read_report, safe_cell
from .report_tables import digits_of, escaped
from .statistics import bootstrap_interval, holm, sign_flip_test

FORMATS = ('markdown', 'latex', 'csv')


def tabulate_reports(methods: Mapping[str, Sequence[str | Path]]) -> dict[str, Any]:
    """Put the reports of several methods into one table.

    Only what all reports measured alike is tabulated: metrics whose protocols have the same settings, sets of the same
    list of images, and of these the images that every report has.

    Args:
        methods (Mapping[str, Sequence]): By the method's name, the folders of its reports; several are seeds.

    Returns:
        dict: ``methods``; ``rows``, one dict per set and metric: set, label, unit, higher_is_better, n (images),
        ``means`` (by method; over the images, then over the seeds; None where a number is not finite), ``sds`` (by
        method, the standard deviation of the seeds' means; None for one seed), ``intervals`` (by method, 95 %, of a
        bootstrap over images with each image's number averaged over seeds), ``best`` and ``second`` (lists of
        methods that tie as shown), and ``p``, ``p_holm``: of the paired sign-flip test, over images, between the best
        method and the next, each image's number averaged over seeds; ``missing``, what not every report measured.

    Raises:
        MissingFileError: If a folder holds no finished report.
        NotComparableError: If two reports did not measure the same thing; names both and what differs.
    """
    read = [(name, path, *read_report(path)) for name, paths in methods.items() for path in paths]
    _, first_path, first, _ = read[0]
    for _, path, summary, _ in read[1:]:
        problems = differences(first, summary)
        if problems:
            raise NotComparableError(f'{first_path} (A) and {path} (B) cannot be compared. {". ".join(problems)}.')
    missing = []
    for what, place in (('the set', 'sets'), ('the metric', 'definitions')):
        for name in dict.fromkeys(name for _, _, summary, _ in read for name in summary[place]):
            lacking = [str(path) for _, path, summary, _ in read if name not in summary[place]]
            missing += [f'{what} {name}: not in {", ".join(lacking)}'] * bool(lacking)
    rows = []
    for name in first['sets']:
        for label in first['definitions']:
            if all(name in summary['sets'] and label in summary['definitions'] for _, _, summary, _ in read):
                rows += _row(name, label, first['definitions'][label], methods,
                             [(method, images) for method, _, _, images in read])
    if not rows:
        raise NotComparableError(f'these {len(read)} reports share no image that all of them measured')
    tested = [row for row in rows if row['p'] is not None]
    for row, p in zip(tested, holm([row['p'] for row in tested]), strict=True):
        row['p_holm'] = p
    return dict(methods=list(methods), rows=rows, missing=missing, alpha=ALPHA)


def _row(name: str, label: str, definition: dict[str, Any], methods: Mapping[str, Sequence[str | Path]],
         read: list[tuple[str, Images]]) -> list[dict[str, Any]]:
    """The row of one set and metric; none without a common image."""
    shared = [image for image, values in read[0][1].items() if image[0] == name and label in values
              and all(label in images.get(image, ()) for _, images in read)]
    if not shared:
        return []
    values = {method: np.array([[images[image][label] for image in shared] for other, images in read
                                if other == method]) for method in methods}  # (seeds, images)
    finite = {method: found for method, found in values.items() if np.isfinite(found).all()}
    means = {method: math.fsum(found.ravel()) / found.size if method in finite else None
             for method, found in values.items()}
    sds = {method: float(found.mean(axis=1).std(ddof=1)) if method in finite and len(found) > 1 else None
           for method, found in values.items()}
    intervals = {method: bootstrap_interval(found.mean(axis=0).tolist()) if method in finite else None
                 for method, found in values.items()}
    higher = definition['higher_is_better']
    order = sorted(finite, key=lambda method: means[method] or 0.0, reverse=higher)
    best, second = _leaders(order, means)
    p = None
    if len(order) > 1:
        p = sign_flip_test((finite[order[0]].mean(axis=0) - finite[order[1]].mean(axis=0)).tolist())
    return [dict(set=name, label=label, unit=definition['unit'], higher_is_better=higher, n=len(shared), means=means,
                 sds=sds, intervals=intervals, best=best, second=second, p=p, p_holm=None)]


def _leaders(order: list[str], means: dict[str, float | None]) -> tuple[list[str], list[str]]:
    """The methods that are best and second as shown, ties included; a tie for the best leaves no second."""
    shown = {method: _number(means[method]) for method in order}
    best = [method for method in order if shown[method] == shown[order[0]]]
    rest = [method for method in order if method not in best]
    second = [method for method in rest if shown[method] == shown[rest[0]]] if len(best) == 1 else []
    return best, second


def format_table(found: dict[str, Any], kind: str = 'markdown', *, extra: Mapping[str, Mapping[str, str]] | None = None,
                 intervals: bool = False) -> str:
    """Return what :func:`tabulate_reports` found as text: a line per method, a column per set and metric.

    The best number is bold and the second underlined; the standard deviation of seeds follows the mean. CSV has plain
    numbers, and a column of the deviation where there are seeds.

    Args:
        found (dict): Of :func:`tabulate_reports`.
        kind (str): 'markdown', 'latex' or 'csv'.
        extra (Mapping, optional): Further columns: by title, texts by method.
        intervals (bool): Also show the 95 % intervals (not in CSV).
    """
    extra = extra or {}
    if kind not in FORMATS:
        raise InputError(f'the format of a table must be one of {", ".join(map(repr, FORMATS))}, but got {kind!r}')
    if kind == 'csv':
        return _csv(found, extra)
    latex = kind == 'latex'
    arrows = (r'$\uparrow$', r'$\downarrow$') if latex else ('↑', '↓')
    marks = (r'\textbf{%s}', r'\underline{%s}') if latex else ('**%s**', '<u>%s</u>')
    between = r' $\pm$ ' if latex else ' ± '
    text = _latex_text if latex else escaped

    def cell(row: dict[str, Any], method: str) -> str:
        mean, sd = row['means'][method], row['sds'][method]
        shown = '-' if mean is None else _number(mean)
        shown = marks[0] % shown if method in row['best'] else marks[1] % shown if method in row['second'] else shown
        shown = shown if sd is None else f'{shown}{between}{sd:.{digits_of(mean)}f}'
        ends = row['intervals'][method] if intervals else None
        return shown if ends is None else f'{shown} ({" to ".join(f"{end:.{digits_of(mean)}f}" for end in ends)})'

    header = ['method', *(f'{text(row["set"])} {text(row["label"])} {arrows[not row["higher_is_better"]]}'
                          for row in found['rows']), *map(text, extra)]
    lines = [[text(method), *(cell(row, method) for row in found['rows']),
              *(text(column.get(method, '-')) for column in extra.values())] for method in found['methods']]
    return (latex_table if latex else markdown_table)([header, *lines])


def close_calls(found: dict[str, Any]) -> list[str]:
    """Return a sentence for each set and metric whose best method cannot be told from the second."""
    return [f'{row["set"]}, {row["label"]}: the best and the second method cannot be told apart (n = {row["n"]}, '
            f'p = {row["p_holm"]:.2g})' for row in found['rows']
            if row['p_holm'] is not None and row['p_holm'] >= found['alpha']]


def _csv(found: dict[str, Any], extra: Mapping[str, Mapping[str, str]]) -> str:
    columns = [(row, key) for row in found['rows'] for key in ('means', 'sds')
               if key == 'means' or any(sd is not None for sd in row['sds'].values())]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['method', *(safe_cell(f'{row["set"]} {row["label"]}{" sd" * (key == "sds")}')
                                 for row, key in columns), *map(safe_cell, extra)])
    for method in found['methods']:
        writer.writerow([safe_cell(method), *('' if row[key][method] is None else repr(row[key][method])
                                              for row, key in columns),
                         *(safe_cell(column.get(method, '')) for column in extra.values())])
    return file.getvalue().rstrip('\n')


def _number(mean: float | None) -> str:
    return '-' if mean is None else f'{mean:.{digits_of(mean)}f}'


def _latex_text(text: str) -> str:
    replaced = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}'}
    return re.sub(r'[\\~^&%$#_{}]', lambda found: replaced.get(found[0], '\\' + found[0]), text)
