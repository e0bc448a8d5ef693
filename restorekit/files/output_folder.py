"""Folders that one command fills: claimed with its settings, continued after a stop, never written by another."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from restorekit.messages import ExistingFileError

from .atomic import atomic_write_text, remove_temporaries
from .lock import LOCK, OWNER, lock_folder, unlock_folder


@contextlib.contextmanager
def claim_folder(folder: str | os.PathLike[str], record: str, settings: Mapping[str, Any],
                 holds: str) -> Iterator[bool]:
    """Make ``folder`` the output of one command, or find out that it is one to continue; locked inside the block.

    The settings are written to the file ``record`` in the folder before anything else. A folder that has this file
    with the same settings is continued: temporary files that killed processes left there are removed.

    Args:
        folder (str | Path): The output folder; made if need be.
        record (str): Name of the JSON file in it that says how it was made.
        settings (Mapping): What the output depends on; plain data.
        holds (str): What the folder holds, in the plural, for messages.

    Yields:
        bool: Whether it is continued.

    Raises:
        ExistingFileError: If the folder was made with other settings, or by another command, or is a file.
        FolderInUseError: If another process writes there.

    Example:
        >>> with claim_folder(getfixture('tmp_path') / 'out', 'patches.json', dict(size=256), 'patches') as continued:
        ...     print(continued)
        False
    """
    folder = Path(folder)
    file, settings = folder / record, json.loads(json.dumps(dict(settings)))
    if folder.exists() and not folder.is_dir():
        raise ExistingFileError(f'{folder} is a file; give a folder for the output')
    continued = file.is_file()
    if not continued and folder.is_dir() and any(not _is_passing(path) for path in folder.iterdir()):
        raise ExistingFileError(f'{folder} is not empty and has no {record}: it was not written by this command; give '
                                'another output folder')
    folder.mkdir(parents=True, exist_ok=True)
    lock_folder(folder)
    try:
        if continued:
            differing = differing_settings(_read_record(file), settings)
            if differing:
                raise ExistingFileError(
                    f'{folder} holds {holds} made with other settings ({"; ".join(differing)}; see {file}): give the '
                    'same settings to continue, or another output folder')
        else:
            atomic_write_text(json.dumps(settings, indent=1) + '\n', file)
        remove_temporaries(folder, recursive=True)
        yield continued
    finally:
        unlock_folder(folder)


def differing_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a phrase for each setting that differs; of nested ones the name alone.

    Example:
        >>> differing_settings(dict(size=256, seed=0), dict(size=128, seed=0))
        ['size was 256, is 128']
    """
    return [key if isinstance(now.get(key), dict) or isinstance(before.get(key), dict) else
            f'{key} was {before.get(key)!r}, is {now.get(key)!r}'
            for key in sorted({*before, *now}) if before.get(key) != now.get(key)]


def path_inside(folder: str | os.PathLike[str], name: str) -> Path:
    """Return the path of an output in ``folder``, and refuse one that a link leads elsewhere.

    Args:
        folder (str | Path): The output folder.
        name (str): Relative path, from :func:`~restorekit.files.names.output_name`.

    Raises:
        ExistingFileError: If a folder on the way is a link out of ``folder``.
    """
    path = Path(folder, name)
    if not path.parent.resolve().is_relative_to(Path(folder).resolve()):
        raise ExistingFileError(f'{path.parent} leads to {path.parent.resolve()}, outside the output folder {folder}; '
                                'nothing is written there. Remove the link, or give another output folder')
    return path


def _is_passing(path: Path) -> bool:
    """Whether a file is one that a killed run leaves before it has written anything."""
    return path.name in (LOCK, OWNER) or (path.name.startswith('.rk-') and path.suffix == '.tmp')


def _read_record(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise ExistingFileError(f'{file} cannot be read as the settings of an earlier run; give another output folder')
    return record
