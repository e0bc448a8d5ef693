"""Read a test report back; what is damaged or made by others is refused with a sentence that names the file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from restorekit.messages import InputError, MissingFileError

#: Of a report's images, (set, name), the number by label.
Images = dict[tuple[str, str], dict[str, float]]

# a spreadsheet runs a cell that starts like this
_RUN = ('=', '+', '-', '@', '\t', '\r', "'")
_NUMBER = (int, float, type(None))
_ENTRY = dict(image=str, value=_NUMBER, input=_NUMBER)
_SUMMARY = dict(
    definitions={str: dict(unit=str, higher_is_better=bool, protocol=(dict, type(None)))},
    sets={str: dict(images=int, list_hash=(str, type(None)), broken=[str], metrics={str: dict(
        n=int, mean=_NUMBER, sd=_NUMBER, low=_NUMBER, high=_NUMBER, input_mean=_NUMBER, worst=[_ENTRY],
        best=[_ENTRY])})},
    provenance=dict(versions=dict))


class ReportError(InputError):
    """A report cannot be read: a file of it is damaged, or is something else."""


def read_summary(file: str | Path) -> dict[str, Any]:
    """Read and check a ``summary.json``.

    Raises:
        ReportError: If it is not the summary of a report; names the file and the place in it.
    """
    summary = _read(file, _SUMMARY)
    unknown = [f'sets.{name}.metrics.{label}' for name, entry in summary['sets'].items()
               for label in entry['metrics'] if label not in summary['definitions']]
    if unknown:
        raise ReportError(f'{file} is not the summary of a report: {unknown[0]} has no entry in definitions')
    found: dict[str, Any] = summary
    return found


def read_means(file: str | Path) -> dict[str, float | None]:
    """Read the means of a ``summary.json``, {'set/label': mean}.

    Raises:
        ReportError: If it is not the summary of a report; names the file and the place in it.
    """
    means: dict[str, float | None] = _read(file, dict(metrics={str: _NUMBER}))['metrics']
    return means


def _read(file: str | Path, shape: dict[str, Any]) -> Any:
    try:
        summary = json.loads(Path(file).read_text(encoding='utf-8'))
    except RecursionError as error:
        raise ReportError(f'{file} is not the summary of a report: its values are nested too deeply') from error
    except ValueError as error:  # not JSON, not UTF-8
        raise ReportError(f'{file} is not the summary of a report: {error}') from error
    _check(summary, shape, file, '')
    return summary


def read_report(path: str | Path) -> tuple[dict[str, Any], Images]:
    """Read a report's summary and its table of images.

    Args:
        path (str | Path): The folder that ``restorekit test --out`` wrote.

    Returns:
        tuple[dict, dict]: The summary, and {(set, image): {label: number}} with what was measured (of the input:
        ``input_{label}``).

    Raises:
        MissingFileError: If the folder holds no finished report.
        ReportError: If its files are of another kind, or damaged; names the file.
    """
    path = Path(path)
    summary_file, table_file = path / 'summary.json', path / 'per_image.csv'
    if not (summary_file.is_file() and table_file.is_file()):
        why = 'its test was cut off; run it again to finish it' if (path / '.progress').is_dir() else \
            'write one with restorekit test CONFIG CHECKPOINT --out DIR'
        raise MissingFileError(f'{path} holds no finished report (summary.json and per_image.csv): {why}')
    summary = read_summary(summary_file)
    columns = [key for label in summary['definitions'] for key in (label, f'input_{label}')]
    images: Images = {}
    number = 1
    try:
        with table_file.open(encoding='utf-8', errors='surrogateescape', newline='') as file:
            lines = csv.reader(file)
            header = next(lines, [])
            if header != ['domain', 'image', *columns]:
                raise ReportError(f'{table_file} has the columns {", ".join(header)[:200]}, not the ones of '
                                  f'summary.json: domain, image, {", ".join(columns)}')
            while True:
                number += 1
                line = next(lines, None)
                if line is None:
                    break
                domain, image, *cells = line
                if len(cells) != len(columns):
                    raise ReportError(f'row {number} of {table_file} ({domain}/{image}) has {len(cells) + 2} cells, '
                                      f'but {len(header)} columns have a name')
                images[plain_cell(domain), plain_cell(image)] = \
                    {key: float(cell) for key, cell in zip(columns, cells, strict=True) if cell}
    except ReportError:
        raise
    except (ValueError, csv.Error) as error:  # a cell that is not a number or too long, a row without cells
        raise ReportError(f'row {number} of {table_file} cannot be read: {str(error)[:200]}') from error
    return summary, images


def safe_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs: one that starts like a formula gets an apostrophe in front.

    Example:
        >>> safe_cell('=1+1'), safe_cell('day'), plain_cell(safe_cell('=1+1'))
        ("'=1+1", 'day', '=1+1')
    """
    return f"'{text}" if text.startswith(_RUN) else text


def plain_cell(cell: str) -> str:
    """Return the text that :func:`safe_cell` made a cell of."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_RUN) else cell


def _check(value: Any, shape: Any, file: str | Path, where: str) -> None:
    """Compare plain data with a shape: a type or several, [shape of the items], {str: shape of the values}, or a dict
    of the keys that must be there."""
    kinds: Any = shape if isinstance(shape, type | tuple) else type(shape)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise ReportError(f'{file} is not the summary of a report: {where or "it"} should be {_names(kinds)}, but is '
                          f'{_names(type(value))}')
    if isinstance(value, int) and value.bit_length() > 63:
        raise ReportError(f'{file} is not the summary of a report: {where} is a number of {value.bit_length()} bits')
    items: list[tuple[Any, Any, str]] = []
    if isinstance(shape, list):
        items = [(item, shape[0], f'{where}[{i}]') for i, item in enumerate(value)]
    elif isinstance(shape, dict) and str in shape:
        items = [(item, shape[str], _join(where, key)) for key, item in value.items()]
    elif isinstance(shape, dict):
        missing = [key for key in shape if key not in value]
        if missing:
            raise ReportError(f'{file} is not the summary of a report: {_join(where, missing[0])} is missing')
        items = [(value[key], inner, _join(where, key)) for key, inner in shape.items()]
    for item, inner, place in items:
        _check(item, inner, file, place)


def _join(where: str, key: str) -> str:
    return f'{where}.{key[:80]}' if where else key[:80]


def _names(kinds: type | tuple[type, ...]) -> str:
    names = {str: 'a text', int: 'a whole number', float: 'a number', bool: 'true or false', dict: 'an object',
             list: 'a list', type(None): 'null'}
    listed = [names[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]
    return ' or '.join(listed)
