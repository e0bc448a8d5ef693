"""Compare test reports: two by a paired test, more in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from restorekit.evaluation.comparison import compare_reports
from restorekit.evaluation.method_table import tabulate_reports
from restorekit.messages import InputError

Reports = Sequence[str | Path] | Mapping[str, str | Path | Sequence[str | Path]]


def compare(reports: Reports) -> dict[str, Any]:
    """Compare the reports of two or more methods.

    Args:
        reports (Sequence | Mapping): Folders that ``restorekit test --out`` wrote; or, by the method's name, a folder
            or several, which are then seeds of that method.

    Returns:
        dict: Of two reports what :func:`restorekit.evaluation.comparison.compare_reports` returns (``rows`` with
        differences, intervals, p values and a sentence each, ``missing``, ``cautions``) and ``reports``. Of more
        reports, or of seeds, what :func:`restorekit.evaluation.method_table.tabulate_reports` returns: ``methods`` and
        ``rows`` with the means, deviations, the best and the second.

    Raises:
        InputError: With fewer than two reports, or if a report is given twice.
        MissingFileError: If a folder holds no finished report.
        ReportError: If a file of a report is damaged; names it.
        NotComparableError: If they did not measure the same thing; says what differs.

    Example:
        >>> found = compare(['results/aod', 'results/cid'])  # doctest: +SKIP
        >>> print(found['rows'][0]['sentence'])  # doctest: +SKIP
        sots, PSNR@rgb: B is better, by 3.59 dB on average (95 % interval of B - A +2.33 to +4.68; p = 0.008)
    """
    methods: dict[str, list[str | Path]] = {}
    if isinstance(reports, Mapping):
        methods.update({name: [found] if isinstance(found, str | Path) else list(found)
                        for name, found in reports.items()})
    else:
        for path in reports:
            methods.setdefault(str(path), []).append(path)
    paths = [path for found in methods.values() for path in found]
    if len({Path(path).resolve() for path in paths}) < len(paths):
        raise InputError(f'a report is given twice: {", ".join(map(str, paths))}')
    if len(paths) < 2:
        raise InputError(f'a comparison needs at least two reports, but got {len(paths)}')
    if len(methods) == len(paths) == 2:
        return dict(reports={name: str(found[0]) for name, found in methods.items()}, **compare_reports(*paths))
    return dict(reports={name: list(map(str, found)) for name, found in methods.items()}, **tabulate_reports(methods))
