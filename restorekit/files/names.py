"""Names of output files made from names of data, and names as a terminal may show them."""

from __future__ import annotations

import hashlib
import logging
import os
import re

MAX_BYTES = 255  # of one name on the usual file systems
# and halves of surrogate pairs, but not the escapes \udc80 to \udcff of bytes that are not UTF-8
_CONTROL = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udc7f\udd00-\udfff]')
_DIRECTION = re.compile('[\u200e\u200f\u202a-\u202e\u2066-\u2069]')  # could make a name read as another one
_RESERVED = re.compile(r'(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])\s*(\..*)?', re.IGNORECASE | re.DOTALL)
_DRIVE = re.compile(r'([A-Za-z]):')


def file_name(text: str, suffix: str = '', room: int = 0) -> str:
    """Return a text as the name of one file or folder, which leads nowhere else.

    Separators become ``_``, as do all characters of a name of dots alone, control characters, the colon of a drive
    letter, and dots and spaces at the end; a name that Windows reserves gets ``_`` in front. A name that is too long
    is cut. A name that lost a control character or was cut ends in ``~`` and eight digits of a hash, so that two of
    them stay two. Bytes that are not UTF-8 (surrogate escapes) stay as they are on disk.

    Args:
        text (str): The name of a domain, an image or a key.
        suffix (str): Appended; it counts towards the length.
        room (int): Number of bytes to leave free for what the caller appends.

    Example:
        >>> file_name('day/fog'), file_name('../../x'), file_name('..'), file_name(''), file_name('NUL', '.png')
        ('day_fog', '.._.._x', '__', '_', '_NUL.png')
    """
    plain = text.replace('/', '_').replace('\\', '_').replace(os.sep, '_')
    name = _CONTROL.sub('_', plain)
    mark = '' if name == plain else _mark(text)
    if not name.strip('. '):
        name = '_' * max(len(name), 1)
    name = _DRIVE.sub(r'\1_', name, count=1) if _DRIVE.match(name) else name
    if _RESERVED.fullmatch(name + suffix):
        name = f'_{name}'
    if not suffix:
        kept = name.rstrip('. ')
        name = kept + '_' * (len(name) - len(kept))
    limit = MAX_BYTES - len(os.fsencode(suffix)) - room
    if len(os.fsencode(name + mark)) > limit:
        mark = _mark(text)
        name = _cut(name, limit - len(mark))
    return f'{name}{mark}{suffix}'


def output_name(name: str, suffix: str = '', room: int = 0) -> str:
    """Return the path of an output, relative to its folder and with ``/``, for data called ``name``.

    This is the one way to name an output: whatever the name is (absolute, with ``..``, with a drive letter, too long),
    the path stays below the folder and can be written. An ordinary name is kept.

    Args:
        name (str): Path of an image relative to its dataset, key of an LMDB, name of a patch; with or without suffix.
        suffix (str): Appended to the last part.
        room (int): Number of bytes that the caller appends to the last part.

    Example:
        >>> output_name('night/1400_3', '.png'), output_name('../../etc/passwd', '.png'), output_name('C:/x')
        ('night/1400_3.png', '__/__/etc/passwd.png', 'C_/x')
    """
    *folders, last = name.split('/')
    return '/'.join([*map(file_name, folders), file_name(last, suffix, room)])


def terminal_text(text: object, lines: bool = False) -> str:
    r"""Return a text as a terminal may show it: control characters and bytes that are not UTF-8 as escapes.

    Args:
        text (object): Anything; its ``str`` is taken.
        lines (bool): Keep line breaks and tabs, for messages of several lines; names have none.

    Example:
        >>> print(terminal_text('a\x1b[31m\udcff.png'))
        a\x1b[31m\xff.png
    """
    def escape(found: re.Match[str]) -> str:
        letter = found[0]
        if lines and letter in '\n\t':
            return letter
        return letter.encode('unicode_escape').decode()
    shown = _DIRECTION.sub(escape, _CONTROL.sub(escape, str(text)))
    return shown.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace')


def log(text: object, level: int = logging.WARNING) -> None:
    """Log a text that may hold names from files, as :func:`terminal_text` shows it."""
    from mmengine.logging import print_log  # which imports torch
    print_log(terminal_text(text, lines=True), 'current', level)


class TerminalFilter(logging.Filter):
    """A filter of a logger, after which its messages are as :func:`terminal_text` shows them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Escape the message; every record passes."""
        record.msg, record.args = terminal_text(record.getMessage(), lines=True), None
        return True


def _mark(text: str) -> str:
    return '~' + hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]


def _cut(name: str, limit: int) -> str:
    """Return the longest start of ``name`` that takes at most ``limit`` bytes on disk."""
    kept, used = 0, 0
    for letter in name:
        used += len(os.fsencode(letter))
        if used > limit:
            break
        kept += 1
    return name[:kept]
