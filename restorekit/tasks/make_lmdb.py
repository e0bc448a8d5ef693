"""Pack a folder of images into one LMDB file, byte for byte."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restorekit.files.atomic import atomic_write_bytes
from restorekit.files.output_folder import claim_folder
from restorekit.messages import ExistingFileError, InputError, WriteError

from .process import Progress

MAX_KEY_BYTES = 511  # of LMDB as it is usually built
PAGE = 4096
BATCH_BYTES = 2**26


@dataclass
class LmdbReport:
    """What :func:`make_lmdb` wrote.

    Attributes:
        out (Path): The LMDB.
        files (int): Number of files in it.
        skipped (int): Number of files that were in it before.
        nbytes (int): Bytes of all files.
    """

    out: Path
    files: int
    skipped: int
    nbytes: int


def make_lmdb(source: str | os.PathLike[str], out: str | os.PathLike[str], *, commit: int = 200,
              progress: Progress | None = None) -> LmdbReport:
    """Pack the images (and .npy depth maps) below a folder into an LMDB, under their paths relative to it.

    The files are kept byte for byte. ``keys.txt`` with the names is written last: datasets refuse an LMDB without it.
    A run that was stopped continues when it is called again; new files of the folder are added.

    Args:
        source (str | Path): Folder of images, with sub-folders.
        out (str | Path): The LMDB, a folder whose name ends in ``.lmdb``.
        commit (int): Number of files written at once; a run that is killed loses at most these.
        progress (Callable, optional): Called as ``progress(files written, files to write)``.

    Returns:
        LmdbReport: What it holds, after comparing number and bytes with the folder.

    Raises:
        InputError: If a name cannot be a key, or a file changed meanwhile.
        ExistingFileError: If ``out`` was made from another folder, or the folder has changed.
        MissingDependencyError: If the package lmdb is not installed.

    Example:
        >>> make_lmdb('train/hazy', 'train/hazy.lmdb').files  # doctest: +SKIP
        13990
    """
    from restorekit.datasets import scan_images
    from restorekit.datasets.lmdb_backend import KEYS_FILE, SOURCE_FILE, import_lmdb, open_lmdb
    from restorekit.files.image_io import IMAGE_SUFFIXES, read_bytes
    import_lmdb()
    source, out = Path(source), Path(out)
    if out.suffix != '.lmdb':
        raise InputError(f'the name of the LMDB must end in .lmdb, by which datasets know it, but got {out}')
    if commit < 1:
        raise InputError(f'commit must be at least 1, but got {commit}')
    names = [str(name) for name in scan_images(str(source), suffixes=(*IMAGE_SUFFIXES, '.npy'))]
    _check_names(names, source)
    sizes = {name: (source / name).stat().st_size for name in names}
    with claim_folder(out, SOURCE_FILE, dict(source=str(source.resolve())), 'an LMDB'):
        for file in ('data.mdb', 'lock.mdb', KEYS_FILE):
            if (out / file).is_symlink():
                raise ExistingFileError(f'{out / file} is a link to {os.readlink(out / file)}; nothing is written '
                                        'there. Remove the link, or give another output')
        with open_lmdb(out, map_size=map_size(sizes)) as env:
            todo = _missing(env, sizes, source, out)
            (out / KEYS_FILE).unlink(missing_ok=True)  # unfinished from here on: datasets refuse it
            done = 0
            for batch in batches(todo, sizes, commit):
                put(env, [(_key(name), read_bytes(source / name, None)) for name in batch])
                done += len(batch)
                if progress is not None:
                    progress(done, len(todo))
            total = _verify(env, sizes)
        atomic_write_bytes(b''.join(_key(name) + b'\n' for name in sorted(names)), out / KEYS_FILE)
    return LmdbReport(out, len(names), len(names) - len(todo), total)


def _key(name: str) -> bytes:
    return name.encode('utf-8', 'surrogateescape')


def _check_names(names: Sequence[str], source: Path) -> None:
    """Refuse names that an LMDB or its list cannot hold."""
    bad = [name for name in names if len(_key(name)) > MAX_KEY_BYTES or '\n' in name or '\r' in name]
    if bad:
        raise InputError(f'{len(bad)} names in {source} are longer than {MAX_KEY_BYTES} bytes or contain a line break, '
                         f'which LMDB and its list of keys cannot keep: {", ".join(map(ascii, bad[:5]))}; rename them')


def batches(names: Sequence[str], sizes: Mapping[str, int], limit: int) -> Iterator[list[str]]:
    """Yield lists of at most ``limit`` names whose files fit into memory together."""
    batch: list[str] = []
    volume = 0
    for name in names:
        if batch and (len(batch) == limit or volume + sizes[name] > BATCH_BYTES):
            yield batch
            batch, volume = [], 0
        batch.append(name)
        volume += sizes[name]
    if batch:
        yield batch


def map_size(sizes: Mapping[str, int]) -> int:
    """Return an upper bound of the bytes an LMDB of these files takes: values fill whole pages, keys some more."""
    pages = sum((size + 16) // PAGE + 2 for size in sizes.values())
    return pages * PAGE + 64 * 2**20


def _missing(env: Any, sizes: Mapping[str, int], source: Path, out: Path) -> list[str]:
    """Return the names that are not in the LMDB yet, in order; refuse an LMDB of other files."""
    differing, there = [], set()
    with env.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            name = bytes(key).decode('utf-8', 'surrogateescape')
            there.add(name)
            if sizes.get(name) != len(value):
                differing.append(name)
    if differing:
        raise ExistingFileError(f'{out} holds {len(differing)} files that {source} does not have, or has with another '
                                f'number of bytes: {", ".join(differing[:5])}; the source has changed, make a new LMDB')
    return [name for name in sizes if name not in there]


def put(env: Any, items: Sequence[tuple[bytes, bytes]]) -> None:
    """Write all ``items`` or none; the map grows if it must."""
    import lmdb
    while True:
        try:
            with env.begin(write=True) as transaction:
                for key, value in items:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            env.set_mapsize(env.info()['map_size'] * 2)
        except lmdb.Error as error:
            raise WriteError(errno.EIO, f'{env.path()} cannot be written to ({error}); is the disk full, or a limit of '
                             'the size of files set? Mend it, and run the same command again') from error


def _verify(env: Any, sizes: Mapping[str, int]) -> int:
    """Return the bytes of all values after comparing their number and bytes with the files."""
    with env.begin(buffers=True) as transaction:
        count, total = 0, 0
        for value in transaction.cursor().iternext(keys=False, values=True):
            count, total = count + 1, total + len(value)
    if (count, total) != (len(sizes), sum(sizes.values())):
        raise InputError(f'the LMDB holds {count} files of {total} bytes, the folder {len(sizes)} of '
                         f'{sum(sizes.values())}: a file changed meanwhile; make the LMDB anew')
    return total
