"""One writer for a folder: a lock that ends with its process."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path

from filelock import FileLock, Timeout

from restorekit.messages import ExistingFileError

LOCK, OWNER = '.lock', '.lock-owner'

_held: dict[Path, tuple[int, FileLock]] = {}


class FolderInUseError(ExistingFileError):
    """Another process writes to the folder."""


def lock_folder(folder: str | os.PathLike[str]) -> None:
    """Lock a folder for this process; a second call by the same process changes nothing.

    The lock is the operating system's (``.lock``, by filelock), so a process that dies, however, leaves none behind. On
    a network file system it holds between machines where that file system has locks. ``.lock-owner`` says who has it.

    Args:
        folder (str | Path): An existing folder.

    Raises:
        FolderInUseError: If another process has it; names the process, its machine and since when.
        ExistingFileError: If the lock's file is a link, a folder or cannot be opened; names it.

    Example:
        >>> folder = getfixture('tmp_path')
        >>> lock_folder(folder)
        >>> unlock_folder(folder)
        >>> list(folder.iterdir())
        []
    """
    folder = Path(folder).resolve()
    if _held.get(folder, (None,))[0] == os.getpid():
        return
    file, owner = folder / LOCK, folder / OWNER
    for path in (file, owner):
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise ExistingFileError(f'{path} should be the file of a lock, but is {_kind(path)}; remove it')
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FolderInUseError(f'{folder} is in use: {_owner(owner)} writes there; wait for it to end, or choose '
                               'another folder') from error
    except OSError as error:
        raise ExistingFileError(f'the lock {file} cannot be taken: {error.strerror or error}; remove it, or choose '
                                'another folder') from error
    _held[folder] = os.getpid(), lock
    owner.write_text(json.dumps(dict(host=platform.node(), pid=os.getpid(),
                                     since=time.strftime('%Y-%m-%d %H:%M:%S'))), encoding='utf-8')


def unlock_folder(folder: str | os.PathLike[str]) -> None:
    """Unlock a folder that :func:`lock_folder` locked in this process; of another's lock nothing happens."""
    folder = Path(folder).resolve()
    if _held.get(folder, (None,))[0] != os.getpid():
        return
    lock = _held.pop(folder)[1]
    for path in (folder / OWNER, folder / LOCK):
        path.unlink(missing_ok=True)
    lock.release()


def _owner(file: Path) -> str:
    try:
        found = json.loads(file.read_text(encoding='utf-8')[:1000])
        return f'process {int(found["pid"])} on {str(found["host"])!r}, since {str(found["since"])!r},'
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 'another process'


def _kind(path: Path) -> str:
    return 'a link' if path.is_symlink() else 'a folder' if path.is_dir() else 'not a regular file'
