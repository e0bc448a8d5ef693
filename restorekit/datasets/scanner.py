"""Finding files: in a folder, in an LMDB, on a remote store, or by a list file."""

import bisect
import fnmatch
import heapq
import itertools
import logging
import os
import unicodedata
from collections import Counter
from pathlib import Path

from mmengine import fileio

from restorekit.files.image_io import IMAGE_SUFFIXES
from restorekit.files.names import log, terminal_text
from restorekit.messages import InputError, MissingFileError

from .file_list import FileList
from .lmdb_backend import LMDB_BACKEND, ImageLmdbBackend, is_lmdb

#: Images and raw photos that datasets do not read.
UNREAD_SUFFIXES = ('.gif', '.heic', '.heif', '.avif', '.jxl', '.jp2', '.j2k', '.jxr', '.psd', '.svg', '.exr', '.hdr',
                   '.ppm', '.pgm', '.pbm', '.pnm', '.tga', '.ico', '.apng', '.dng', '.raw', '.cr2', '.cr3', '.nef',
                   '.arw', '.orf', '.rw2', '.raf')


def scan_images(folder, include=None, suffixes=IMAGE_SUFFIXES, backend_args=None):
    """List the image files below a folder.

    Args:
        folder (str): The folder, an LMDB, or a folder of a remote store that mmengine.fileio can list. Sub-folders are
            searched and links to folders followed, but each folder is read once, at its own path if it has one here.
        include (str | list[str], optional): Shell patterns (``'14[0-2]?.png'``); a file is kept when its path
            relative to ``folder`` or its name matches one. Default: keep all.
        suffixes (tuple[str]): File suffixes, lower case.
        backend_args (dict, optional): See :func:`storage`.

    Returns:
        FileList: Sorted paths relative to ``folder``, with ``/``; its ``left_out`` names the images of formats that are
        not read, which are warned about.

    Raises:
        FileNotFoundError: If the folder is missing, or holds no image that ``include`` keeps.
    """
    root, backend_args = storage(folder, backend_args)
    names = [name for name in _list(root, backend_args) if not name.rpartition('/')[2].startswith('.')]
    images = [name for name in names if name.lower().endswith(suffixes)]
    found = keep_matching(images, include)
    unread = keep_matching([name for name in names if name.lower().endswith(UNREAD_SUFFIXES)], include)
    if not found:
        detail = f'{len(images)} images are there but none matches include={include!r}' if images else \
            f'it has no file with suffix {", ".join(suffixes)}'
        detail += f'; formats that are not read: {_some(unread)}' if unread else ''
        raise MissingFileError(f'no images in {_shown(root)}: {detail}')
    if unread:
        log(f'{_shown(root)}: {len(unread)} files are left out, since their format is not read: {_some(unread)}; '
            'convert them to PNG or JPEG')
    result = FileList(sorted(found))
    result.left_out = tuple(sorted(unread))
    kinds = Counter(name[name.rfind('.'):].lower() for name in found)
    if len(kinds) > 1:
        counts = sorted((-count, kind) for kind, count in kinds.items())
        log(f'{_shown(root)} mixes formats: {", ".join(f"{-count} {kind}" for count, kind in counts)}', logging.INFO)
    return result


def _some(names):
    """The first five names, as a terminal may show them."""
    names = sorted(names)
    return ', '.join(map(terminal_text, names[:5])) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def keep_matching(names, include):
    """Keep the names that, or whose last parts, match one of the shell patterns (all if None)."""
    patterns = [include] if isinstance(include, str) else include
    if patterns is None:
        return names
    return [name for name in names
            if any(fnmatch.fnmatch(name, p) or fnmatch.fnmatch(name.rpartition('/')[2], p) for p in patterns)]


def storage(folder, backend_args=None):
    """Return where a folder's files are: its path, and the ``backend_args`` mmengine.fileio reads them with.

    Args:
        folder (str): A folder; an LMDB, known by ``.lmdb`` or its ``data.mdb``, which chooses its backend by itself;
            or a URL.
        backend_args (dict, optional): Of the other folders: as mmengine.fileio takes it; ``backend='lmdb'`` may hand
            options to LMDBs (``dict(backend='lmdb', readahead=True)``), and changes nothing for a folder that is there
            and is none. Default: local files.

    Returns:
        tuple[str, dict | None]: The path, and None for local files.
    """
    folder, given = str(folder), dict(backend_args or {})
    if '://' not in folder:
        folder = str(Path(folder))
    for_lmdb = given.get('backend') == 'lmdb'
    if '://' not in folder and (is_lmdb(folder) or (for_lmdb and not os.path.isdir(folder))):
        options = {key: value for key, value in given.items() if for_lmdb and key not in ('backend', 'db_path')}
        return folder, dict(options, backend=LMDB_BACKEND, db_path=folder)
    if '://' not in folder and (for_lmdb or given.get('backend', 'local') == 'local'):
        return folder, None
    return folder, given


def find_names(folder, names, backend_args=None):
    """Look names up in a folder; one written in another normal form of Unicode (macOS decomposes ``ü``) is found too.

    Returns:
        tuple[list[str], list[int]]: The names as the folder has them, and the places of those it has not; a remote
        store is not asked.
    """
    root, backend_args = storage(folder, backend_args)
    if backend_args is None:
        if not os.path.isdir(root):
            raise _no_folder(root)
        listings = {}
        found = [_on_disk(root, name, listings) for name in names]
    elif backend_args.get('backend') == LMDB_BACKEND:
        keys = set(_list(root, backend_args))
        found = [_spelt(name, keys) for name in names]
    else:
        return names, []
    missing = [i for i, name in enumerate(found) if name is None]
    return found, missing


def _on_disk(root, name, listings):
    """The path of a file as it is spelt below ``root``, or None."""
    parent, _, last = name.rpartition('/')
    if parent not in listings:
        path = parent if os.path.isdir(os.path.join(root, parent)) else _on_disk(root, parent, listings)
        there = path is not None and os.path.isdir(os.path.join(root, path))
        listings[parent] = path, frozenset(os.listdir(os.path.join(root, path))) if there else ()
    path, there = listings[parent]
    last = _spelt(last, there)
    return last if last is None or not path else f'{path}/{last}'


def _spelt(name, there):
    if name in there:
        return name
    forms = (unicodedata.normalize(kind, name) for kind in ('NFC', 'NFD'))
    return next((form for form in forms if form in there), None)


class FileSource:
    """Files of one or more folders, in order, and how to read them.

    Args:
        parts (list[tuple[str, FileList]]): Folders and the names of their files.
        backend_args (dict, optional): See :func:`storage`.
        order (ndarray, optional): Which file item i takes; default: file i.
    """

    def __init__(self, parts, backend_args=None, order=None):
        self.stores = [storage(folder, backend_args) for folder, _ in parts]
        self.lists = [names for _, names in parts]
        self.ends = list(itertools.accumulate(len(names) for names in self.lists))
        self.order = order

    def __len__(self):
        return self.ends[-1] if self.order is None else len(self.order)

    def _find(self, item):
        index = range(len(self))[item] if self.order is None else int(self.order[item])
        part = bisect.bisect_right(self.ends, index)
        return part, index - (self.ends[part - 1] if part else 0)

    def path(self, item):
        """Path of the file of an item."""
        part, index = self._find(item)
        root = self.stores[part][0]
        return self.lists[part][index] if root == '.' else f'{root.rstrip("/")}/{self.lists[part][index]}'

    def name(self, item):
        """Path of the file of an item relative to its folder."""
        part, index = self._find(item)
        return self.lists[part][index]

    def backend_args(self, item):
        """What mmengine.fileio reads the file of an item with; None: a local file."""
        return self.stores[self._find(item)[0]][1]

    def names(self):
        """Yield the path of each item relative to its folder; with several folders, after the number of the folder."""
        if len(self.lists) == 1:
            names, = self.lists
            yield from names if self.order is None else map(names.__getitem__, self.order.tolist())
        else:
            yield from (f'{part}/{self.lists[part][index]}' for part, index in map(self._find, range(len(self))))


def _list(root, backend_args):
    if backend_args is None:
        if not os.path.isdir(root):
            raise _no_folder(root)
        return _walk(root)
    if backend_args.get('backend') == LMDB_BACKEND:
        if not os.path.isdir(root):
            raise MissingFileError(f'no LMDB {_shown(root)}; give the right one in the config or with --data-root')
        return ImageLmdbBackend(**{key: value for key, value in backend_args.items() if key != 'backend'}).keys()
    backend = fileio.get_file_backend(root, backend_args=backend_args)
    if not hasattr(backend, 'list_dir_or_file'):
        raise InputError(f'{type(backend).__name__} cannot list the files of {root}; name them in ann_file')
    return list(backend.list_dir_or_file(root, list_dir=False, recursive=True))


def _walk(root):
    """Paths of all files below ``root``; a folder that links lead to again is read once.

    Where it lies below ``root`` itself, that is its path; otherwise that of the first link in sorted order.
    """
    found, seen, folders, links = [], set(), [''], []
    while folders or links:
        folder = folders.pop() if folders else heapq.heappop(links)
        path = os.path.join(root, folder)
        if (identity := _identity(path)) in seen:
            continue
        seen.add(identity)
        with os.scandir(path) as entries:
            for entry in entries:
                if not _is_folder(entry):
                    found.append(folder + entry.name)
                elif entry.is_symlink():
                    heapq.heappush(links, f'{folder}{entry.name}/')
                else:
                    folders.append(f'{folder}{entry.name}/')
    return found


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(folder):
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _no_folder(root):
    return MissingFileError(f'no folder {_shown(root)}; give the right one in the config or with --data-root')


def _shown(root):
    return root if '://' in root else Path(root).absolute()
