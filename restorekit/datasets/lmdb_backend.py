"""Image files kept in an LMDB, read through mmengine.fileio."""

import contextlib
import os

from mmengine.fileio import LmdbBackend, register_backend

from restorekit.files.reader import read_file
from restorekit.messages import InputError, MissingDependencyError, MissingFileError

LMDB_BACKEND = 'image_lmdb'
KEYS_FILE, SOURCE_FILE = 'keys.txt', 'source.json'  # make_lmdb writes the first at its end, the second at its start
OPTIONS = ('lock', 'max_readers', 'max_spare_txns', 'meminit', 'readahead', 'readonly')
MAX_BYTES = 2 ** 32  # of keys.txt
_environments = {}  # by path: one may be opened once per process, and not be used after a fork


class ImageLmdbBackend(LmdbBackend):
    """MMEngine's LMDB backend for image files: any UTF-8 name, opened once in each process, missing keys named.

    A key is the file's path relative to the folder the LMDB was made of; the value is the file's content.

    Args:
        db_path (str): The LMDB, a directory with ``data.mdb``.
        **kwargs: See :class:`mmengine.fileio.LmdbBackend` and ``lmdb.open``; those of ``OPTIONS``.

    Raises:
        ImportError: If the package lmdb is not installed.
        ValueError: If an option is unknown.

    Example:
        >>> backend = ImageLmdbBackend('train.lmdb')  # doctest: +SKIP
        >>> backend.get('train.lmdb/hazy/1.png')[1:4]  # doctest: +SKIP
        b'PNG'
    """

    _client = None  # for MMEngine's __del__, also if the next line fails

    def __init__(self, db_path, **kwargs):
        import_lmdb()
        unknown = [key for key in kwargs if key not in OPTIONS]
        if unknown:
            raise InputError(f'{db_path}: an LMDB takes no option {", ".join(unknown)}; allowed in backend_args are '
                             f'{", ".join(OPTIONS)}')
        super().__init__(db_path, **kwargs)

    def get(self, filepath):
        """Return the content of a file.

        Args:
            filepath (str | Path): The key, or the LMDB's path, ``/`` and the key.

        Raises:
            FileNotFoundError: If there is no such key.
        """
        key = str(filepath).removeprefix(f'{self.db_path}/')
        with self._reading(repr(key)) as transaction:
            try:
                value = transaction.get(key.encode('utf-8', 'surrogateescape'))
            except import_lmdb().BadValsizeError:  # no key is of this length
                value = None
        if value is None:
            raise MissingFileError(f'{self.db_path} has no file {key}')
        return value

    def keys(self):
        """Return all keys: the lines of ``keys.txt`` beside ``data.mdb``, or else what the database lists itself.

        Raises:
            ValueError: If make_lmdb has not finished it, or data.mdb is damaged or truncated.
        """
        listed = os.path.join(self.db_path, KEYS_FILE)
        there = os.path.lexists(listed)
        if os.path.isfile(os.path.join(self.db_path, SOURCE_FILE)) and not there:
            raise InputError(f'{self.db_path} is unfinished: it has {SOURCE_FILE} but no {KEYS_FILE}, so make_lmdb was '
                             'stopped before its end; run it again with the same arguments')
        with self._reading('its list of keys') as transaction:
            if there:
                text = read_file(listed, MAX_BYTES, 'list of keys').decode('utf-8', 'surrogateescape')
                return [key for key in text.split('\n') if key]
            return [key.decode('utf-8', 'surrogateescape') for key in transaction.cursor().iternext(values=False)]

    @contextlib.contextmanager
    def _reading(self, what):
        environment = self._environment()
        try:
            with environment.begin() as transaction:
                yield transaction
        except import_lmdb().Error as error:
            raise InputError(f'{self.db_path}: {what} cannot be read: {error}; if its data.mdb is damaged, copy it or '
                             'make it again') from error

    def _environment(self):
        name = os.path.realpath(self.db_path)
        if name not in _environments:
            if not os.path.isfile(os.path.join(self.db_path, 'data.mdb')):
                raise MissingFileError(f'{self.db_path} is not an LMDB: it has no data.mdb')
            _environments[name] = open_lmdb(self.db_path, readonly=self.readonly, lock=self.lock,
                                            readahead=self.readahead, **self.kwargs)
        return _environments[name]


def _close_all():
    while _environments:
        _environments.popitem()[1].close()


if hasattr(os, 'register_at_fork'):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_close_all)
register_backend(LMDB_BACKEND, ImageLmdbBackend, force=True)


def import_lmdb():
    """Import lmdb, or say how to install it."""
    try:
        import lmdb
    except ImportError as error:
        raise MissingDependencyError('an LMDB needs the package lmdb, which is not installed: '
                                     'python -m pip install "restorekit[lmdb]"') from error
    return lmdb


def open_lmdb(path, **options):
    """Return the environment ``lmdb.open`` gives.

    Raises:
        ValueError: If data.mdb is damaged or truncated, or an option has a wrong value.
    """
    try:
        environment = import_lmdb().open(str(path), **options)
    except (import_lmdb().Error, TypeError, ValueError, OverflowError) as error:
        raise InputError(f'the LMDB {path} cannot be opened with {options}: {error}; if its data.mdb is damaged, copy '
                         'it or make it again') from error
    size = os.path.getsize(os.path.join(path, 'data.mdb'))
    whole = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    if size < whole:  # reading a page that is not there ends the process by SIGBUS
        environment.close()
        raise InputError(f'the LMDB {path} is truncated: its data.mdb has {size} of {whole} bytes; copy it or make it '
                         f'again (if keys were deleted from it, it may be whole: then "python -m lmdb copy --compact '
                         f'-e {path} NEW.lmdb" makes one that is read)')
    return environment


def is_lmdb(folder):
    """Whether ``folder`` is an LMDB: its name ends in ``.lmdb``, or it holds ``data.mdb``."""
    return str(folder).endswith('.lmdb') or os.path.isfile(os.path.join(folder, 'data.mdb'))
