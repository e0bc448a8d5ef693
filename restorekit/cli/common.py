"""What the commands share: options, threads, and errors that read as sentences."""

import argparse
import errno
import os
import re
import sys
import traceback
from pathlib import Path

import yaml
from mmengine.config import DictAction

from restorekit.tasks.process import imap, import_from_here, latest, next_free, prepare_process  # noqa: F401


class OptionAction(DictAction):
    """``k=v`` pairs; a value may be a number, true/false/none, a list, or a dict in YAML's flow form."""

    def __call__(self, parser, namespace, values, option_string=None):
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string} takes KEY=VALUE, but got {value!r}')
        super().__call__(parser, namespace, values, option_string)

    @staticmethod
    def _parse_iterable(value):
        if value.strip().lower() == 'none':
            return None
        if value.strip().startswith('{'):
            return yaml.safe_load(value)
        return DictAction._parse_iterable(value)


def add_config_options(parser):
    """Add what train and test both take."""
    parser.add_argument('--data-root', metavar='DIR', help='folder joined before the relative paths of the data sets')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='K=V', default={},
                        help='overrides, e.g. train_cfg.max_iters=100 phases.adapt.model.alignment=none')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='how the processes of a distributed run were started')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)


def run_guarded(function, args):
    """Call ``function(args)``; print mistakes of the user as one paragraph and return 1 instead of a traceback.

    ``RESTOREKIT_TRACEBACK=1`` shows the traceback.
    """
    try:
        return function(args) or 0
    except KeyboardInterrupt:
        print('\nInterrupted.', file=sys.stderr)
        return 130
    except Exception as error:
        if not _is_user_error(error) or os.environ.get('RESTOREKIT_TRACEBACK'):
            raise
        text = _of_worker(error)[1] or (error.args[0] if isinstance(error, KeyError) and error.args else error)
        print(f'\nerror: {text}\n(RESTOREKIT_TRACEBACK=1 shows where)', file=sys.stderr)
        return 1


_DISK = [getattr(errno, name, -1) for name in ('ENOSPC', 'EDQUOT', 'EROFS')]  # full, over quota, read-only


def _is_user_error(error):
    from restorekit.checkpoint import CheckpointError, CheckpointWriteError
    from restorekit.config import ConfigError
    from restorekit.files.image_io import ImageFileError
    from restorekit.models.restorers import NonFiniteError
    kinds = (ConfigError, CheckpointError, CheckpointWriteError, ImageFileError, NonFiniteError, FileNotFoundError,
             FileExistsError, NotADirectoryError, PermissionError, ImportError)
    if isinstance(error, kinds) or (isinstance(error, OSError) and error.errno in _DISK):
        return True
    # what restorekit itself raises, and not a library below it, was written to be read
    raised_by = _of_worker(error)[0] or traceback.extract_tb(error.__traceback__)[-1].filename
    return isinstance(error, (ValueError, TypeError, KeyError, RuntimeError)) and \
        Path(raised_by).is_relative_to(Path(__file__).parents[1])


def _of_worker(error):
    """The file that raised an error in a data worker, and the error's own text, of the text that torch made of both."""
    text = str(error.args[0]) if error.args else ''
    found = re.match(r'Caught (\w+) in DataLoader worker process', text)
    parts = re.split(rf'^(?:[\w.]+\.)?{found[1]}: ', text, flags=re.MULTILINE) if found else []
    files = re.findall(r'^  File "(.+)", line ', text, flags=re.MULTILINE)
    return (files[-1], parts[-1].strip()) if len(parts) > 1 and files else (None, None)
