"""The page of a test report: one file, readable without a network."""

import base64
import html
import math

import numpy as np

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
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee5; --card: #f6f8fa; --back: #fff;
  --main: #1f6feb; --input: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e8ee; --soft: #9aa6b2; --line: #313943; --card: #161c24;
  --back: #0e1218; --main: #58a6ff; --input: #d9a441; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; color: var(--ink);
  background: var(--back); margin: 0 auto; padding: 24px 20px 60px; max-width: 1080px; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; } .soft { color: var(--soft); } .small { font-size: .86rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .8rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
.strips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); gap: 14px 20px; }
figure { margin: 0; } figure img { width: 100%; height: auto; display: block; border-radius: 4px; }
figcaption { font-size: .86rem; color: var(--soft); overflow-wrap: anywhere; } figcaption b { color: var(--ink); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 .8em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .86rem; margin: .6rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--soft); font-size: 12px; }
@media (max-width: 600px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
"""


def report_page(summary, rows, shown):
    """Return ``report.html``: table, distributions, strips of the worst and best images, provenance.

    The page needs nothing but itself: pictures are in it, and it has no scripts.

    Args:
        summary (dict): See :func:`~restorekit.evaluation.report.summarise`.
        rows (list[dict]): Of the test.
        shown (dict): Of :func:`~restorekit.evaluation.report.shown_strips`.
    """
    header, *lines = table(summary)
    parts = ['<!doctype html><html lang="en"><head><meta charset="utf-8">'
             '<meta name="viewport" content="width=device-width, initial-scale=1">'
             f'<title>Test report: {_text(", ".join(summary["sets"]))}</title><style>{STYLE}</style></head><body>',
             '<h1>Test report</h1>', *(f'<p class="soft">{_text(line)}</p>' for line in provenance_sentences(summary)),
             '<div class="wide"><table><thead><tr>', *(f'<th>{_text(cell)}</th>' for cell in header),
             '</tr></thead><tbody>']
    parts += ['<tr>' + ''.join(f'<td>{_text(cell)}</td>' for cell in line) + '</tr>' for line in lines]
    parts += ['</tbody></table></div>', *(f'<p><b>Warning:</b> {_text(line)}</p>' for line in
                                          not_finite_sentences(summary)), '<dl class="soft">',
              *(f'<dt><b>{_text(term)}</b></dt><dd>{_text(meaning)}</dd>' for term, meaning in NOTES), '</dl>']
    for name, entry in summary['sets'].items():
        parts.append(f'<h2>{_text(name)}</h2><p class="soft">{entry["images"]} images'
                     f'{_broken(entry["broken"])}</p>')
        label, strips = shown.get(name, (None, {}))
        if label is None:
            parts.append('<p>No metric could be measured on this set: its images have no ground truth, could not be '
                         'read or are too small.</p>')
            continue
        digits = digits_of(entry['metrics'][label]['mean'])
        parts.append(_distribution(rows, summary, name, label, digits))
        for kind in ('worst', 'best'):
            if strips[kind]:
                parts.append(f'<h3>{kind.capitalize()} by {_text(label)}</h3><p class="soft small">From left to right: '
                             'input, restored, truth (if there is one).</p><div class="strips">')
                unit = summary['definitions'][label]['unit']
                parts += [_figure(item, data, unit, digits) for item, data in strips[kind]]
                parts.append('</div>')
    parts.append('<h2>Where the numbers come from</h2><div class="card"><dl>')
    parts += [f'<dt>{_text(key)}</dt><dd>{_text(value)}</dd>' for key, value in provenance_items(summary)]
    parts.append('</dl></div></body></html>\n')
    return '\n'.join(parts)


def _figure(item, data, unit, digits):
    unit = f' {unit}'.rstrip()
    given = '' if item['input'] is None else f', input {number(item["input"], digits)}{unit}'
    shown = 'not finite' if item['value'] is None else f'{number(item["value"], digits)}{unit}'
    image = f'data:image/jpeg;base64,{base64.b64encode(data).decode()}'
    return (f'<figure><img alt="input, restored and truth of {_text(item["image"])}" src="{image}">'
            f'<figcaption><b>{shown}</b>{given} · {_text(item["image"])}'
            '</figcaption></figure>')


def _distribution(rows, summary, name, label, digits):
    """A histogram of the images' numbers, restored and input, as a drawing in the page."""
    position = list(summary['definitions']).index(label)
    definition = summary['definitions'][label]
    pairs = [row['values'][position] for row in rows if row['domain'] == name]
    series = [[pair[i] for pair in pairs if None not in (pair[0], pair[i]) and math.isfinite(pair[i])] for i in (0, 1)]
    both = series[0] + series[1]
    if not both:
        return ''
    low, high = min(both), max(both)
    margin = (high - low) * 0.02 or max(abs(low), 1) * 0.01
    low, high = low - margin, high + margin
    bins = min(MAX_BINS, max(8, round(2 * math.sqrt(len(series[0])))))
    counts = [np.histogram(values, bins, (low, high))[0] for values in series]
    top, width, height, left = max(1, *map(max, counts)), 640, 130, 34
    step = (width - left) / bins
    bars = []
    for count, colour, offset in zip(counts, ('--main', '--input'), (0.06, 0.5), strict=True):
        for i, n in enumerate(count):
            if n:
                tall = height * n / top
                bars.append(f'<rect x="{left + (i + offset) * step:.1f}" y="{height + 10 - tall:.1f}" '
                            f'width="{step * 0.44:.1f}" height="{tall:.1f}" style="fill:var({colour})"/>')
    ticks = []
    for i in range(5):
        anchor = ('start', 'middle', 'middle', 'middle', 'end')[i]
        ticks.append(f'<text x="{left + (width - left) * i / 4:.1f}" y="{height + 27}" text-anchor="{anchor}">'
                     f'{number(low + (high - low) * i / 4, min(digits, 3))}</text>')
    legend = '<span class="key" style="background:var(--main)"></span>restored'
    if series[1]:
        legend += '<span class="key" style="background:var(--input)"></span>input'
    unit = f' in {definition["unit"]}' if definition['unit'] else ''
    return (f'<p class="small">{_text(label)}{unit}: how many images reach which number {legend}</p>'
            f'<svg viewBox="0 0 {width} {height + 32}" width="{width}" role="img" '
            f'aria-label="distribution of {_text(label)} on {_text(name)}">'
            f'<line x1="{left}" x2="{width}" y1="{height + 10}" y2="{height + 10}" style="stroke:var(--line)"/>'
            f'<text x="{left - 6}" y="20" text-anchor="end">{top}</text>'
            f'<text x="{left - 6}" y="{height + 12}" text-anchor="end">0</text>{"".join(bars)}{"".join(ticks)}</svg>')


def _broken(names):
    if not names:
        return ''
    listed = ', '.join(map(_text, names[:5]))
    return f', {len(names)} of which could not be read: {listed}{" ..." if len(names) > 5 else ""}'


def _text(text):
    return html.escape(str(text))
