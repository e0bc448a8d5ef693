"""What the results of a study say: means, intervals, paired differences to the baseline, power, cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .statistics import (
    crossed_bootstrap,
    detectable_difference,
    holm,
    images_needed,
    sign_flip_test,
    student_t_test,
    variance_parts,
)

ALPHA = 0.05
REGRESSIONS = 6
MAX_SEEDS = 60


def summarise_study(record: dict[str, Any], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the numbers of a study's report as plain data; they do not depend on the order of ``results``.

    All differences are variant minus baseline on the same seeds and images, in the metric's unit and of the sign that
    makes a positive one better.

    Args:
        record: The study, as :meth:`restorekit.tasks.study_file.Study.record` gives it.
        results: One dict per finished job: ``job`` (dict of variant, domain, seed, trial), ``folder``, ``failed``,
            ``metrics``, ``curve``, ``seconds``, ``iterations``, ``run``; see :class:`PerImageHook` for the metrics.

    Returns:
        dict: ``study``; ``cells``: the number of finished jobs and of all, per variant and domain; ``chosen``: the
        trial reported for each; ``logged``: variant -> name -> [mean, end over start] over all its jobs; ``metrics``:
        per label ``rows`` (variant, domain), ``overall`` (variant) and ``power`` (domain), with ``unit`` and
        ``higher_is_better``; ``cost``: seconds per job and as a multiple of the baseline's;
        ``curves`` and ``regressions`` of the main metric; ``failed``: name -> reason.
    """
    results = sorted(results, key=lambda result: sorted(result['job'].items()))
    table = {tuple(result['job'][key] for key in ('variant', 'domain', 'seed', 'trial')): result for result in results}
    labels = sorted({label for result in results for label in result['metrics']})
    main = record['metric'] if record['metric'] in labels else (labels[0] if labels else None)
    chosen = {name: {domain: _best_trial(record, table, main, name, domain) for domain in record['domains']}
              for name in record['variants']}
    jobs = [tuple(job[key] for key in ('variant', 'domain', 'seed', 'trial')) for job in record['jobs']]
    summary = dict(
        study={key: record[key] for key in ('file', 'hypothesis', 'analysis', 'baseline', 'seeds', 'detect')},
        metric=main, jobs=len(jobs), finished=len(results),
        cells={name: {domain: [sum(key[:2] == (name, domain) for key in keys) for keys in (table, jobs)]
                      for domain in record['domains']} for name in record['variants']},
        chosen=chosen, metrics={},
        failed={result['folder']: result['failed'] for result in results if result['failed']})
    for label in labels:
        example = next(result['metrics'][label] for result in results if label in result['metrics'])
        summary['metrics'][label] = dict(
            unit=example['unit'], higher_is_better=example['higher_is_better'],
            **_measure(record, table, chosen, label, 1 if example['higher_is_better'] else -1))
    summary['cost'] = _cost(record, results)
    summary['logged'] = _logged(record, results)
    summary['curves'] = _curves(record, table, chosen, main)
    summary['regressions'] = _regressions(record, table, chosen, main)
    return summary


def _sets(result, label, names):
    """The numbers of some sets of a result, by set and image."""
    sets = result['metrics'].get(label, {}).get('sets', {})
    return {(name, image): values for name in names for image, values in sorted(sets.get(name, {}).items())}


def _best_trial(record, table, label, variant, domain):
    """The trial with the best mean over the sets that were not left out, over all seeds; the first of equals."""
    means = {}
    for key, result in table.items():
        if key[:2] == (variant, domain) and result['metrics']:
            others = [name for name in result['metrics'][label]['sets'] if name not in record['test_sets'][domain]]
            sign = 1 if result['metrics'][label]['higher_is_better'] else -1
            means.setdefault(key[3], []).append(sign * _mean_of_sets(result, label, others))
    return max(sorted(means), key=lambda trial: np.mean(means[trial])) if means else 0


def _mean_of_sets(result, label, names):
    """The mean over sets of the means over images; 0 without any set, as when every domain is left out."""
    sets = [result['metrics'][label]['sets'][name] for name in names]
    return math.fsum(math.fsum(v[0] for v in images.values()) / len(images) for images in sets) / len(sets) \
        if sets else 0.0


def _measure(record, table, chosen, label, sign):
    cells, others = {}, {}
    for name in record['variants']:
        for domain in record['domains']:
            found = {}
            for seed in record['seeds']:
                result = table.get((name, domain, seed, chosen[name][domain]))
                if result is not None and label in result['metrics']:
                    found[seed] = _sets(result, label, record['test_sets'][domain])
                    rest = [key for key in result['metrics'][label]['sets'] if key not in record['test_sets'][domain]]
                    others[name, domain, seed] = _mean_of_sets(result, label, rest) if rest else None
            cells[name, domain] = found
    baseline = record['baseline']
    rows = [_row(cells, others, baseline, name, domain, sign) for name in record['variants']
            for domain in record['domains'] if cells[name, domain]]
    overall = [_overall(cells, rows, baseline, name, record['domains'], sign) for name in record['variants']
               if all(cells[name, domain] for domain in record['domains'])]
    for group in (rows, overall):
        tested = [row for row in group if row['p'] is not None]
        for row, adjusted in zip(tested, holm([row['p'] for row in tested]), strict=True):
            row['p_holm'] = adjusted
            clear = row['low_difference'] is not None and (row['low_difference'] > 0 or row['high_difference'] < 0)
            row['verdict'] = ('better' if row['difference'] > 0 else 'worse') if adjusted < ALPHA and clear else 'open'
    power = [_power(row, record['detect']) for row in rows if row['variant'] == baseline]
    together = _mean_of_domains(cells, baseline, record)
    if len(power) > 1 and together is not None:
        power.append(_power(together, record['detect']))
    return dict(rows=rows, overall=overall, power=power)


def _mean_of_domains(cells, baseline, record):
    """The baseline's mean over the left-out domains, seed by seed, as a row for :func:`_power`."""
    found = [cells[baseline, domain] for domain in record['domains']]
    seeds = [seed for seed in record['seeds'] if all(seed in cell for cell in found)]
    if not seeds:
        return None
    means = [np.mean([np.mean([value[0] for value in cell[seed].values()]) for cell in found]) for seed in seeds]
    return dict(domain='mean of all', seeds=len(seeds), images=sum(len(cell[seeds[0]]) for cell in found),
                sd=float(np.std(means, ddof=1)) if len(means) > 1 else None, parts=None)


def _tables(cells, one, other):
    """Two tables (seeds, images) on the seeds and images that both have."""
    seeds = [seed for seed in cells[one] if seed in cells[other]]
    images = [key for key in (cells[one][seeds[0]] if seeds else ())
              if all(key in cells[cell][seed] for cell in (one, other) for seed in seeds)]
    return [np.array([[cells[cell][seed][key][0] for key in images] for seed in seeds]) for cell in (one, other)]


def _row(cells, others, baseline, name, domain, sign):
    cell = name, domain
    values = _tables(cells, cell, cell)[0]
    images = next(iter(cells[cell].values()))
    seeds = values.mean(axis=1)
    interval = crossed_bootstrap([values])
    rest = [others[name, domain, seed] for seed in cells[cell] if others[name, domain, seed] is not None]
    inputs = [value[1] for value in images.values() if value[1] is not None]
    row = dict(variant=name, domain=domain, seeds=len(values), images=values.shape[1], mean=float(values.mean()),
               sd=float(seeds.std(ddof=1)) if len(seeds) > 1 else None, parts=variance_parts(values),
               low=interval and interval[0], high=interval and interval[1],
               input=float(np.mean(inputs)) if inputs else None, others=float(np.mean(rest)) if rest else None,
               difference=None, low_difference=None, high_difference=None, others_difference=None, wins=None,
               seeds_compared=0, p=None, p_holm=None, verdict=None)
    if name != baseline and cells[baseline, domain]:
        ours, theirs = _tables(cells, cell, (baseline, domain))
        if ours.size:
            change = sign * (ours - theirs)
            ends = crossed_bootstrap([change])
            shared = [seed for seed in cells[cell] if seed in cells[baseline, domain]]
            pairs = [(others[name, domain, seed], others[baseline, domain, seed]) for seed in shared]
            rest = [sign * (a - b) for a, b in pairs if a is not None and b is not None]
            row.update(difference=float(change.mean()), low_difference=ends and ends[0],
                       high_difference=ends and ends[1], others_difference=float(np.mean(rest)) if rest else None,
                       wins=int(sum(change.mean(axis=1) > 0)), seeds_compared=len(change),
                       # to hold for other images and for other seeds it must pass both tests
                       p=max(sign_flip_test(change.mean(axis=0)), student_t_test(change.mean(axis=1))))
    return row


def _overall(cells, rows, baseline, name, domains, sign):
    own = [row for row in rows if row['variant'] == name]
    row = dict(variant=name, mean=float(np.mean([row['mean'] for row in own])), difference=None, low_difference=None,
               high_difference=None, wins=None, cells=None, p=None, p_holm=None, verdict=None,
               others=_mean_or_none([row['others'] for row in own]))
    changes = []
    for domain in domains if name != baseline else ():
        ours, theirs = _tables(cells, (name, domain), (baseline, domain)) if cells[baseline, domain] else ([], [])
        if len(ours) and ours.size:
            changes.append(sign * (ours - theirs))
    if changes:
        ends = crossed_bootstrap(changes)
        each = [float(value) for change in changes for value in change.mean(axis=1)]
        row.update(difference=float(np.mean([change.mean() for change in changes])), low_difference=ends and ends[0],
                   high_difference=ends and ends[1], wins=sum(value > 0 for value in each), cells=len(each),
                   p=sign_flip_test(each))
    return row


def _mean_or_none(values):
    return float(np.mean(values)) if values and None not in values else None


def _power(row, wanted):
    """What difference to the baseline this many seeds can show, and how many seeds or images would show ``wanted``."""
    needed = None
    if row['sd'] is not None:
        needed = next((seeds for seeds in range(2, MAX_SEEDS + 1)
                       if detectable_difference(row['sd'], seeds) <= wanted), None)
    return dict(domain=row['domain'], seeds=row['seeds'], images=row['images'], sd=row['sd'],
                standard_error=None if row['sd'] is None else row['sd'] * math.sqrt(2 / row['seeds']),
                detectable=None if row['sd'] is None else detectable_difference(row['sd'], row['seeds']),
                seeds_needed=needed, parts=row['parts'],
                images_needed=row['parts'] and images_needed(*row['parts'], row['seeds'], wanted))


def _cost(record, results):
    seconds = {name: [result['seconds'] for result in results
                      if result['job']['variant'] == name and not result['failed']] for name in record['variants']}
    base = seconds[record['baseline']]
    return {name: dict(seconds=float(np.mean(values)), times=float(np.mean(values) / np.mean(base)) if base else None)
            for name, values in seconds.items() if values}


def _logged(record, results):
    """What training logged besides the losses that every variant has, mean over a variant's jobs."""
    found = {name: [result['logged'] for result in results if result['job']['variant'] == name and result.get('logged')]
             for name in record['variants']}
    everywhere = set.intersection(*(set(jobs[0]) for jobs in found.values() if jobs)) if any(found.values()) else set()
    return {name: {key: [float(np.mean([job[key][0] for job in jobs])),
                         _mean_or_none([job[key][1] for job in jobs])]
                   for key in sorted(jobs[0]) if key not in everywhere and all(key in job for job in jobs)}
            for name, jobs in found.items() if jobs}


def _curves(record, table, chosen, label):
    """Per left-out domain and variant: [iteration, mean over seeds and sets] of the validations all seeds have."""
    curves = {}
    for domain in record['domains']:
        for name in record['variants']:
            runs = [{iteration: [means[f'{part}/{label}'] for part in record['test_sets'][domain]
                                 if f'{part}/{label}' in means] for iteration, means in result['curve']}
                    for key, result in sorted(table.items())
                    if key[:2] == (name, domain) and key[3] == chosen[name][domain] and not result['failed']]
            shared = sorted(set.intersection(*(set(run) for run in runs))) if runs else []
            points = [[iteration, float(np.mean([run[iteration] for run in runs]))] for iteration in shared
                      if all(run[iteration] for run in runs)]
            if points:
                curves.setdefault(domain, {})[name] = points
    return curves


def _regressions(record, table, chosen, label):
    """The images that lost most against the baseline, each of them once."""
    found = {}
    for (name, domain, seed, trial), result in table.items():
        base = table.get((record['baseline'], domain, seed, chosen[record['baseline']][domain]))
        if name == record['baseline'] or base is None or trial != chosen[name][domain] or label not in \
                result['metrics'] or label not in base['metrics']:
            continue
        sign = 1 if result['metrics'][label]['higher_is_better'] else -1
        ours, theirs = (_sets(r, label, record['test_sets'][domain]) for r in (result, base))
        for key in ours:
            if key in theirs:
                entry = dict(variant=name, domain=domain, seed=seed, set=key[0], image=key[1],
                             difference=sign * (ours[key][0] - theirs[key][0]), value=ours[key][0],
                             baseline=theirs[key][0], folder=f'{result["folder"]}/{result["run"]}',
                             baseline_folder=f'{base["folder"]}/{base["run"]}')
                if key not in found or entry['difference'] < found[key]['difference']:
                    found[key] = entry
    worst = sorted(found.values(), key=lambda entry: (entry['difference'], entry['set'], entry['image']))
    return [entry for entry in worst[:REGRESSIONS] if entry['difference'] < 0]
