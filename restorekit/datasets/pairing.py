"""Which clear image belongs to a hazy one."""

import re
import unicodedata

import numpy as np

from restorekit.messages import InputError

RULES = ('stem', 'prefix', 'suffix')


def pair_names(inputs, clears, pairing, where):
    """Find the clear image of each hazy one.

    Args:
        inputs (Sequence[str]): Names of the hazy images.
        clears (Sequence[str]): Names of the clear images.
        pairing (str | dict): 'stem', 'prefix', 'suffix' or dict(input=REGEX, gt=REGEX), see :class:`PairedDataset`.
        where (tuple[str, str]): The folders, for messages.

    Returns:
        ndarray: int32, the place in ``clears`` of each hazy image's clear image.

    Raises:
        ValueError: If ``pairing`` is no rule, a hazy image has no clear image or two.
    """
    order = match_names(inputs, clears, pairing, where)
    unmatched = np.flatnonzero(order < 0)
    if len(unmatched):
        raise InputError(f'{len(unmatched)} of {len(inputs)} images in {where[0]} have no clear image in {where[1]} by '
                         f'pairing={pairing!r}: {first_names(inputs, unmatched)}; '
                         f'{_advice(inputs, clears, pairing, len(unmatched))}')
    return order


def match_names(inputs, others, pairing, where=None, what='clear image'):
    """Find the file of ``others`` that belongs to each of ``inputs``, -1 where there is none.

    Two that belong to one are a ValueError if ``where``, the folders, is given; ``what`` names them.
    """
    input_key, other_key = _keys(pairing)
    table, twice = {}, {}
    for i, name in enumerate(others):
        key = other_key(name)
        if key is not None and table.setdefault(key, i) != i:
            twice[key] = i
    order = np.full(len(inputs), -1, np.int32)
    for i, name in enumerate(inputs):
        key = input_key(name)
        if key is None:
            continue
        order[i] = table.get(key, -1)
        if where is not None and key in twice:
            raise InputError(f'both {others[table[key]]} and {others[twice[key]]} in {where[1]} are the {what} of '
                             f'{name} by pairing={pairing!r}; remove one, or name the right ones in a list (ann_file)')
    return order


def first_names(names, places, shown=5):
    """The first few of the names at ``places``, for a message."""
    return ', '.join(names[i] for i in places[:shown]) + (' ...' if len(places) > shown else '')


def _advice(inputs, clears, pairing, unmatched):
    if not len(clears):
        return 'hazy and clear images are in one folder; say which are the hazy ones with include'
    counts = {rule: int((match_names(inputs, clears, rule) >= 0).sum()) for rule in RULES if rule != pairing}
    best, count = max(counts.items(), key=lambda item: item[1])
    if count > len(inputs) - unmatched:
        return f"pairing='{best}' would match {'all ' if count == len(inputs) else f'{count} of '}{len(inputs)}"
    return (f'no other rule of {", ".join(RULES)} would match more (the clear images are named like {clears[0]}); '
            'restrict the hazy ones with include, give pairing=dict(input=REGEX, gt=REGEX), or name the pairs in a '
            'list (ann_file)')


def _keys(pairing):
    if isinstance(pairing, dict):
        if not pairing or not set(pairing) <= {'input', 'gt'}:
            raise InputError(f'pairing is a dict with {", ".join(pairing) or "nothing"}; it takes input=REGEX and '
                             'gt=REGEX')
        patterns = {side: _compile(pattern, side) for side, pattern in pairing.items()}
        if len({pattern.groups or 1 for pattern in patterns.values()}) > 1:
            raise InputError(f'pairing={pairing!r}: the two expressions must have equally many groups')
        return tuple(_regex_key(patterns[side]) if side in patterns else stem for side in ('input', 'gt'))
    rules = dict(stem=(stem, stem), prefix=(_prefix, stem), suffix=(_suffix, _suffix))
    if pairing not in rules:
        raise InputError(f"pairing must be one of {', '.join(map(repr, RULES))}, 'list' or dict(input=REGEX, "
                         f'gt=REGEX), but got {pairing!r}')
    return rules[pairing]


def stem(name):
    """Path without suffix; composed and decomposed accents are the same (macOS writes them apart)."""
    dot = name.rfind('.')
    if dot > name.rfind('/') + 1:
        name = name[:dot]
    return name if name.isascii() else unicodedata.normalize('NFC', name)


def _prefix(name):
    folder, slash, file = stem(name).rpartition('/')
    return f'{folder}{slash}{file.partition("_")[0]}'


def _suffix(name):
    return re.sub(r'_[^_/]*$', '', stem(name))


def _compile(pattern, side):
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise InputError(f'pairing: {side}={pattern!r} is not a regular expression: {error}') from error


def _regex_key(pattern):
    def key(name):
        found = pattern.search(name if name.isascii() else unicodedata.normalize('NFC', name))
        if found is None:
            return None
        return '\n'.join(group or '' for group in found.groups()) if found.groups() else found[0]
    return key
