"""The report of a study: one page, readable without a network, and the same tables as Markdown."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

from restorekit.files.names import file_name
from restorekit.text_table import markdown_table

from .report_page import STYLE
from .report_tables import digits_of, number

COLOURS = ('#1f6feb', '#9a6700', '#1a7f37', '#cf222e', '#8250df', '#0598bc', '#bf3989', '#57606a')
NOTES = (
    ('mean ± sd', 'mean over seeds and images of the left-out domain; standard deviation over the seeds'),
    ('95 % interval', 'bootstrap over seeds and images, each drawn independently; with three seeds it is too narrow'),
    ('difference', 'variant minus baseline on the same seeds and images; a positive one is better'),
    ('p', 'corrected by Holm over all rows of the table. Of a domain: the larger of a sign-flip test over images and a '
     't test over seeds, so that a small one speaks of other images and other seeds. Of all domains: a sign-flip test '
     'over the cells (domain, seed)'),
    ('verdict', 'better or worse where p is below 0.05 and the interval of the difference excludes 0; else open'),
    ('wins', 'cells (domain, seed), or seeds of a domain, in which the variant is better than the baseline'),
    ('others', 'mean over the domains that were trained on; its difference beside it'),
    ('detectable', 'the difference to the baseline that a t test over so many seeds finds in 8 of 10 studies'))


def _tables(summary: dict[str, Any]) -> list[tuple[str, list[list[str]]]]:
    """Return (title, rows) of every table, header first."""
    study, tables = summary['study'], []
    domains = list(next(iter(summary['cells'].values())))
    tables.append(('Cells filled', [['variant', *domains], *(
        [name, *(f'{done} of {total}' for done, total in (cell[domain] for domain in domains))]
        for name, cell in summary['cells'].items())]))
    for label, found in summary['metrics'].items():
        unit = f', {found["unit"]}' if found['unit'] else ''
        rows = [['variant', 'mean', f'difference to {study["baseline"]}', '95 % interval', 'p', 'verdict', 'wins',
                 'others']]
        for row in found['overall']:
            digits = digits_of(row['mean'])
            rows.append([row['variant'], number(row['mean'], digits), _signed(row['difference'], digits),
                         _interval(row['low_difference'], row['high_difference'], digits), _p(row['p_holm']),
                         row['verdict'] or '', f'{row["wins"]} of {row["cells"]}' if row['cells'] else '',
                         number(row['others'], digits)])
        if len(rows) > 1:
            tables.append((f'{label}{unit}: mean over the left-out domains', rows))
        rows = [['left out', 'variant', 'seeds', 'images', 'mean ± sd', '95 % interval', 'difference',
                 '95 % interval', 'p', 'verdict', 'wins', 'others']]
        for domain in domains:
            mine = [row for row in found['rows'] if row['domain'] == domain]
            if mine and mine[0]['input'] is not None:
                rows.append([domain, '(input)', '', str(mine[0]['images']),
                             number(mine[0]['input'], digits_of(mine[0]['mean'])), *[''] * 7])
            rows += [_line(row) for row in mine]
        tables.append((f'{label}{unit}: each left-out domain', rows))
        rows = [['left out', 'seeds', 'images', 'sd over seeds', 'standard error', 'detectable',
                 f'seeds to see {study["target"]}']]
        for row in found['power'] if label == summary['metric'] else ():
            rows.append([row['domain'], str(row['seeds']), str(row['images']), number(row['sd'], 3),
                         number(row['standard_error'], 3), number(row['detectable'], 2),
                         'more than 60' if row['seeds_needed'] is None and row['sd'] is not None
                         else number(row['seeds_needed'], 0)])
        if len(rows) > 1:
            tables.append((f'{label}{unit}: what the runs of {study["baseline"]} alone say can be seen', rows))
    tables.append(('Cost', [['variant', 'seconds per job', f'times {study["baseline"]}'], *(
        [name, number(cost['seconds'], 1), number(cost['times'], 2)] for name, cost in summary['cost'].items())]))
    trials = [[name, *(str(cell[domain]) for domain in domains)] for name, cell in summary['chosen'].items()]
    if any(text != '0' for row in trials for text in row[1:]):
        tables.append(('Trial reported, chosen by the validation of the domains trained on',
                       [['variant', *domains], *trials]))
    return tables


def _line(row):
    digits = digits_of(row['mean'])
    spread = '' if row['sd'] is None else f' ± {row["sd"]:.{digits}f}'
    others = number(row['others'], digits)
    if row['others_difference'] is not None:
        others += f' ({row["others_difference"]:+.{digits}f})'
    return [row['domain'], row['variant'], str(row['seeds']), str(row['images']), f'{row["mean"]:.{digits}f}{spread}',
            _interval(row['low'], row['high'], digits), _signed(row['difference'], digits),
            _interval(row['low_difference'], row['high_difference'], digits), _p(row['p_holm']), row['verdict'] or '',
            '' if row['wins'] is None else f'{row["wins"]} of {row["seeds_compared"]}', others]


def study_markdown(summary: dict[str, Any]) -> str:
    """Return ``report.md``: hypothesis, analysis and every table."""
    study = summary['study']
    text = [f'# Study {study["file"]}', '', f'{summary["finished"]} of {summary["jobs"]} jobs are finished.', '',
            f'**Hypothesis.** {study["hypothesis"].strip()}', '', f'**Analysis.** {study["analysis"].strip()}', '']
    text += [f'**Diverged:** {name}: {reason}\n' for name, reason in summary['failed'].items()]
    for title, rows in _tables(summary):
        text += [f'## {title}', '', markdown_table(rows, left=(0, 1) if rows[0][1] == 'variant' else (0,)), '']
    return '\n'.join([*text, *(f'- {term}: {meaning}' for term, meaning in NOTES)]) + '\n'


def study_page(summary: dict[str, Any], out: str | Path) -> str:
    """Return ``report.html``: the tables, the curves and the worst regressions; pictures are in it, scripts are not.

    Args:
        summary: Of :func:`~restorekit.evaluation.study_summary.summarise_study`.
        out: The study's folder, with the pictures of its jobs.
    """
    study = summary['study']
    parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8">'
             '<meta name="viewport" content="width=device-width, initial-scale=1">'
             f'<title>Study {_text(study["file"])}</title><style>{STYLE}</style></head><body>',
             f'<h1>Study {_text(study["file"])}</h1>',
             f'<p class="soft">{summary["finished"]} of {summary["jobs"]} jobs are finished.</p>',
             f'<p><b>Hypothesis.</b> {_text(study["hypothesis"].strip())}</p>'
             f'<p><b>Analysis.</b> {_text(study["analysis"].strip())}</p>']
    parts += [f'<p><b>Diverged:</b> {_text(name)}: {_text(reason)}</p>' for name, reason in summary['failed'].items()]
    for title, rows in _tables(summary):
        parts.append(f'<h2>{_text(title)}</h2>' + _html_table(rows))
    parts.append('<dl class="soft">' + ''.join(f'<dt><b>{_text(term)}</b></dt><dd>{_text(meaning)}</dd>'
                                               for term, meaning in NOTES) + '</dl>')
    if summary['curves']:
        names = list(summary['cells'])
        legend = ''.join(f'<span class="key" style="background:{COLOURS[i % len(COLOURS)]}"></span>{_text(name)}'
                         for i, name in enumerate(names))
        parts.append(f'<h2>Course of training</h2><p class="small">{_text(summary["metric"])} on the left-out domain, '
                     f'mean over seeds, by iteration {legend}</p>')
        parts += [f'<h3>{_text(domain)}</h3>' + _chart(lines, names) for domain, lines in summary['curves'].items()]
    pictures = [_regression(entry, Path(out), summary) for entry in summary['regressions']]
    if any(pictures):
        parts.append(f'<h2>Worst regressions</h2><p class="soft small">Above {_text(study["baseline"])}, below the '
                     'variant; from left to right: input, restored, truth.</p><div class="strips">'
                     + ''.join(pictures) + '</div>')
    return '\n'.join([*parts, '</body></html>\n'])


def _regression(entry, out, summary):
    images = []
    for folder, name in ((entry['baseline_folder'], summary['study']['baseline']), (entry['folder'], entry['variant'])):
        path = out / folder / 'pictures' / file_name(entry['set']) / f'{file_name(entry["image"])}.jpg'
        if not path.is_file():
            return ''
        data = base64.b64encode(path.read_bytes()).decode()
        images.append(f'<img alt="input, restored by {_text(name)}, truth" src="data:image/jpeg;base64,{data}">')
    digits = digits_of(entry['value'])
    return (f'<figure>{"".join(images)}<figcaption><b>{_signed(entry["difference"], digits)}</b> '
            f'({number(entry["baseline"], digits)} to {number(entry["value"], digits)}) · {_text(entry["variant"])}, '
            f'{_text(entry["set"])} {_text(entry["image"])}, seed {entry["seed"]}</figcaption></figure>')


def _chart(lines, names):
    """Curves as a drawing in the page."""
    points = [point for line in lines.values() for point in line]
    xs, ys = zip(*points, strict=True)
    low, high, first, last = min(ys), max(ys), min(xs), max(xs)
    margin = (high - low) * 0.05 or max(abs(low), 1) * 0.01
    low, high = low - margin, high + margin
    left, width, height = 52, 640, 180

    def place(x, y):
        across = (x - first) / (last - first) if last > first else 0.5
        return f'{left + (width - left - 8) * across:.1f},{10 + height * (high - y) / (high - low):.1f}'

    drawn = []
    for name, line in lines.items():
        colour = COLOURS[names.index(name) % len(COLOURS)]
        joined = ' '.join(place(*point) for point in line)
        drawn.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in
                  (place(*point).split(',') for point in line)]
    digits = digits_of(high)
    ticks = [f'<text x="{left - 6}" y="{14 + height * i / 2:.0f}" text-anchor="end">'
             f'{number(high - (high - low) * i / 2, digits)}</text>' for i in range(3)]
    ticks += [f'<text x="{x}" y="{height + 28}" text-anchor="{anchor}">{value}</text>'
              for x, value, anchor in ((left, first, 'start'), (width - 8, last, 'end'))]
    return (f'<svg viewBox="0 0 {width} {height + 34}" width="{width}" role="img" aria-label="curves">'
            f'<line x1="{left}" x2="{width}" y1="{height + 10}" y2="{height + 10}" style="stroke:var(--line)"/>'
            f'{"".join(drawn)}{"".join(ticks)}</svg>')


def _html_table(rows):
    header, *lines = rows
    return ('<div class="wide"><table><thead><tr>' + ''.join(f'<th>{_text(cell)}</th>' for cell in header)
            + '</tr></thead><tbody>' + ''.join('<tr>' + ''.join(f'<td>{_text(cell)}</td>' for cell in line) + '</tr>'
                                               for line in lines) + '</tbody></table></div>')


def _interval(low, high, digits):
    return '' if low is None else f'{low:.{digits}f} to {high:.{digits}f}'


def _signed(value, digits):
    return '' if value is None else f'{value:+.{digits}f}'


def _p(value):
    return '' if value is None else f'{value:.3f}' if value >= 0.001 else f'{value:.0e}'


def _text(text):
    return html.escape(str(text))
