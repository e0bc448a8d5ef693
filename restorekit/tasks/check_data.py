"""Check the datasets of a config: counts, files, sizes, pairs, leaks."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restorekit.messages import InputError

from .process import Progress, check_workers, imap, import_from_here, what_failed

LOADERS = dict(train='train_dataloader', val='val_dataloader', test='test_dataloader')
SHOWN = 5

Look = dict[str, Any]
Size = tuple[int, int]


def check_data(config: str | os.PathLike[str], *, data_root: str | None = None, quick: bool = False,
               workers: int | None = None, progress: Progress | None = None) -> DataReport:
    """Read the files of every dataset that a config names, and list what is wrong with them.

    Args:
        config (str | Path): A config, or a base of a dataset (``configs/_base_/datasets/NAME.py``).
        data_root (str, optional): Folder joined before the relative paths of the datasets.
        quick (bool): Read headers only: damage behind the headers and duplicates are not found.
        workers (int, optional): Number of processes; default: one per core.
        progress (Callable, optional): Called as ``progress(files read, all files)``.

    Returns:
        DataReport: A row for each dataset, with ``faults`` and ``notes``.

    Raises:
        InputError: If the config names no dataset.
        ConfigError: If the config cannot be read or has a mistake.

    Example:
        >>> report = check_data('cid/cid_quickstart', workers=1)
        >>> [entry.found for entry in report.datasets], report.faults
        ([160, 160, 12, 12], [])
    """
    check_workers(workers)
    from mmengine.logging import MMLogger
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)  # what it would say is in the report
    try:
        entries = _collect(_load(config, data_root))
        if not entries:
            raise InputError(f'{config} names no dataset: it has none of {", ".join(LOADERS.values())}')
        _read_files(entries, quick, workers, progress)
        for entry in entries:
            entry.check()
        return DataReport(str(config), data_root, quick, entries, [] if quick else leaks(entries))
    finally:
        logger.setLevel(level)


@dataclass
class DataReport:
    """What :func:`check_data` found.

    Attributes:
        config (str): The config.
        data_root (str | None): Folder joined before the paths.
        quick (bool): Whether only headers were read.
        datasets (list[DatasetEntry]): One for each dataset.
        shared (list[str]): Faults of images that are trained on and tested on.
    """

    config: str
    data_root: str | None
    quick: bool
    datasets: list[DatasetEntry]
    shared: list[str]

    @property
    def faults(self) -> list[str]:
        """All faults, with the splits they belong to."""
        return [f'{",".join(entry.splits)}: {fault}' for entry in self.datasets for fault in entry.faults] + self.shared

    @property
    def notes(self) -> list[str]:
        """What is worth knowing but not wrong."""
        return [note for entry in self.datasets for note in entry.notes]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return dict(config=self.config, data_root=self.data_root, quick=self.quick,
                    datasets=[entry.to_dict() for entry in self.datasets], shared=self.shared)

    def table(self) -> str:
        """Lay out a row for each dataset."""
        from restorekit.text_table import text_table
        rows: list[tuple[object, ...]] = [('splits', 'dataset', 'type', 'found', 'expected', 'files', 'MiB', 'smallest',
                                           'largest', 'faults')]
        for entry in self.datasets:
            sizes = entry.sizes()
            rows.append((','.join(entry.splits), entry.name, entry.kind.removesuffix('Dataset'),
                         '-' if entry.found is None else entry.found, '-' if entry.expected is None else entry.expected,
                         len(entry.looks), f'{entry.nbytes / 2**20:.1f}',
                         *(f'{width}x{height}' for height, width in sizes or ()), *(() if sizes else ('-', '-')),
                         len(entry.faults)))
        return text_table(rows, left=range(3))


@dataclass
class DatasetEntry:
    """What is known of one dataset: its files, their headers or contents, its faults.

    Attributes:
        name (str): Its place in the config, or its domain.
        config (dict): How it is built.
        leaf (RestoreDataset | None): The dataset; None if it cannot be built.
        faults, notes (list[str]): What is wrong, and what is only worth knowing.
        splits (list[str]): Of train, val and test those that use it.
        looks (dict[str, dict]): By path, what was read of each file.
    """

    name: str
    config: Mapping[str, Any]
    leaf: Any = None
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    looks: dict[str, Look] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kind = type(self.leaf).__name__ if self.leaf is not None else str(self.config.get('type'))
        self.expected = self.config.get('expected')
        self.found = None if self.leaf is None else len(self.leaf)
        self.files: list[dict[str, str]] = [self.leaf.files(index) for index in range(self.found or 0)]

    @property
    def nbytes(self) -> int:
        """Bytes of all files."""
        return sum(look['nbytes'] for look in self.looks.values())

    def jobs(self) -> Iterator[tuple[str, Mapping[str, Any] | None, str, Mapping[str, Any]]]:
        """Yield what there is to read: (path, store, role, how depth is coded)."""
        for index, files in enumerate(self.files):
            for role, path in files.items():
                store = self.leaf.backend(index, role) if hasattr(self.leaf, 'backend') else None
                yield path, store, role, getattr(self.leaf, 'depth', {})

    def check(self) -> None:
        """Find the faults of the files read."""
        if self.leaf is None:
            return
        if self.expected is not None and self.found != self.expected:
            self.faults.append(f'{self.name}: {self.found} images, but {self.expected} are expected')
        self._list(self.faults, 'files cannot be read', [look['error'] for look in self.looks.values()
                                                         if look['error']])
        self._list(self.faults, 'items differ in size', list(self._unequal()))
        if not any(self.files) and not getattr(self.leaf, 'generated', False):
            self.notes.append(f'{self.name}: {self.kind} names no files, so nothing was read or compared; a dataset of '
                              'your own defines files(index)')
        unused = getattr(self.leaf, 'unused', 0)
        if unused:
            self.notes.append(f'{self.name}: {unused} clear images have no hazy image')
        self._list(self.notes, 'files are left out, since their format is not read', getattr(self.leaf, 'left_out', []))
        self._list(self.notes, 'JPEG files lack their end marker, but none of their pixels',
                   [path for path, look in self.looks.items() if look.get('endless')])
        for role, twins in self._twins().items():
            self._list(self.notes, f'groups of equal files among {role}', [' = '.join(group) for group in twins])

    def _list(self, where: list[str], what: str, items: Sequence[str]) -> None:
        if items:
            where.append(f'{self.name}: {len(items)} {what}{_listed(items)}')

    def _unequal(self) -> Iterator[str]:
        border = getattr(self.leaf, 'gt_border', 0)
        for files in self.files:
            sizes = {role: self.looks[path]['size'] for role, path in files.items() if self.looks[path]['size']}
            first = next(iter(sizes.values()), None)
            allowed = {first, (first[0] + 2 * border, first[1] + 2 * border)} if first else set()
            if any(size not in allowed for size in sizes.values()):
                yield ', '.join(f'{files[role]} {width}x{height}' for role, (height, width) in sizes.items())

    def _twins(self) -> dict[str, list[list[str]]]:
        twins = {}
        for role in ('input', 'gt', 'depth'):
            paths = dict.fromkeys(files[role] for files in self.files if role in files)
            groups = _group(paths, self.looks, 'bytes')
            if groups:
                twins[role] = groups
        return twins

    def sizes(self) -> tuple[Size, Size] | None:
        """Smallest and largest (height, width) by number of pixels."""
        sizes = sorted({look['size'] for look in self.looks.values() if look['size']}, key=lambda s: (s[0] * s[1], s))
        return (sizes[0], sizes[-1]) if sizes else None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        return dict(name=self.name, type=self.kind, splits=self.splits, found=self.found, expected=self.expected,
                    files=len(self.looks), bytes=self.nbytes, sizes=self.sizes(),
                    list_hash=None if self.leaf is None else self.leaf.list_hash(),
                    faults=self.faults, notes=self.notes)


def leaks(entries: Sequence[DatasetEntry]) -> list[str]:
    """Return the faults of images that are trained on and validated or tested on: equal files, or equal pixels.

    Pixels catch an image that was saved again without loss. Depth maps do not count.
    """
    trained: dict[str, DatasetEntry] = {}
    tested: dict[str, DatasetEntry] = {}
    for entry in entries:
        for files in entry.files:
            for role, path in files.items():
                if role == 'depth':
                    continue
                for split in entry.splits:
                    (trained if split == 'train' else tested)[path] = entry
    faults = []
    for what, words in (('bytes', 'the same file'), ('pixels', 'the same pixels in another file')):
        by_hash: dict[str, str] = {}
        for path, entry in trained.items():
            if entry.looks[path][what]:
                by_hash.setdefault(entry.looks[path][what], path)
        found = defaultdict(list)
        for path, entry in tested.items():
            look = entry.looks[path]
            twin = by_hash.get(look[what])
            if twin and (what == 'bytes' or look['bytes'] != trained[twin].looks[twin]['bytes']):
                found[trained[twin].name, entry.name].append(path if path == twin else f'{twin} = {path}')
        for (left, right), pairs in found.items():
            faults.append(f'{len(pairs)} images of {right} are trained on in {left} ({words}){_listed(pairs)}')
    return faults


def _load(config: str | os.PathLike[str], data_root: str | None) -> list[dict[str, Any]]:
    """Return the complete config of each phase."""
    import restorekit.datasets  # noqa: F401  registers them
    from restorekit.config import load_config, phase_config
    from restorekit.engine import prepare
    import_from_here(config)
    cfg = load_config(config, data_root=data_root)
    configs = [phase_config(cfg, name) for name in cfg.get('phases') or ()] or [cfg]
    for part in configs:
        prepare(part, str(config), phase=True, splits=())  # what is missing is in the report
    return [part.to_dict() for part in configs]


def _collect(configs: Iterable[Mapping[str, Any]]) -> list[DatasetEntry]:
    """Return an entry for each dataset; one that several splits or phases name is taken once."""
    entries: dict[str, list[DatasetEntry]] = {}
    for config in configs:
        for split, loader in LOADERS.items():
            node = (config.get(loader) or {}).get('dataset')
            for name, leaf in _parts(node):
                what = {key: value for key, value in leaf.items() if key not in ('pipeline', 'cache', 'seed')}
                key = json.dumps(what, sort_keys=True, default=str)
                if key not in entries:
                    entries[key] = _build(name, what)
                for entry in entries[key]:
                    if split not in entry.splits:
                        entry.splits.append(split)
    return [entry for found in entries.values() for entry in found]


def _parts(node: Any, place: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (name, config) of each dataset in a config of wrappers, so that one that fails leaves the others."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get('datasets'), (dict, list)):
        inner = node['datasets']
        named = list(inner.items() if isinstance(inner, dict) else ((str(i), item) for i, item in enumerate(inner)))
    elif isinstance(node.get('source'), dict):
        named = [(name, node.get(name)) for name in ('source', 'target')]
    else:
        yield place or node.get('domain') or str(node.get('type')), node
        return
    for name, item in named:
        yield from _parts(item, f'{place}/{name}' if place else name)


def _build(name: str, config: Mapping[str, Any]) -> list[DatasetEntry]:
    """Return the entries of the leaves of one dataset, or one with the fault that stops it."""
    from restorekit.registry import DATASETS
    try:
        leaves = DATASETS.build(dict(config)).leaves()
    except (OSError, ValueError, TypeError, ImportError) as error:
        return [DatasetEntry(name, config, faults=[f'{name}: {error}'])]
    return [DatasetEntry(name if len(leaves) == 1 else f'{name}/{inner}', config, leaf) for inner, leaf in leaves]


def _read_files(entries: Sequence[DatasetEntry], quick: bool, workers: int | None, progress: Progress | None) -> None:
    """Read every file once, by several processes."""
    jobs: dict[str, tuple[Any, ...]] = {}
    for entry in entries:
        for path, store, role, coding in entry.jobs():
            jobs.setdefault(path, (path, store, role == 'depth', coding, quick))
    looks: dict[str, Look] = {}
    if jobs:
        for look in imap(examine, list(jobs.values()), workers or 0, chunk=8):
            looks[look['path']] = look
            if progress is not None:
                progress(len(looks), len(jobs))
    for entry in entries:
        entry.looks = {path: looks[path] for files in entry.files for path in files.values()}


def examine(job: tuple[Any, ...]) -> Look:
    """Read one file: its size, and, unless only headers are asked for, hashes of its bytes and of its pixels."""
    import restorekit.datasets  # noqa: F401  registers the store of LMDBs
    from restorekit.files.image_header import read_header
    from restorekit.files.image_io import image_size, read_bytes
    path, store, is_depth, coding, quick = job
    look: Look = dict(path=path, size=None, nbytes=0, bytes=None, pixels=None, error=None)
    try:
        if quick:
            look['size'] = (_decode(b'', path, store, True, coding).shape[:2] if is_depth and path.endswith('.npy')
                            else image_size(path, backend_args=store))
            look['nbytes'] = Path(path).stat().st_size if store is None else 0
        else:
            data = read_bytes(path, store)
            look['nbytes'], look['bytes'] = len(data), hashlib.sha256(data).hexdigest()
            image = _decode(data, path, store, is_depth, coding)
            look['endless'] = data[:2] == b'\xff\xd8' and not read_header(data).whole
            look['size'] = tuple(image.shape[:2])
            if not is_depth:
                look['pixels'] = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
    except (OSError, ValueError) as error:
        look['error'] = what_failed(path, error)
    return look


def _decode(data: bytes, path: str, store: Mapping[str, Any] | None, is_depth: bool, coding: Mapping[str, Any]) -> Any:
    """Return the image, or the depth map as the dataset reads it."""
    if is_depth:
        from restorekit.degradations import read_depth
        return read_depth(path, backend_args=store, **coding)
    from restorekit.files.image_io import decode_image
    return decode_image(data, path)


def _group(paths: Iterable[str], looks: Mapping[str, Look], what: str) -> list[list[str]]:
    """Return the lists of two or more paths whose ``what`` ('bytes', 'pixels') is the same."""
    by_hash = defaultdict(list)
    for path in paths:
        if looks[path][what]:
            by_hash[looks[path][what]].append(path)
    return [same for same in by_hash.values() if len(same) > 1]


def _listed(items: Sequence[str]) -> str:
    """The first five, a line each."""
    more = f'\n    ... and {len(items) - SHOWN} more' if len(items) > SHOWN else ''
    return ''.join(f'\n    {item}' for item in items[:SHOWN]) + more
