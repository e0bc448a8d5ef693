"""Which of two test reports is better, image by image."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from restorekit.files.names import terminal_text
from restorekit.messages import InputError
from restorekit.text_table import text_table

from .protocols import check_comparable, differing_settings
from .provenance import METRIC_LIBRARIES
from .report_reader import Images, read_report
from .report_tables import digits_of
from .statistics import bootstrap_interval, holm, least_p, sign_flip_test

ALPHA = 0.05


class NotComparableError(InputError):
    """Two reports measured different things."""


def compare_reports(a: str | Path, b: str | Path) -> dict[str, Any]:
    """Compare two reports by set and metric.

    Only what was measured alike is compared: metrics of the same name whose protocols have the same settings, on sets
    of the same list of images. The difference is B minus A, on images paired by set and name; its interval is a
    bootstrap over images, its p value a paired sign-flip test, adjusted by Holm over all rows.

    Args:
        a (str | Path): Folder of report A.
        b (str | Path): Folder of report B.

    Returns:
        dict: ``rows``, one dict per set and metric: set, label, n, mean_a, mean_b, difference, low, high, p, p_holm,
        wins (images on which B is better), losses, ties, failed (images on which only A, and on which only B, is not
        finite), better ('a', 'b' or None, which it is with failed images), sentence; ``missing``, the sets, metrics and
        images that only one report measured, and ``cautions``, what makes the comparison doubtful, as text.

    Raises:
        FileNotFoundError: If a folder holds no finished report.
        NotComparableError: If nothing, or not the same thing under the same name, was measured; says what differs.
    """
    (summary_a, images_a), (summary_b, images_b) = read_report(a), read_report(b)
    problems = differences(summary_a, summary_b)
    if problems:
        raise NotComparableError(f'{a} and {b} cannot be compared. {". ".join(problems)}.')
    rows, missing, cautions = [], [], _library_cautions(summary_a, summary_b)
    labels = [label for label in summary_a['definitions'] if label in summary_b['definitions']]
    for what, place in (('the set', 'sets'), ('the metric', 'definitions')):
        found = summary_a[place], summary_b[place]
        missing += [f'{what} {name}: only in {report}' for report, here, there in ((a, *found), (b, *found[::-1]))
                    for name in here if name not in there]
    for name in summary_a['sets']:
        for label in labels if name in summary_b['sets'] else ():
            found_a, found_b = ({image: values[label] for (domain, image), values in images.items()
                                 if domain == name and label in values} for images in (images_a, images_b))
            missing += [f'{name}/{image}: {label} only in {report}' for report, one, other in
                        ((a, found_a, found_b), (b, found_b, found_a)) for image in one if image not in other]
            shared = [image for image in found_a if image in found_b]
            odd = [[image for image in shared if not math.isfinite(found[image])] for found in (found_a, found_b)]
            cautions += [f'{name}, {label}: not finite in {report} on {len(images)} of {len(shared)} images '
                         f'({", ".join(images[:3])}{", ..." if len(images) > 3 else ""}), which are left out'
                         for report, images in zip('AB', odd, strict=True) if images]
            paired = [(found_a[image], found_b[image]) for image in shared if image not in {*odd[0], *odd[1]}]
            if paired:
                cautions += _input_caution(name, label, images_a, images_b)
                rows.append(_row(name, label, paired, summary_a['definitions'][label]))
                rows[-1]['failed'] = [len({*one} - {*other}) for one, other in (odd, odd[::-1])]
    if not rows:
        raise NotComparableError(f'{a} and {b} share no image that both measured{": " * bool(cautions)}'
                                 f'{"; ".join(cautions)}')
    p_values = [row['p'] for row in rows]
    for i, (row, p) in enumerate(zip(rows, holm(p_values), strict=True)):
        row['p_holm'] = p
        least = holm([*p_values[:i], least_p(row['n']), *p_values[i + 1:]])[i]
        _judge(row, summary_a['definitions'][row['label']], least >= ALPHA, len(rows))
    return dict(rows=rows, missing=missing, cautions=cautions, alpha=ALPHA)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return sentences on what two summaries measured differently under the same names, or that they share nothing."""
    labels = [list(summary['definitions']) for summary in (one, other)]
    shared = [label for label in labels[0] if label in labels[1]]
    # without a common label the same quantity by other protocols says best why
    pairs = [(label, label) for label in shared] or \
        [(a, b) for a in labels[0] for b in labels[1] if a.partition('@')[0] == b.partition('@')[0]]
    problems: list[str] = []
    said: set[str] = set()
    for a, b in pairs:
        found = one['definitions'][a], other['definitions'][b]
        protocols = [definition['protocol'] for definition in found]
        try:
            check_comparable(a, b, *protocols, found[0].get('depends_on'))
        except (ValueError, TypeError) as error:
            differing = _differing(a, b, *protocols, found[0].get('depends_on'))
            if not differing or not said.issuperset(differing):  # each difference once
                problems.append(str(error).rstrip('.'))
            said.update(differing)
        options = [definition.get('options', {}) for definition in found]
        if a == b and options[0] != options[1]:
            problems.append(f'{a} was measured with the options {options[0]} in A and {options[1]} in B')
    if not pairs:
        problems.append(f'A measured {", ".join(labels[0])} and B {", ".join(labels[1])}')
    names = [name for name in one['sets'] if name in other['sets']]
    if not names:
        problems.append(f'A measured on {", ".join(one["sets"])} and B on {", ".join(other["sets"])}')
    for name in names:
        entries = [summary['sets'][name] for summary in (one, other)]
        if entries[0]['list_hash'] != entries[1]['list_hash']:
            sizes = [entry['images'] for entry in entries]
            hashes = [str(entry['list_hash'])[:12] for entry in entries]
            problems.append(f'the set {name} is not the same list of images ({sizes[0]} images in A, {sizes[1]} in B, '
                            f'hashes {hashes[0]}... and {hashes[1]}...)')
    return problems


def format_comparison(found: dict[str, Any]) -> str:
    """Return two compared reports as text: a table of the differences, what can be concluded, and what was left out.

    Args:
        found (dict): Of :func:`compare_reports`, with ``reports``, their two folders.
    """
    a, b = found['reports'].values()
    table = [['set', 'metric', 'n', 'A', 'B', 'B - A', '95 % interval', 'p', 'p (Holm)', 'B better on', 'A better on']]
    for row in found['rows']:
        digits = digits_of(row['mean_a'])
        table.append([row['set'], row['label'], row['n'], f'{row["mean_a"]:.{digits}f}', f'{row["mean_b"]:.{digits}f}',
                      f'{row["difference"]:+.{digits}f}',
                      '' if row['low'] is None else f'{row["low"]:+.{digits}f} to {row["high"]:+.{digits}f}',
                      f'{row["p"]:.2g}', f'{row["p_holm"]:.2g}', row['wins'], row['losses']])
    lines = [f'A: {a}', f'B: {b}', '', text_table(table, left=(0, 1)), '']
    lines += [terminal_text(row['sentence']) for row in found['rows']]
    for text in found['cautions']:
        lines += ['', f'caution: {terminal_text(text)}']
    if found['missing']:
        lines += ['', f'Not compared, since only one report measured them ({len(found["missing"])}):']
        lines += [f'  {terminal_text(text)}' for text in found['missing'][:10]]
        lines += ['  ...'] * (len(found['missing']) > 10)
    return '\n'.join(lines)


def _differing(*args: Any) -> list[str]:
    try:
        return differing_settings(*args) or []
    except (ValueError, TypeError):  # a protocol that this version does not know
        return []


def _library_cautions(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    found = [summary['provenance']['versions'] for summary in (one, other)]
    return [f'{name} is {found[0].get(name)} in A and {found[1].get(name)} in B; metrics measured by it may differ'
            for name in METRIC_LIBRARIES if found[0].get(name) != found[1].get(name)]


def _input_caution(name: str, label: str, images_a: Images, images_b: Images) -> list[str]:
    key = f'input_{label}'
    changes = [abs(images_a[image][key] - images_b[image][key]) for image in images_a
               if image[0] == name and key in images_a[image] and key in images_b.get(image, ())]
    differing = [change for change in changes if change > 1e-4]
    if not differing:
        return []
    return [f'{name}, {label}: the inputs themselves score differently in A and B on {len(differing)} of '
            f'{len(changes)} images, by up to {max(differing):.4g}. The files were decoded by different libraries, or '
            'went through different transforms; measure both in one place']


def _row(name: str, label: str, paired: list[tuple[float, float]], definition: dict[str, Any]) -> dict[str, Any]:
    changes = [b - a for a, b in paired]
    gains = changes if definition['higher_is_better'] else [-change for change in changes]
    n, interval = len(paired), bootstrap_interval(changes)
    return dict(set=name, label=label, n=n, mean_a=math.fsum(a for a, _ in paired) / n,
                mean_b=math.fsum(b for _, b in paired) / n, difference=math.fsum(changes) / n,
                low=interval and interval[0], high=interval and interval[1], p=sign_flip_test(changes),
                wins=sum(gain > 0 for gain in gains), losses=sum(gain < 0 for gain in gains),
                ties=sum(gain == 0 for gain in gains))


def _judge(row: dict[str, Any], definition: dict[str, Any], hopeless: bool, tests: int) -> None:
    """Name the better one; ``hopeless``: no difference on so few images can reach ALPHA beside so many tests."""
    digits, unit, n = digits_of(row['mean_a']), f' {definition["unit"]}'.rstrip(), row['n']
    by = f'{abs(row["difference"]):.{digits}f}{unit}'
    higher = row['difference'] > 0
    row['better'] = None
    where = f'{row["set"]}, {row["label"]}'
    if any(row['failed']):
        texts = [f'{report} is not finite on {count} image{"s" * (count > 1)} where {other} is'
                 for report, other, count in (('A', 'B', row['failed'][0]), ('B', 'A', row['failed'][1])) if count]
        row['sentence'] = f'{where}: no winner is named, since {" and ".join(texts)}'
    elif row['p_holm'] < ALPHA:
        row['better'] = 'b' if higher == definition['higher_is_better'] else 'a'
        row['sentence'] = (f'{where}: {row["better"].upper()} is better, by {by} on average (95 % interval of B - A '
                           f'{row["low"]:+.{digits}f} to {row["high"]:+.{digits}f}; p = {_p(row["p_holm"])})')
    elif row['ties'] == n:
        row['sentence'] = f'{where}: A and B are equal on all {n} images'
    else:
        few = f'; with {n} image{"s" * (n > 1)}{f" and {tests} lines" if tests > 1 else ""} no difference, however ' \
            'large, could be told from chance' if hopeless else ''
        row['sentence'] = f'{where}: A and B cannot be told apart (p = {_p(row["p_holm"])}{few})'


def _p(value: float) -> str:
    return f'{value:.3f}' if value >= 0.001 else f'{value:.1e}'
