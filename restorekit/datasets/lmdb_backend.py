"""Image files kept in an LMDB, read through mmengine.fileio."""

import os

from mmengine.fileio import LmdbBackend, register_backend

LMDB_BACKEND = 'image_lmdb'
KEYS_FILE = 'keys.txt'
_environments = {}  # by path: one may be opened once per process, and not be used after a fork


class ImageLmdbBackend(LmdbBackend):
    """MMEngine's LMDB backend for image files: any UTF-8 name, opened once in each process, missing keys named.

    A key is the file's path relative to the folder the LMDB was made of; the value is the file's content.

    Args:
        db_path (str): The LMDB, a directory with ``data.mdb``.
        **kwargs: See :class:`mmengine.fileio.LmdbBackend`.

    Raises:
        ImportError: If the package lmdb is not installed.

    Example:
        >>> backend = ImageLmdbBackend('train.lmdb')  # doctest: +SKIP
        >>> backend.get('train.lmdb/hazy/1.png')[1:4]  # doctest: +SKIP
        b'PNG'
    """

    _client = None  # for MMEngine's __del__, also if the next line fails

    def __init__(self, db_path, **kwargs):
        import_lmdb()
        super().__init__(db_path, **kwargs)

    def get(self, filepath):
        """Return the content of a file.

        Args:
            filepath (str | Path): The key, or the LMDB's path, ``/`` and the key.

        Raises:
            FileNotFoundError: If there is no such key.
        """
        key = str(filepath).removeprefix(f'{self.db_path}/')
        with self._environment().begin() as transaction:
            value = transaction.get(key.encode('utf-8', 'surrogateescape'))
        if value is None:
            raise FileNotFoundError(f'{self.db_path} has no file {key}')
        return value

    def keys(self):
        """Return all keys: the lines of ``keys.txt`` beside ``data.mdb``, or else what the database lists itself."""
        listed = os.path.join(self.db_path, KEYS_FILE)
        if os.path.isfile(listed):
            with open(listed, encoding='utf-8', errors='surrogateescape', newline='\n') as file:
                return [key for key in file.read().split('\n') if key]
        with self._environment().begin() as transaction:
            return [key.decode('utf-8', 'surrogateescape') for key in transaction.cursor().iternext(values=False)]

    def _environment(self):
        name = os.path.realpath(self.db_path)
        if name not in _environments:
            if not os.path.isfile(os.path.join(self.db_path, 'data.mdb')):
                raise FileNotFoundError(f'{self.db_path} is no LMDB: it has no data.mdb')
            _environments[name] = self._get_client()
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
        raise ImportError('reading an LMDB needs the package lmdb, which is not installed: '
                          'python -m pip install "restorekit[lmdb]"') from error
    return lmdb


def is_lmdb(folder):
    """Whether ``folder`` is an LMDB: its name ends in ``.lmdb``, or it holds ``data.mdb``."""
    return str(folder).endswith('.lmdb') or os.path.isfile(os.path.join(folder, 'data.mdb'))
