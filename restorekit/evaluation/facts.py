"""From the label of a number to the metric that gives such numbers, and to the facts on its class."""

from __future__ import annotations

from restorekit.registry import METRICS


def metric_class(label: str) -> type | None:
    """Return the registered metric whose numbers carry a label, or None where none is known.

    Args:
        label (str): As in a log or a report: ``'PSNR@rgb'``, ``'sots/input_LPIPS-alex@rgb'``. Prefixes with a slash,
            ``input_`` and the variant after a dash are not looked at, nor is the case of letters. Of two metrics of one
            quantity the one whose ``source`` is in the label is meant.

    Example:
        >>> metric_class('sots/input_PSNR@rgb').unit, metric_class('LPIPS-alex@rgb').higher_is_better
        ('dB', False)
    """
    METRICS.import_from_location()
    quantity, _, source = label.rpartition('/')[2].removeprefix('input_').lower().partition('@')
    found: dict[str, list[type]] = {}
    for kind in METRICS.module_dict.values():
        name = getattr(kind, 'quantity', None)
        if isinstance(name, str):
            found.setdefault(name.lower(), []).append(kind)
    kinds = found.get(quantity) or found.get(quantity.rpartition('-')[0]) or []
    of_source = [kind for kind in kinds if getattr(kind, 'source', None) == source]
    return next(iter(of_source or kinds), None)
