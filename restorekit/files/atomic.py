"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import re
import socket
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_DISK = {getattr(errno, name, -1) for name in ('ENOSPC', 'EDQUOT', 'EROFS')}
_NUMBERS = itertools.count()
_TEMPORARY = re.compile(r'\.rk-([0-9a-f]{8})-(\d+)-\d+\.tmp')


def atomic_write(path: str | os.PathLike, write: Callable[[BinaryIO], object], sync: bool = True) -> None:
    """Call ``write(file)`` on a temporary file beside ``path``, then move it to ``path``.

    Afterwards ``path`` is the old file or the whole new one, whatever happens in between.

    Args:
        path (str | Path): The target.
        write (Callable): Called with a binary file object.
        sync (bool): Whether the file must survive a power failure from the moment this returns. False is faster, for
            files that can be made again.

    Raises:
        FileNotFoundError: If the folder does not exist.
        OSError: If it cannot be written to or the disk is full; nothing is left behind then.
    """
    path = os.fspath(path)
    folder = os.path.dirname(path) or '.'
    # short and unlike the target: a name of 255 bytes has no room for a suffix
    temporary = os.path.join(folder, f'.rk-{_host()}-{os.getpid()}-{next(_NUMBERS)}.tmp')
    try:
        with open(temporary, 'wb') as file:
            write(file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # also when interrupted
        if os.path.exists(temporary):
            os.remove(temporary)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, temporary):
            raise OSError(error.errno, error.strerror, path) from error  # the name that the user knows
        raise
    if sync and os.name == 'posix':  # elsewhere a folder cannot be opened
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def atomic_write_text(text: str, path: str | os.PathLike, sync: bool = True) -> None:
    """Write ``text`` to ``path`` as :func:`atomic_write` does: UTF-8, and names that are not UTF-8 as their bytes."""
    atomic_write_bytes(text.encode('utf-8', 'surrogateescape'), path, sync)


def atomic_write_bytes(data: bytes, path: str | os.PathLike, sync: bool = True) -> None:
    """Write ``data`` to ``path`` as :func:`atomic_write` does."""
    atomic_write(path, lambda file: file.write(data), sync)


def disk_refuses(error: OSError) -> bool:
    """Return whether an error means that nothing can be written any more: disk full, over quota, or read-only."""
    return error.errno in _DISK


def remove_temporaries(folder: str | os.PathLike, recursive: bool = False) -> None:
    """Remove the temporary files that killed processes of this machine left in ``folder``.

    Those of living processes and of other machines stay.
    """
    folder = Path(folder)
    for path in folder.rglob('.rk-*.tmp') if recursive else folder.glob('.rk-*.tmp'):
        match = _TEMPORARY.fullmatch(path.name)
        if match and match[1] == _host() and (int(match[2]) == os.getpid() or not process_exists(int(match[2]))):
            path.unlink(missing_ok=True)


def process_exists(pid: int) -> bool:
    """Return whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it runs as another user
        return True
    return True


def _host() -> str:
    return f'{zlib.crc32(socket.gethostname().encode()):08x}'
