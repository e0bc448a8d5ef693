"""The memory of a test run: what was measured before it was cut off."""

from __future__ import annotations

import bisect
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from restorekit.config import ConfigError
from restorekit.files.atomic import atomic_write_bytes, atomic_write_text
from restorekit.files.lock import lock_folder, unlock_folder
from restorekit.messages import ExistingFileError

from .report_reader import read_summary

SHOWN = 5  # worst, and best, images of a set that a report shows


class ReportMismatchError(ExistingFileError):
    """The output folder holds a report of something else."""


def open_report(out: str | os.PathLike[str], identity: dict[str, str], overwrite: bool = False,
                saves: Sequence[str] = ()) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Find out what the folder ``out`` already holds, and lock it; call it on one process only.

    :func:`close_report` ends the lock. Nothing is removed or written where a link leads out of the folder.

    Args:
        out (str | Path): The report's folder; made if need be.
        identity (dict[str, str]): What is measured: two runs are the same if all of it is equal.
        overwrite (bool): Forget what is there, and remove what that report wrote: its files and the images it saved.
        saves (Sequence[str]): The images, relative to ``out``, that this run will save in ``images/``.

    Returns:
        tuple[dict | None, list[dict]]: The summary if the report is finished, and the rows measured so far if not.

    Raises:
        ReportMismatchError: If the folder holds a report, finished or begun, of another identity.
        ReportError: If the summary of a finished report is damaged.
        FolderInUseError: If another process writes there.
        ExistingFileError: If a link in the folder leads out of it.
        ConfigError: If there can be no such folder.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        why = 'there is a file of that name, or above it' if isinstance(error, FileExistsError | NotADirectoryError) \
            else getattr(error, 'strerror', None) or error
        raise ConfigError(f'--out {out} cannot be the folder of a report: {why}; choose another') from error
    if overwrite or not (out / 'summary.json').exists():
        lock_folder(out)
    try:
        return _open(out, identity, overwrite, saves)
    except BaseException:
        close_report(out)
        raise


def close_report(out: str | os.PathLike[str]) -> None:
    """Unlock a report's folder if this process has it."""
    unlock_folder(out)


def _open(out: Path, identity: dict[str, str], overwrite: bool,
          saves: Sequence[str]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    summary, progress = out / 'summary.json', out / '.progress'
    for path in dict.fromkeys([progress / 'strips', *((out / name).parent for name in saves)]):
        if not _inside(out, path):
            raise ExistingFileError(f'{path} leads to {path.resolve()}, outside the report folder {out}, where nothing '
                                    'is written; remove the link, or choose another --out')
    if overwrite:
        _remove_report(out)
    for file in (summary, progress / 'run.json'):
        record = _read_json(file)
        if record is not None:
            _check_identity(out, record.get('identity') if isinstance(record, dict) else None, identity)
            if file == summary:
                found = read_summary(summary)
                shutil.rmtree(progress, ignore_errors=True)
                return found, []
    progress.mkdir(parents=True, exist_ok=True)
    atomic_write_text(json.dumps(dict(identity=identity, saved=list(saves)), indent=2), str(progress / 'run.json'))
    rows = {row['index']: row for file in sorted(progress.glob('*.jsonl')) for row in _read_rows(file)}
    rows = [rows[index] for index in sorted(rows)]
    # one whole file, so that no new line follows a torn one
    atomic_write_text(''.join(json.dumps(row) + '\n' for row in rows), str(progress / 'done.jsonl'))
    for file in progress.glob('rank_*.jsonl'):
        file.unlink()
    return None, rows


def _remove_report(out: Path) -> None:
    """Remove the files of a report, finished or begun, and the images it saved, but no others; follow no link out."""
    summary, progress = out / 'summary.json', out / '.progress'
    images = out.resolve() / 'images'
    for record in map(_read_json, (summary, progress / 'run.json')):
        for name in _saved(record):
            file = out / name
            folder = file.parent.resolve()
            if not folder.is_relative_to(images) or file.suffix != '.png' or file.is_dir():
                continue
            file.unlink(missing_ok=True)  # a link itself, not what it leads to
            for empty in (folder, *folder.parents):
                if not empty.is_relative_to(images) or not empty.is_dir() or any(empty.iterdir()):
                    break
                empty.rmdir()
        if isinstance(record, dict) and 'identity' in record:
            for name in ('per_image.csv', 'summary.md', 'report.html'):
                (out / name).unlink(missing_ok=True)
    summary.unlink(missing_ok=True)
    shutil.rmtree(progress, ignore_errors=True)


def _inside(out: Path, folder: Path) -> bool:
    return folder.resolve().is_relative_to(out.resolve())


def _saved(record: Any) -> list[str]:
    """The names of images in a record that may be anything."""
    saved = record.get('saved') if isinstance(record, dict) else None
    return [name for name in saved if isinstance(name, str) and '\0' not in name] if isinstance(saved, list) else []


def append_rows(out: str | os.PathLike[str], rank: int, rows: Iterable[dict[str, Any]]) -> None:
    """Append rows (plain dicts) to the file of one process; killed after it, they are kept."""
    with Path(out, '.progress', f'rank_{rank}.jsonl').open('a', encoding='utf-8') as file:
        file.write(''.join(json.dumps(row) + '\n' for row in rows))


class Extremes:
    """Keep the strips of the worst and best images of every set and drop the others, in memory and on disk.

    An image is ranked by the first metric that has a value for it.

    Args:
        directions (list[bool]): Of each metric, whether higher is better.
        folder (Path, optional): Where the strips are kept as JPEG files as well.
    """

    def __init__(self, directions: Sequence[bool], folder: Path | None = None) -> None:
        self.directions, self.folder = directions, folder
        self.strips = {}
        self._ranked = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def offer(self, row: dict[str, Any], make_strip: Callable[[], bytes | None]) -> None:
        """Keep ``make_strip()`` (JPEG bytes, or None) if the row is among the worst or best of its set so far."""
        ranked = rank_of(row, self.directions)
        if ranked is None:
            return
        position, goodness = ranked
        group = self._ranked.setdefault((row['domain'], position), [])
        bisect.insort(group, (goodness, row['index']))
        dropped = group.pop(SHOWN)[1] if len(group) > 2 * SHOWN else None
        if dropped != row['index']:
            strip = make_strip()
            if strip is not None:
                self.strips[row['index']] = strip
                if self.folder is not None:
                    atomic_write_bytes(strip, self._file(row['index']), sync=False)
        if dropped is not None and self.strips.pop(dropped, None) is not None and self.folder is not None:
            self._file(dropped).unlink(missing_ok=True)

    def restore(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take the strips of rows measured before from the folder, and remove those that are no longer needed."""
        for row in rows:
            file = self._file(row['index'])
            self.offer(row, lambda file=file: file.read_bytes() if file.is_file() else None)
        for file in self.folder.glob('*.jpg'):
            if not file.stem.isdecimal() or int(file.stem) not in self.strips:
                file.unlink()

    def _file(self, index: int) -> Path:
        return self.folder / f'{index:08d}.jpg'


def rank_of(row: dict[str, Any], directions: Sequence[bool]) -> tuple[int, float] | None:
    """Return which metric ranks a row, and how good it is by it (larger is better); None if nothing was measured."""
    for position, (value, _) in enumerate(row['values']):
        if value is not None:
            goodness = value if directions[position] else -value
            return position, -math.inf if math.isnan(goodness) else goodness
    return None


def _check_identity(out: Path, found: Any, identity: dict[str, str]) -> None:
    if found == identity:
        return
    if not isinstance(found, dict):
        raise ReportMismatchError(f'{out} holds a summary.json that is not a report of this version; choose another '
                                  '--out or --overwrite')
    differing = []
    for key in dict.fromkeys([*found, *identity]):
        there, here = found.get(key), identity.get(key)
        if there != here:
            differing.append(f'{key} is {_short(there)} there and {_short(here)} here')
    raise ReportMismatchError(f'{out} holds a report of another test: {"; ".join(differing)}. Choose another --out, '
                              'or --overwrite')


def _short(text: Any) -> str:
    if text is None:
        return 'absent'
    text = str(text)
    return f'{text[:12]}...' if len(text) == 64 and ' ' not in text else text


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}


def _read_rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # torn when the process was killed
            continue
        if _is_row(row):
            yield row


def _is_row(row: Any) -> bool:
    """Whether this is a row of an EvaluationLoop; the file may have been edited."""
    return isinstance(row, dict) and isinstance(row.get('index'), int) and isinstance(row.get('broken'), bool) and \
        all(isinstance(row.get(key), str) for key in ('domain', 'image')) and isinstance(row.get('values'), list) and \
        all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(value, float | None) for value in pair)
            for pair in row['values'])


__all__ = ['SHOWN', 'Extremes', 'ReportMismatchError', 'append_rows', 'close_report', 'open_report',
           'rank_of']
