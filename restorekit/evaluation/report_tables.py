"""The tables and sentences of a test report."""

from __future__ import annotations

import re
from typing import Any

from restorekit.text_table import markdown_table


def table(summary: dict[str, Any]) -> list[list[str]]:
    """Return the lines of the main table, header first: set, metric, n, mean ± sd, interval, input, gain."""
    lines = [['set', 'metric', 'n', 'mean ± sd', '95 % interval', 'input', 'gain']]
    for name, entry in summary['sets'].items():
        for label, found in entry['metrics'].items():
            definition = summary['definitions'][label]
            digits = digits_of(found['input_mean'] if found['mean'] is None else found['mean'])
            if not found['n']:
                lines.append([name, label, '0', 'not measured', '', '', ''])
                continue
            mean, given = found['mean'], found['input_mean']
            arrow = '↑' if definition['higher_is_better'] else '↓'
            spread = '' if found['sd'] is None else f' ± {found["sd"]:.{digits}f}'
            failed, inputs_failed = (f'not finite ({found[key]} of {found["n"]})' if found.get(key) else ''
                                     for key in ('not_finite', 'input_not_finite'))
            lines.append([
                name, f'{label} {arrow}', str(found['n']), failed or f'{number(mean, digits)}{spread}',
                '' if found['low'] is None else f'{found["low"]:.{digits}f} to {found["high"]:.{digits}f}',
                inputs_failed or number(given, digits), '' if None in (mean, given) else f'{mean - given:+.{digits}f}'])
    return lines


def not_finite_sentences(summary: dict[str, Any]) -> list[str]:
    """Return a warning for each set and metric that gave no finite number for some images."""
    sentences = []
    for name, entry in summary['sets'].items():
        for label, found in entry['metrics'].items():
            if found.get('not_finite'):
                images = [item['image'] for kind in ('worst', 'best') for item in found[kind] if item['value'] is None]
                shown = ', '.join(images[:3]) + (', ...' if found['not_finite'] > len(images[:3]) else '')
                sentences.append(f'{name}, {label}: not finite on {found["not_finite"]} of {found["n"]} images '
                                 f'({shown}), so there is no mean')
    return sentences


def markdown(summary: dict[str, Any]) -> str:
    """Return ``summary.md``: the table, the worst and best images, and what the numbers depend on."""
    header, *lines = table(summary)
    text = ['# Test report', '', *map(escaped, provenance_sentences(summary)), '',
            markdown_table([header, *([escaped(cell) for cell in line] for line in lines)], left=(0, 1)), '',
            *(f'**Warning:** {escaped(sentence)}\n' for sentence in not_finite_sentences(summary)),
            *(f'- {term}: {meaning}' for term, meaning in NOTES), '']
    for name, entry in summary['sets'].items():
        text += [f'## {escaped(name)}', '']
        if entry['broken']:
            text += [f'{len(entry["broken"])} images could not be read: {", ".join(map(_code, entry["broken"][:5]))}'
                     f'{" ..." if len(entry["broken"]) > 5 else ""}', '']
        for label, found in entry['metrics'].items():
            digits = digits_of(found['mean'])
            for kind in ('worst', 'best'):
                if found[kind]:
                    items = ', '.join(f'{_code(item["image"])} {number(item["value"], digits) or "not finite"}'
                                      for item in found[kind])
                    text += [f'- {kind} by {escaped(label)}: {items}']
        text += ['']
    text += ['## Where the numbers come from', '']
    text += [f'- {escaped(key)}: {escaped(value)}' for key, value in provenance_items(summary)]
    return '\n'.join(text) + '\n'


def escaped(text: object) -> str:
    """Text that Markdown shows as it is; an underscore inside a word needs no escape."""
    text = ' '.join(str(text).splitlines())
    return re.sub(r'[\\`*\[\]<>|#~&]|(?<![^\W_])_|_(?![^\W_])', r'\\\g<0>', text)


def _code(text: str) -> str:
    """Text as code in Markdown; its fence is longer than any in the text."""
    text = ' '.join(text.splitlines())
    fence = '`' * (1 + max(map(len, re.findall('`+', text)), default=0))
    return f'{fence} {text} {fence}' if len(fence) > 1 else f'`{text}`'


NOTES = (
    ('mean ± sd', 'over the images of the set. ↑ larger is better, ↓ smaller is better; the part after @ is '
     'the protocol: how it was measured'),
    ('95 % interval', 'where the mean would lie had other images like these been drawn (bootstrap); with few images it '
     'is too narrow'),
    ('input', 'the degraded image itself: what doing nothing scores'),
    ('gain', 'mean minus input'),
    ('A beats B?', 'Overlapping intervals do not answer that. Compare two reports image by image: '
     'restorekit compare A B'),
    ('every image', 'has a line in per_image.csv, beside this file'))


def provenance_sentences(summary: dict[str, Any]) -> list[str]:
    """Return one paragraph that says what was tested."""
    record = summary['provenance']
    return [f'Measured: {record["model"]}. Sets: {", ".join(summary["sets"])}. Date: {record["date"]}.']


def provenance_items(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (what, value) pairs, as text, of everything the numbers depend on."""
    record = summary['provenance']
    items = [('command', record['command']), ('config', f'{record["config"]} (sha256 {record["config_sha256"]})')]
    items.append(('model', record['model'] if record['checkpoint_sha256'] is None else
                  f'{record["model"]} (sha256 {record["checkpoint_sha256"]})'))
    items += [(f'images of {name}', f'{entry["images"]}, list {entry["list_hash"]}')
              for name, entry in summary['sets'].items()]
    protocols = {label.rpartition('@')[2]: definition for label, definition in summary['definitions'].items()
                 if definition['protocol']}
    for name, definition in protocols.items():
        settings = ', '.join(f'{key} {value}' for key, value in definition['protocol'].items())
        items.append((f'protocol {name}', f'{settings} (fingerprint {definition["fingerprint"]})'))
    items.append(('versions', ', '.join(f'{name} {version}' for name, version in record['versions'].items())))
    items.append(('image decoders', ', '.join(f'{name} {version}' for name, version in record['decoders'].items())))
    items.append(('device', f'{record["device"]}; {record["processes"]} process(es) of {record["threads"]} thread(s)'))
    return items + [('date', record['date'])]


def digits_of(mean: float | None) -> int:
    """Decimals that numbers around ``mean`` are shown with."""
    return 4 if mean is None or abs(mean) < 2 else 2


def number(value: float | None, digits: int) -> str:
    """Return a number as text; '' for None."""
    return '' if value is None else f'{value:.{digits}f}'
