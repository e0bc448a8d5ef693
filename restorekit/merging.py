"""The one rule by which a config is laid over another: in ``_base_`` chains, in phases and in options alike."""

import copy

from .messages import InputError

DELETE = '_delete_'
SCOPE = 'restorekit.'


def merge(base, override):
    """Return ``override`` laid over ``base``; neither is changed.

    - Dicts merge key by key.
    - A dict whose ``type`` differs from the one it meets replaces it whole: arguments of one component are never meant
      for another. A missing ``type`` counts as the same, and ``L1Loss`` is ``restorekit.L1Loss``.
    - ``_delete_=True`` in a dict replaces what it meets in any case.
    - A dict replaces a value that is not a dict, with one exception: a dict of indices (``{'0': ...}``) edits a list.
    - Everything else, lists included, is replaced.

    Args:
        base (dict): What is laid over.
        override (dict): The changes.

    Raises:
        InputError: If an index is beyond the end of its list.

    Example:
        >>> merge(dict(loss=dict(type='SSIMLoss', loss_weight=0.1), lr=1), dict(loss=dict(type='L1Loss')))
        {'loss': {'type': 'L1Loss'}, 'lr': 1}
    """
    if not isinstance(override, dict):
        return copy.deepcopy(override)
    if _edits(override, base):
        return _edited(base, override, merge)
    result = dict(dict.items(base)) if _merges(base, override) else {}
    for key, value in dict.items(override):
        if key != DELETE:
            result[key] = merge(result.get(key), value)
    return result


def compose(first, second, base):
    """Return the override that does to ``base`` what ``first`` and then ``second`` do.

    ``merge(base, compose(first, second, base))`` is ``merge(merge(base, first), second)``.

    Example:
        >>> compose(dict(loss=dict(loss_weight=2)), dict(loss=dict(type='B')), dict(loss=dict(type='A', a=1)))
        {'loss': {'type': 'B', '_delete_': True}}
    """
    if not isinstance(second, dict):
        return copy.deepcopy(second)
    if _edits(second, first):
        return _edited(first, second, merge)
    if not isinstance(first, dict) or not _merges(merge(base, first), second):
        return {**copy.deepcopy(dict(dict.items(second))), DELETE: True}
    below = base if _merges(base, first) else {}
    result = dict(dict.items(first))
    for key, value in dict.items(second):
        result[key] = compose(result[key], value, dict.get(below, key)) if key in result else copy.deepcopy(value)
    return result


def tidy(override, base):
    """Return ``override`` without each ``_delete_`` that changes nothing where it is laid over ``base``."""
    if not isinstance(override, dict):
        return override
    plain = {key: value for key, value in dict.items(override) if key != DELETE}
    below = base if _merges(base, override) else {}
    result = {key: tidy(value, dict.get(below, key)) for key, value in plain.items()}
    if override.get(DELETE) and _merges(base, plain):
        result[DELETE] = True
    return result


def lay_over(base, child):
    """Return the config ``child`` laid over the config ``base``: :func:`merge`, and phase by phase.

    A phase is a dict of overrides, so that two of one name compose: the child's acts on what the base's makes of the
    config.
    """
    merged = merge(_without_phases(base), _without_phases(child))
    if 'phases' not in base and 'phases' not in child:
        return merged
    old, new = dict.get(base, 'phases'), dict.get(child, 'phases', {})
    if not isinstance(new, dict):
        return {**merged, 'phases': copy.deepcopy(new)}
    phases = dict(dict.items(old)) if isinstance(old, dict) and not new.get(DELETE) else {}
    for name, override in dict.items(new):
        if name != DELETE:
            phases[name] = compose(phases[name], override, merged) if name in phases else override
    return {**merged, 'phases': phases}


def join_options(options):
    """Return options with dotted keys as one tree.

    Example:
        >>> join_options({'optimizer.type': 'SGD', 'optimizer.lr': 0.1, 'seed': 1})
        {'optimizer': {'type': 'SGD', 'lr': 0.1}, 'seed': 1}
    """
    tree = {}
    for dotted, value in options.items():
        *path, last = str(dotted).split('.')
        node = tree
        for key in path:
            if not isinstance(dict.get(node, key), dict):
                node[key] = {}
            node = node[key]
        old = dict.get(node, last)
        node[last] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else copy.deepcopy(value)
    return tree


def lay_options(cfg, options):
    """Return a config with a tree of options laid over it, which hold in every phase.

    Where a phase sets a part of the config that the options change, the options are laid over the phase as well; what
    a phase sets to None stays None, unless the options give its ``type``. Options below ``phases`` are for the phase
    they name, and come last.
    """
    general, specific = _without_phases(options), options.get('phases', {})
    base, phases = _without_phases(cfg), dict.get(cfg, 'phases')
    merged = merge(base, general)
    if 'phases' not in cfg and 'phases' not in options:
        return merged
    if isinstance(phases, dict):
        phases = {name: _held(phase, general, base) for name, phase in dict.items(phases)}
    return lay_over({**merged, 'phases': phases}, {'phases': specific})


def _held(phase, options, base):
    """A phase's overrides with the options laid over what it sets itself; the rest it has from the config."""
    if not isinstance(phase, dict):
        return phase
    options = {key: value for key, value in options.items() if key in phase}
    return compose(phase, _below_none(options, phase), base)


def _below_none(options, phase):
    """Return ``options`` without what lies below a None of ``phase``, where it would have no meaning."""
    result = {}
    for key, value in options.items():
        old = dict.get(phase, key, {})
        if isinstance(value, dict) and 'type' not in value and old is None:
            continue
        result[key] = _below_none(value, old) if isinstance(value, dict) and isinstance(old, dict) else value
    return result


def _without_phases(cfg):
    return {key: value for key, value in dict.items(cfg) if key != 'phases'}


def _merges(base, override):
    return isinstance(base, dict) and not override.get(DELETE) and _type(base) in (None, _type(override) or _type(base))


def _type(node):
    kind = dict.get(node, 'type')
    if isinstance(kind, type):
        kind = kind.__name__ if kind.__module__.startswith(SCOPE) else f'{kind.__module__}.{kind.__qualname__}'
    return kind.removeprefix(SCOPE) if isinstance(kind, str) else kind


def _edits(override, base):
    return isinstance(base, (list, tuple)) and bool(override) and all(str(key).isdecimal() for key in override)


def _edited(items, changes, function):
    items = list(items)
    for key, value in dict.items(changes):
        if int(key) >= len(items):
            raise InputError(f'the list has {len(items)} items, numbered from 0, but got the index {key}')
        items[int(key)] = function(items[int(key)], value)
    return items
