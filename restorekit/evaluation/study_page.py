"""The report of a study: one page, readable without a network, and the same tables as Markdown."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from restorekit.files.names import file_name
from restorekit.text_table import markdown_table

from .report_tables import digits_of, number

WIDTH, HEIGHT, LEFT = 640, 180, 52  # of a chart, in pixels; room for the numbers of its axis
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
    ('detectable', 'the difference to the baseline that a t test over so many seeds finds in 8 of 10 studies'),
    ('sd of seeds alone', 'what would be left of the sd over seeds with any number of test images; that of single '
     'images falls with the root of their number. Rough for few seeds'),
    ('images', 'test images with which so many seeds see the difference; rendered domains can have any number'))


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
                 f'seeds to see {study["detect"]}', 'sd of seeds alone', 'sd of single images',
                 f'images to see {study["detect"]}']]
        for row in found['power'] if label == summary['metric'] else ():
            rows.append([row['domain'], str(row['seeds']), str(row['images']), number(row['sd'], 3),
                         number(row['standard_error'], 3), number(row['detectable'], 2),
                         'more than 60' if row['seeds_needed'] is None and row['sd'] is not None
                         else number(row['seeds_needed'], 0),
                         *(('', '', '') if row['parts'] is None else
                           (*(number(part, 3) for part in row['parts']), 'needs more seeds'
                            if row['images_needed'] is None else str(row['images_needed'])))])
        if len(rows) > 1:
            tables.append((f'{label}{unit}: what the runs of {study["baseline"]} alone say can be seen', rows))
    tables.append(('Cost', [['variant', 'seconds per job', f'times {study["baseline"]}'], *(
        [name, number(cost['seconds'], 1), number(cost['times'], 2)] for name, cost in summary['cost'].items())]))
    keys = sorted({key for logged in summary['logged'].values() for key in logged})
    if keys:
        tables.append(('What training logged: mean over iterations (end over start)', [['variant', *keys], *(
            [name, *(_logged(logged.get(key)) for key in keys)] for name, logged in summary['logged'].items())]))
    trials = [[name, *(str(cell[domain]) for domain in domains)] for name, cell in summary['chosen'].items()]
    if any(text != '0' for row in trials for text in row[1:]):
        tables.append(('Trial reported, chosen by the validation of the domains trained on',
                       [['variant', *domains], *trials]))
    return tables


def _logged(entry):
    if entry is None:
        return ''
    return f'{entry[0]:.3g}' + ('' if entry[1] is None else f' ({entry[1]:.2f})')


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
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              keep_trailing_newline=True, loader=FileSystemLoader(Path(__file__).parent))
    names = list(summary['cells'])
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    charts = [(domain, _chart(lines, colours)) for domain, lines in summary['curves'].items()
              if any(len(points) > 1 for points in lines.values())]  # one validation is no course
    figures = [figure for entry in summary['regressions'] if (figure := _figure(entry, Path(out), summary))]
    return environment.get_template('study_page.html.j2').render(
        summary=summary, study=summary['study'], tables=_tables(summary), notes=NOTES, colours=colours, charts=charts,
        figures=figures, width=WIDTH, height=HEIGHT, left=LEFT)


def _figure(entry, out, summary):
    """Two strips, the baseline's above the variant's; None where a job has no pictures."""
    strips = []
    for folder, name in ((entry['baseline_folder'], summary['study']['baseline']), (entry['folder'], entry['variant'])):
        path = out / folder / 'pictures' / file_name(entry['set']) / f'{file_name(entry["image"])}.jpg'
        if not path.is_file():
            return None
        strips.append((name, base64.b64encode(path.read_bytes()).decode()))
    digits = digits_of(entry['value'])
    return dict(strips=strips, difference=_signed(entry['difference'], digits),
                change=f'{number(entry["baseline"], digits)} to {number(entry["value"], digits)}',
                what=f'{entry["variant"]}, {entry["set"]} {entry["image"]}, seed {entry["seed"]}')


def _chart(lines, colours):
    """Points and ticks of the curves of one domain, in pixels."""
    xs, ys = zip(*(point for line in lines.values() for point in line), strict=True)
    low, high, first, last = min(ys), max(ys), min(xs), max(xs)
    margin = (high - low) * 0.05 or max(abs(low), 1) * 0.01
    low, high = low - margin, high + margin

    def place(x, y):
        across = (x - first) / (last - first) if last > first else 0.5
        return round(LEFT + (WIDTH - LEFT - 8) * across, 1), round(10 + HEIGHT * (high - y) / (high - low), 1)

    digits = digits_of(high)
    return dict(lines=[(colours[name], [place(*point) for point in line]) for name, line in lines.items()],
                levels=[(14 + HEIGHT * i / 2, number(high - (high - low) * i / 2, digits)) for i in range(3)],
                first=first, last=last)


def _interval(low, high, digits):
    return '' if low is None else f'{low:.{digits}f} to {high:.{digits}f}'


def _signed(value, digits):
    return '' if value is None else f'{value:+.{digits}f}'


def _p(value):
    return '' if value is None else f'{value:.3f}' if value >= 0.001 else f'{value:.0e}'
