"""The guarded reader: regular files only, of a limited size, and no waiting for a file system that stalls."""

from __future__ import annotations

import json
import os
import queue
import stat
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from restorekit.messages import InputError, MissingFileError

Result = TypeVar('Result')
#: Seconds without a byte after which a file system counts as stalled; ``RESTOREKIT_READ_TIMEOUT`` changes it.
STALL_SECONDS = 60.0
_CHUNK = 2 ** 23


class StalledReadError(InputError):
    """A file whose file system gives nothing for too long."""


def read_file(path: str | os.PathLike[str], limit: int, what: str = 'file') -> bytes:
    """Return the content of a regular file.

    A FIFO, a socket, a device, or a link to one is refused before it is opened for reading: reading it could wait for
    ever, or never end.

    Args:
        path (str | Path): The file; links to regular files are followed.
        limit (int): Most bytes it may have.
        what (str): What errors call it.

    Raises:
        MissingFileError: If there is no such file, or it is not a regular file.
        InputError: If it has more than ``limit`` bytes.
        StalledReadError: If nothing comes for :func:`stall_seconds`.

    Example:
        >>> read_file(__file__, limit=2 ** 20)[:3]
        b'\"\"\"'
    """
    progress = [0]
    return within_time(lambda: _read(path, limit, what, progress), path, progress)


def read_json(path: str | os.PathLike[str], what: str = 'JSON file', limit: int = 2 ** 30) -> dict[str, Any]:
    """Return the object in a JSON file.

    Args:
        path (str | Path): The file.
        what (str): What errors call it.
        limit (int): Most bytes it may have.

    Raises:
        MissingFileError: If there is no such file.
        InputError: If it is not JSON in UTF-8, or its outermost value is not an object; names the file.
    """
    data = read_file(path, limit, what)
    try:
        found = json.loads(data.decode('utf-8-sig'))
    except (ValueError, RecursionError) as error:
        raise InputError(f'{path} is not {what}: it is damaged, or not JSON ({error}); restore it, or make it again'
                         ) from error
    if not isinstance(found, dict):
        raise InputError(f'{path} is not {what}: it holds a {type(found).__name__}, not an object')
    return found


def check_regular(path: str | os.PathLike[str], what: str = 'file') -> os.stat_result:
    """Return the status of a regular file; see :func:`read_file` for what is refused."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        if os.path.islink(path):
            raise MissingFileError(f'no {what} {path}: it is a link to {os.readlink(path)}, which is not there'
                                   ) from error
        raise MissingFileError(f'no {what} {path}') from error
    except ValueError as error:  # a NUL in the name
        raise MissingFileError(f'no {what} {path!r}: {error}') from error
    if not stat.S_ISREG(status.st_mode):
        raise MissingFileError(f'no {what} {path} (it is {_kind(status.st_mode)}, not a regular file)')
    return status


def stall_seconds() -> float:
    """Return how long a read may wait for the next byte, in seconds."""
    given = os.environ.get('RESTOREKIT_READ_TIMEOUT')
    try:
        seconds = STALL_SECONDS if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float('inf'):
        raise InputError('the environment variable RESTOREKIT_READ_TIMEOUT must be a number of seconds above 0, but '
                         f'got {given!r}')
    return seconds


def within_time(function: Callable[[], Result], path: str | os.PathLike[str],
                progress: list[int] | None = None) -> Result:
    """Call ``function`` in another thread, and stop waiting for it when nothing happens any more.

    Args:
        function (Callable): Reads a file.
        path (str | Path): The file, for the message.
        progress (list[int], optional): One number that ``function`` counts up; while it changes, waiting goes on.

    Raises:
        StalledReadError: After :func:`stall_seconds` without a result and without progress.
    """
    seconds = stall_seconds()
    helper = _take_helper()  # after an interruption it stays busy, and is not used again
    helper.jobs.put(function)
    before = -1
    while True:
        try:
            result, error = helper.results.get(timeout=seconds)
            break
        except queue.Empty:
            now = progress[0] if progress else 0
            if now == before or progress is None:
                raise StalledReadError(
                    f'{path}: nothing could be read for {seconds:g} seconds; the file system seems to stall. Check the '
                    'disk or network, or set the environment variable RESTOREKIT_READ_TIMEOUT to wait longer') from None
            before = now
    _idle.append(helper)
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


class _Helper:
    """A thread that reads for another, one file after the other."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.results: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._work, name='restorekit-reader', daemon=True).start()

    def _work(self) -> None:
        while True:
            function = self.jobs.get()
            try:
                self.results.put((function(), None))
            except BaseException as error:  # it belongs to the thread that waits
                self.results.put((None, error))
            del function


_idle: list[_Helper] = []  # append and pop are atomic


def _take_helper() -> _Helper:
    try:
        return _idle.pop()
    except IndexError:
        return _Helper()


if hasattr(os, 'register_at_fork'):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_idle.clear)


def _read(path: str | os.PathLike[str], limit: int, what: str, progress: list[int]) -> bytes:
    check_regular(path, what)
    # a FIFO that takes the file's place meanwhile does not block
    descriptor = os.open(path, os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0) | getattr(os, 'O_BINARY', 0) |
                         getattr(os, 'O_CLOEXEC', 0))
    with open(descriptor, 'rb', buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MissingFileError(f'no {what} {path} (it is {_kind(status.st_mode)}, not a regular file)')
        if status.st_size > limit:
            raise InputError(f'{path} has {status.st_size} bytes, more than the limit of {limit} for '
                             f'{"an" if what[0] in "aeiou" else "a"} {what}')
        chunks: list[bytes] = []
        left = status.st_size  # what grows meanwhile, or has no size (as in /proc), is not read further
        while left > 0:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
            progress[0] += len(chunk)
        return chunks[0] if len(chunks) == 1 else b''.join(chunks)


def _kind(mode: int) -> str:
    for test, name in ((stat.S_ISDIR, 'a folder'), (stat.S_ISFIFO, 'a FIFO'), (stat.S_ISSOCK, 'a socket'),
                       (stat.S_ISCHR, 'a device'), (stat.S_ISBLK, 'a device')):
        if test(mode):
            return name
    return 'of another kind'
