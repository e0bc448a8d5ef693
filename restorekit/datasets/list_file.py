"""List files: which images, in which order, and what belongs to them."""

import csv
import io
import json
import posixpath
from typing import NamedTuple

import numpy as np
from mmengine import fileio

from restorekit.files.reader import read_file
from restorekit.messages import InputError, MissingFileError

from .scanner import find_names, keep_matching

ROLES = ('input', 'gt', 'depth')
MAX_NAME = 4096  # PATH_MAX of Linux
MAX_BYTES = 2 ** 30  # of a list: some ten million lines
SHOWN = 5


class ListFile(NamedTuple):
    """The content of a list file: its path, the names of each role, and the line of each entry."""

    path: str
    columns: dict
    lines: np.ndarray

    def keep(self, include):
        """Return the part whose names of the first role match ``include``, see :func:`keep_matching`."""
        names = next(iter(self.columns.values()))
        kept = set(keep_matching(names, include))
        places = [i for i, name in enumerate(names) if name in kept]
        if not places:
            raise MissingFileError(f'none of the {len(names)} names of {self.path} matches include={include!r}')
        return ListFile(self.path, {role: [column[i] for i in places] for role, column in self.columns.items()},
                        self.lines[places])

    def find(self, folder, role, backend_args=None):
        """Return the names of a role as a folder spells them.

        Raises:
            MissingFileError: If some are not there; names the first and their lines.
        """
        names = self.columns[role]
        found, missing = find_names(folder, names, backend_args)
        if missing:
            shown = ', '.join(f'{names[i]} (line {self.lines[i]})' for i in missing[:SHOWN])
            raise MissingFileError(
                f'{len(missing)} of {len(names)} files of {self.path} are not in {folder}: {shown}'
                f'{" ..." if len(missing) > SHOWN else ""}; names in a list are relative to that folder and have their '
                'suffix' + ('' if str(self.path).lower().endswith(('.csv', '.jsonl')) else
                            '; if they contain spaces, use a .csv list'))
        return found


def read_list(path, roles, include=None):
    """Read a list of images.

    - ``.csv``: a header with the columns ``input``, ``gt``, ``depth``, each where it is needed; others are ignored.
    - ``.jsonl``: an object with these keys on each line.
    - else text: on each line ``hazy [clear [depth]]``, or for clear images alone ``clear [depth]``, separated by white
      space, or by tabs where a line has one (names may then contain spaces); lines that begin with ``#`` are comments.

    UTF-8 with or without byte order mark, or UTF-16 with; any line ends. A ``\\`` in a name is read as ``/``.

    Args:
        path (str): A local file, or a URL mmengine.fileio reads.
        roles (tuple[str]): What the dataset reads, the one it cannot do without first: of 'input', 'gt', 'depth'.
        include (str | list[str], optional): Shell patterns; keeps the lines whose first role matches one.

    Returns:
        ListFile: With the columns of ``roles`` that the list has.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty or a line makes no sense; names the lines.
    """
    path = str(path)
    if path.lower().endswith(('.json', '.xlsx', '.xls', '.yaml', '.yml', '.xml')):
        raise InputError(f'{path} is not a list that is read; write one as .txt (names separated by spaces or tabs), '
                         '.csv (with a header) or .jsonl (an object on each line)')
    if '://' not in path:
        try:
            data = read_file(path, MAX_BYTES, 'list file')
        except MissingFileError as error:
            raise MissingFileError(f'{error}; give the right one (in a config: ann_file, below --data-root)') from error
    else:
        data = fileio.get(path)
    text = _decode(data, path)
    if path.lower().endswith('.csv'):
        header, rows, lines = _read_csv(text, path, roles)
    elif path.lower().endswith('.jsonl'):
        header, rows, lines = _read_jsonl(text, path, roles)
    else:
        header, rows, lines = _read_text(text, path, roles)
    if not rows:
        raise InputError(f'the list {path} names no image')
    first = header.index(roles[0])
    if len({row[first] for row in rows}) < len(rows):
        seen = {}
        for row, line in zip(rows, lines, strict=True):
            other, before = seen.setdefault(row[first], (row, line))
            if before != line:
                what = f'are the same ({" ".join(row)})' if row == other else f'both name {row[first]}'
                raise InputError(f'{path}: lines {before} and {line} {what}; an image listed twice would count twice')
    columns = {role: [row[header.index(role)] for row in rows] for role in roles if role in header}
    listed = ListFile(path, columns, np.array(lines, np.int64))
    return listed if include is None else listed.keep(include)


def _decode(data, path):
    utf16 = data[:2] in (b'\xff\xfe', b'\xfe\xff')
    try:
        text = data.decode('utf-16' if utf16 else 'utf-8-sig')
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is not UTF-8 text ({error}); save it as UTF-8') from error
    return text.replace('\r\n', '\n').replace('\r', '\n')


def _read_text(text, path, roles):
    rows, lines, width = [], [], None
    for number, line in enumerate(text.split('\n'), 1):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        row = tuple([_clean(name, path, number) for name in (line.split('\t') if '\t' in line else line.split())])
        width = width or len(row)
        if len(row) != width or width > len(ROLES):
            raise InputError(f'{path}, line {number}: {len(row)} names where '
                             f'{f"line {lines[0]} has {width}" if lines else "at most 3 fit (hazy clear depth)"}; '
                             'if a name contains spaces, separate the columns by tabs, or use a .csv with a header')
        rows.append(row)
        lines.append(number)
    return (ROLES if width == len(ROLES) or roles[0] == ROLES[0] else ROLES[1:])[:width], rows, lines


def _read_csv(text, path, roles):
    reader = csv.reader(io.StringIO(text))
    try:
        cells = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f'{path}, line {reader.line_num} is not CSV: {error}') from error
    header = [name.strip() for name in cells[0][1]] if cells else []
    if roles[0] not in header:
        raise InputError(f'{path} has no column {roles[0]!r}; its first line must be a header with '
                         f'{", ".join(roles)}, separated by commas, but got {",".join(header)!r}')
    places = [header.index(role) for role in roles if role in header]
    rows, lines = [], []
    for number, row in cells[1:]:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise InputError(f'{path}, line {number}: {len(row)} cells under {len(header)} columns')
        rows.append(tuple(_clean(row[place].strip(), path, number) for place in places))
        lines.append(number)
    return tuple(header[place] for place in places), rows, lines


def _read_jsonl(text, path, roles):
    rows, lines, header = [], [], ()
    for number, line in enumerate(text.split('\n'), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f'{path}, line {number} is not JSON: {error}') from error
        present = tuple(role for role in roles if isinstance(entry, dict) and role in entry)
        header = header or present
        if roles[0] not in present or present != header:
            raise InputError(f'{path}, line {number}: each line must be an object with the keys '
                             f'{", ".join(header or roles[:1])}, but got {line.strip()[:80]}')
        rows.append(tuple(_clean(entry[role], path, number) for role in header))
        lines.append(number)
    return header, rows, lines


def _clean(name, path, line):
    if not isinstance(name, str) or not name:
        raise InputError(f'{path}, line {line}: a name of a file is {"empty" if name == "" else f"{name!r}"}')
    if len(name) > MAX_NAME:
        raise InputError(f'{path}, line {line}: a name has {len(name)} characters, where {MAX_NAME} are the most; '
                         'is this a list of files, one line each?')
    if '\0' in name:
        raise InputError(f'{path}, line {line}: a name holds a NUL character, which no file has')
    if '\\' in name:
        name = name.replace('\\', '/')
    if './' in name or '//' in name:
        name = posixpath.normpath(name)
    if name[0] == '/' or name[1:3] == ':/':
        raise InputError(f'{path}, line {line}: {name} is an absolute path; names in a list are relative to the folder '
                         'the dataset is given')
    if name.startswith('../') or name == '..':
        raise InputError(f'{path}, line {line}: {name} leads out of the folder that the dataset is given; give the '
                         'folder above it, and names from there')
    return name
