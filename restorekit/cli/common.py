"""What the commands share: options, and errors that read as sentences."""

import argparse
import contextlib
import errno
import json
import math
import os
import sys
import traceback
from pathlib import Path
from typing import IO

from restorekit.files.names import terminal_text
from restorekit.messages import MissingDependencyError, UserError
from restorekit.tasks.process import import_from_here, prepare_process  # noqa: F401

#: What the system says without naming a file, and a user can mend: a disk that is full, over quota or read-only, a
#: limit of sizes or of open files, a terminal that is gone.
_SYSTEM = [getattr(errno, name, -1)
           for name in ('ENOSPC', 'EDQUOT', 'EROFS', 'EFBIG', 'EMFILE', 'ENFILE', 'EBADF', 'EIO')]


def say(*values: object, sep: str = ' ', file: IO[str] | None = None, flush: bool = False) -> None:
    """Print, as a terminal may show it: the one way in which commands print.

    Names come from files of strangers. Control characters in them would move the cursor or fill the clipboard, and
    letters that the terminal's encoding lacks would end the command; both are shown as escapes. Line breaks stay: a
    name whose own must not show goes through :func:`terminal_text` first.

    Args:
        values, sep, file, flush: As of ``print``.
    """
    file = sys.stdout if file is None else file
    text = terminal_text(sep.join(map(str, values)), lines=True)
    encoding = getattr(file, 'encoding', None) or 'utf-8'
    print(text.encode(encoding, 'backslashreplace').decode(encoding), file=file, flush=flush)


def add_config_options(parser):
    """Add the arguments that train and test have in common."""
    from .option_action import OptionAction
    parser.add_argument('--data-root', metavar='DIR', help='folder that holds the datasets; relative paths in the '
                        'config are looked up there')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='KEY=VALUE', default={},
                        help='change values of the config, for example train_cfg.max_iters=100 or '
                        'phases.adapt.model.alignment=none')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'],
                        help='how the processes of a distributed run are started (default: the launcher of the config, '
                        'or none, a single process)')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)


def set_local_rank(args):
    """Hand on what old launchers give as an argument."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))


def named(arguments, stem=False):
    """Return (name, path) of every ``[NAME=]PATH``; a path that exists whole has no name but its own (or its stem)."""
    found = []
    for argument in arguments:
        name, equals, path = argument.partition('=')
        if not equals or Path(argument).exists():
            name, path = Path(argument).stem if stem else argument, argument
        found.append((name, path))
    return found


def write_json(path, record):
    """Write a record to a file as JSON, if a file is named; its folder is made. What is not finite becomes null."""
    if path:
        from restorekit.files.atomic import atomic_write_text
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(_finite(record), indent=2, allow_nan=False) + '\n', path)


def _finite(value):
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def run_guarded(function, args):
    """Call ``function(args)`` and return its exit status, or 1 after an error.

    A mistake of the user is shown as one sentence (``RESTOREKIT_TRACEBACK=1`` shows where it was raised); anything
    else is a bug and is shown with its traceback.
    """
    try:
        status = function(args) or 0
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except KeyboardInterrupt as error:
        _complain(f'\nInterrupted{": " if error.args else ""}{error}.')
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
                continue
            with contextlib.suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 1
    except Exception as error:  # the one place where every error ends
        sentence = user_sentence(error)
        if sentence is None:
            _complain(traceback.format_exc() + '\nThis is a bug, not a mistake of yours: of restorekit, unless the '
                      'last lines above are in code of your own. Please report it, with the command and all of the '
                      'text above.')
            return 1
        if os.environ.get('RESTOREKIT_TRACEBACK'):
            raise
        _complain(f'\nerror: {clipped(sentence)}\n(RESTOREKIT_TRACEBACK=1 shows where)')
        return 1
    return status


def _complain(text):
    """Say on stderr why a command ends; the exit status says it too, where nobody can be told."""
    with contextlib.suppress(OSError, ValueError):
        say(text, file=sys.stderr, flush=True)


def clipped(sentence, width=2000, height=100):
    """Cut what a file has put into a sentence: names of megabytes, or thousands of them."""
    lines = [line if len(line) <= width else f'{line[:width]} ...' for line in sentence.splitlines()]
    return '\n'.join(lines if len(lines) <= height else [*lines[:height], f'... and {len(lines) - height} lines more'])


def _is_out_of_memory(error):
    from restorekit.inference.memory import is_out_of_memory
    return is_out_of_memory(error)


def user_sentence(error):
    """Return the sentence to show for an error that a user can mend, or None for a bug.

    A user can mend a :class:`UserError`, what the operating system says of a path, a file or a full disk, and too
    little memory.
    """
    cause = error.__cause__
    if isinstance(error, MissingDependencyError) and isinstance(cause, ImportError) and \
            not isinstance(cause, ModuleNotFoundError):
        return f'{error} (there is one, but it cannot be imported: {cause})'
    if isinstance(error, UserError):
        return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f'{error.filename}: {error.strerror}'
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        return error.strerror
    if isinstance(error, FileNotFoundError) and error.errno == errno.ENOENT:  # os.getcwd's, which names none
        return 'the working directory is not there any more; change to one that is'
    if isinstance(error, RuntimeError) and str(error).startswith('Symlink loop'):  # of pathlib before Python 3.13
        return str(error)
    if isinstance(error, ValueError) and str(error) == 'embedded null byte':
        return 'a path holds a NUL character'
    if isinstance(error, MemoryError) or ('torch' in sys.modules and _is_out_of_memory(error)):
        return f'there is too little memory; use smaller batches or images ({error})'
    return None
