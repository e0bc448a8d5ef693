"""The memory of a test run: what was measured before it was cut off."""

import bisect
import json
import math
import os
import platform
import shutil
from pathlib import Path

from restorekit.config import ConfigError
from restorekit.files.atomic import atomic_write_text
from restorekit.messages import ExistingFileError

SHOWN = 5  # worst, and best, images of a set that a report shows


class ReportMismatchError(ExistingFileError):
    """The output folder holds a report of something else."""


class ReportInUseError(ExistingFileError):
    """Another process writes a report to the output folder."""


def open_report(out, identity, overwrite=False, saves=()):
    """Find out what the folder ``out`` already holds, and lock it; call it on one process only.

    The lock, a file ``.lock``, is taken over if its process ran on this host and is dead; :func:`close_report` ends it.

    Args:
        out (str | Path): The report's folder; made if need be.
        identity (dict[str, str]): What is measured: two runs are the same if all of it is equal.
        overwrite (bool): Forget what is there, and remove what that report wrote: its files and the images it saved.
        saves (Sequence[str]): The images, relative to ``out``, that this run will save in ``images/``.

    Returns:
        tuple[dict | None, list[dict]]: The summary if the report is finished, and the rows measured so far if not.

    Raises:
        ReportMismatchError: If the folder holds a report, finished or begun, of another identity.
        ReportInUseError: If another process writes there.
        ConfigError: If there can be no such folder.
    """
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        if overwrite or not (out / 'summary.json').exists():
            _lock(out)
    except (ReportInUseError, ValueError):
        raise
    except OSError as error:
        why = 'there is a file of that name, or above it' if isinstance(error, FileExistsError | NotADirectoryError) \
            else error.strerror
        raise ConfigError(f'--out {out} cannot be the folder of a report: {why}; choose another') from error
    try:
        return _open(out, identity, overwrite, saves)
    except BaseException:
        close_report(out)
        raise


def close_report(out):
    """Remove the lock of a report's folder if this process has it."""
    file = Path(out, '.lock')
    if os.path.isfile(file) and _read_json(file) == _me():  # False for a path that cannot be
        file.unlink(missing_ok=True)


def _open(out, identity, overwrite, saves):
    summary, progress = out / 'summary.json', out / '.progress'
    if overwrite:
        _remove_report(out)
    for file in (summary, progress / 'run.json'):
        record = _read_json(file)
        if record is not None:
            _check_identity(out, record.get('identity') if isinstance(record, dict) else None, identity)
            if file == summary:
                shutil.rmtree(progress, ignore_errors=True)
                return record, []
    progress.mkdir(parents=True, exist_ok=True)
    atomic_write_text(json.dumps(dict(identity=identity, saved=list(saves)), indent=2), str(progress / 'run.json'))
    rows = {row['index']: row for file in sorted(progress.glob('*.jsonl')) for row in _read_rows(file)}
    rows = [rows[index] for index in sorted(rows)]
    # one whole file, so that no new line follows a torn one
    atomic_write_text(''.join(json.dumps(row) + '\n' for row in rows), str(progress / 'done.jsonl'))
    for file in progress.glob('rank_*.jsonl'):
        file.unlink()
    return None, rows


def _remove_report(out):
    """Remove the files of a report, finished or begun, and the images it saved, but no others."""
    summary, progress = out / 'summary.json', out / '.progress'
    images = (out / 'images').resolve()
    for record in map(_read_json, (summary, progress / 'run.json')):
        for name in record.get('saved', ()) if isinstance(record, dict) else ():
            file = (out / name).resolve()
            if not file.is_relative_to(images) or file.suffix != '.png':
                continue
            file.unlink(missing_ok=True)
            for folder in file.parents:
                if not folder.is_relative_to(images) or not folder.is_dir() or any(folder.iterdir()):
                    break
                folder.rmdir()
        if isinstance(record, dict) and 'identity' in record:
            for name in ('per_image.csv', 'summary.md', 'report.html'):
                (out / name).unlink(missing_ok=True)
    summary.unlink(missing_ok=True)
    shutil.rmtree(progress, ignore_errors=True)


def _lock(out):
    file = out / '.lock'
    while True:
        try:
            with file.open('x', encoding='utf-8') as opened:
                json.dump(_me(), opened)
            return
        except FileExistsError:
            owner = _read_json(file) or {}
        if owner == _me():
            return
        if owner.get('host') != platform.node() or _runs(owner.get('pid')):
            raise ReportInUseError(
                f'a test is writing its report to {out} (process {owner.get("pid", "unknown")} on '
                f'{owner.get("host", "an unknown host")}); wait for it, or choose another --out. If it runs no longer, '
                f'delete {file}')
        file.unlink(missing_ok=True)


def _me():
    return dict(host=platform.node(), pid=os.getpid())


def _runs(pid):
    if os.name == 'nt' or not isinstance(pid, int):  # there signal 0 is no question
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def append_rows(out, rank, rows):
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

    def __init__(self, directions, folder=None):
        self.directions, self.folder = directions, folder
        self.strips = {}
        self._ranked = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def offer(self, row, make_strip):
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
                    self._file(row['index']).write_bytes(strip)
        if dropped is not None and self.strips.pop(dropped, None) is not None and self.folder is not None:
            self._file(dropped).unlink(missing_ok=True)

    def restore(self, rows):
        """Take the strips of rows measured before from the folder, and remove those that are no longer needed."""
        for row in rows:
            file = self._file(row['index'])
            self.offer(row, lambda file=file: file.read_bytes() if file.is_file() else None)
        for file in self.folder.glob('*.jpg'):
            if int(file.stem) not in self.strips:
                file.unlink()

    def _file(self, index):
        return self.folder / f'{index:08d}.jpg'


def rank_of(row, directions):
    """Return which metric ranks a row, and how good it is by it (larger is better); None if nothing was measured."""
    for position, (value, _) in enumerate(row['values']):
        if value is not None:
            goodness = value if directions[position] else -value
            return position, -math.inf if math.isnan(goodness) else goodness
    return None


def _check_identity(out, found, identity):
    if found == identity:
        return
    if not isinstance(found, dict):
        raise ReportMismatchError(f'{out} holds a summary.json that is no report of this version; choose another --out '
                                  'or --overwrite')
    differing = []
    for key in dict.fromkeys([*found, *identity]):
        there, here = found.get(key), identity.get(key)
        if there != here:
            differing.append(f'{key} is {_short(there)} there and {_short(here)} here')
    raise ReportMismatchError(f'{out} holds a report of another test: {"; ".join(differing)}. Choose another --out, '
                              'or --overwrite')


def _short(text):
    if text is None:
        return 'absent'
    text = str(text)
    return f'{text[:12]}...' if len(text) == 64 and ' ' not in text else text


def _read_json(file):
    try:
        return json.loads(file.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}


def _read_rows(file):
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # torn when the process was killed
            continue
        if isinstance(row, dict) and 'index' in row:
            yield row


__all__ = ['SHOWN', 'Extremes', 'ReportInUseError', 'ReportMismatchError', 'append_rows', 'close_report', 'open_report',
           'rank_of']
