"""Verify the data sets of a config: numbers, files, sizes, pairs, and images that are both trained and tested on."""

import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path

from .common import imap, import_from_here

LOADERS = dict(train='train_dataloader', val='val_dataloader', test='test_dataloader')
SHOWN = 5


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='a config, or a base of a data set (configs/_base_/datasets/its.py)')
    parser.add_argument('--data-root', metavar='DIR', help='folder joined before the relative paths of the data sets')
    parser.add_argument('--quick', action='store_true', help='read the headers alone: finds neither damage behind them '
                        'nor duplicates')
    parser.add_argument('--json', metavar='FILE', help='write what was found there too')
    parser.add_argument('--workers', type=int, metavar='N', help='processes (default: the cores)')


def run(args):
    """Print a table and the faults; returns 0, or 1 if there is one."""
    from mmengine.logging import MMLogger

    from restorekit.config import ConfigError
    from restorekit.files.atomic import atomic_write_text
    if args.workers is not None and args.workers < 1:
        raise ConfigError(f'--workers must be at least 1, got {args.workers}')
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
    MMLogger.get_current_instance().setLevel('ERROR')  # what it would say stands in the table
    sets = collect(load(args))
    if not sets:
        raise ConfigError(f'{args.config} names no data set: it has none of {", ".join(LOADERS.values())}')
    read_files(sets, args)
    for entry in sets:
        entry.check()
    shared = [] if args.quick else leaks(sets)
    print(table(sets))
    faults = [f'{",".join(entry.splits)}: {fault}' for entry in sets for fault in entry.faults] + shared
    for note in [note for entry in sets for note in entry.notes]:
        print(f'note: {note}')
    for fault in faults:
        print(f'FAULT: {fault}')
    print(f'{len(faults) or "no"} fault{"s" * (len(faults) != 1)}' +
          (' in what --quick looks at (headers, numbers, pairs)' if args.quick else ''))
    if args.json:
        text = json.dumps(dict(config=str(args.config), data_root=args.data_root, quick=args.quick,
                               datasets=[entry.summary() for entry in sets], shared=shared), indent=1)
        atomic_write_text(text + '\n', args.json)
    return 1 if faults else 0


def load(args):
    """Return the (phase, complete config) pairs of a config."""
    import restorekit.datasets  # noqa: F401  registers them
    from restorekit.config import load_config, phase_config
    from restorekit.engine.config_check import check_config, join_data_root
    import_from_here(args.config)
    cfg = load_config(args.config, data_root=args.data_root)
    configs = [phase_config(cfg, name) for name in cfg.get('phases') or ()] or [cfg]
    for part in configs:
        check_config(part, str(args.config), phase=True)
        join_data_root(part)
    return [part.to_dict() for part in configs]


def collect(configs):
    """Return a :class:`Entry` for each data set; one that several splits or phases name is taken once."""
    entries = {}
    for config in configs:
        for split, loader in LOADERS.items():
            node = (config.get(loader) or {}).get('dataset')
            for name, leaf in parts(node):
                what = {key: value for key, value in leaf.items() if key not in ('pipeline', 'cache', 'seed')}
                key = json.dumps(what, sort_keys=True, default=str)
                if key not in entries:
                    entries[key] = build(name, what)
                for entry in entries[key]:
                    entry.splits[split] = None
    return [entry for found in entries.values() for entry in found]


def parts(node, place=''):
    """Yield (name, config) of each data set in a config of wrappers, so that one that fails leaves the others."""
    if not isinstance(node, dict):
        return
    if isinstance(node.get('datasets'), (dict, list)):
        inner = node['datasets']
        named = inner.items() if isinstance(inner, dict) else ((str(i), item) for i, item in enumerate(inner))
    elif isinstance(node.get('source'), dict):
        named = ((name, node.get(name)) for name in ('source', 'target'))
    else:
        yield place or node.get('domain') or node.get('type'), node
        return
    for name, item in named:
        yield from parts(item, f'{place}/{name}' if place else name)


def build(name, config):
    """Return the entries of the leaves of one data set, or one with the fault that stops it."""
    from restorekit.registry import DATASETS
    try:
        leaves = DATASETS.build(dict(config)).leaves()
    except (OSError, ValueError, TypeError, ImportError) as error:
        return [Entry(name, config, fault=f'{name}: {error}')]
    return [Entry(name if len(leaves) == 1 else f'{name}/{inner}', config, leaf) for inner, leaf in leaves]


class Entry:
    """What is known of one data set: its files, their headers or contents, its faults."""

    def __init__(self, name, config, leaf=None, fault=None):
        self.name, self.config, self.leaf = name, config, leaf
        self.kind = type(leaf).__name__ if leaf is not None else str(config.get('type'))
        self.expected = config.get('expected')
        self.splits, self.looks = {}, {}
        self.files = [] if leaf is None else [leaf.files(index) for index in range(len(leaf))]
        self.faults, self.notes = [fault] if fault else [], []

    def jobs(self):
        """Yield what there is to read: (path, store, role, how depth is coded)."""
        backend = getattr(self.leaf, 'backend', lambda index, role: None)
        for index, files in enumerate(self.files):
            for role, path in files.items():
                yield path, backend(index, role), role, getattr(self.leaf, 'depth', {})

    def check(self):
        """Find the faults of the files read."""
        if self.leaf is None:
            return
        found = len(self.leaf)
        if self.expected is not None and found != self.expected:
            self.faults.append(f'{self.name}: {found} images where {self.expected} are expected')
        self._list(self.faults, 'files cannot be read',
                   [look['error'] for look in self.looks.values() if look['error']])
        self._list(self.faults, 'items differ in size', list(self._unequal()))
        if not any(self.files) and self.kind != 'ProceduralScenes':
            self.notes.append(f'{self.name}: {self.kind} names no files, so nothing was read or compared; a data set '
                              'of your own defines files(index)')
        unused = getattr(self.leaf, 'unused', 0)
        if unused:
            self.notes.append(f'{self.name}: {unused} clear images belong to no hazy one')
        for role, twins in self._twins().items():
            self._list(self.notes, f'groups of equal files among {role}', [' = '.join(group) for group in twins])

    def _list(self, where, what, items):
        if items:
            where.append(f'{self.name}: {len(items)} {what}{listed(items)}')

    def _unequal(self):
        border = getattr(self.leaf, 'gt_border', 0)
        for files in self.files:
            sizes = {role: self.looks[path]['size'] for role, path in files.items() if self.looks[path]['size']}
            first = next(iter(sizes.values()), None)
            allowed = {first, (first[0] + 2 * border, first[1] + 2 * border)} if first else ()
            if any(size not in allowed for size in sizes.values()):
                yield ', '.join(f'{files[role]} {width}x{height}' for role, (height, width) in sizes.items())

    def _twins(self):
        twins = {}
        for role in ('input', 'gt', 'depth'):
            paths = dict.fromkeys(files[role] for files in self.files if role in files)
            groups = group(paths, self.looks, 'bytes')
            if groups:
                twins[role] = groups
        return twins

    def sizes(self):
        """Smallest and largest (height, width) by number of pixels."""
        sizes = sorted({look['size'] for look in self.looks.values() if look['size']}, key=lambda s: (s[0] * s[1], s))
        return (sizes[0], sizes[-1]) if sizes else None

    def summary(self):
        """Plain data for the JSON file."""
        return dict(name=self.name, type=self.kind, splits=list(self.splits),
                    found=None if self.leaf is None else len(self.leaf), expected=self.expected,
                    files=len(self.looks), bytes=sum(look['nbytes'] for look in self.looks.values()),
                    sizes=self.sizes(), list_hash=None if self.leaf is None else self.leaf.list_hash(),
                    faults=self.faults, notes=self.notes)


def read_files(sets, args):
    """Read every file once, by several processes, with a bar on stderr."""
    from mmengine.utils import ProgressBar
    jobs = {}
    for entry in sets:
        for path, store, role, coding in entry.jobs():
            jobs.setdefault(path, (path, store, role == 'depth', coding, args.quick))
    looks = {}
    if jobs:
        bar = ProgressBar(len(jobs), file=sys.stderr)
        for look in imap(examine, list(jobs.values()), args.workers, chunk=8):
            looks[look['path']] = look
            bar.update()
        print(file=sys.stderr)
    for entry in sets:
        entry.looks = {path: looks[path] for files in entry.files for path in files.values()}


def examine(job):
    """Read one file: its size, and, unless only headers are asked for, hashes of its bytes and of its pixels."""
    import restorekit.datasets  # noqa: F401  registers the store of LMDBs
    path, store, is_depth, coding, quick = job
    look = dict(path=path, size=None, nbytes=0, bytes=None, pixels=None, error=None)
    try:
        if quick:
            look['size'] = header_size(path, store, is_depth, coding)
            look['nbytes'] = Path(path).stat().st_size if store is None else 0
        else:
            from mmengine import fileio
            data = fileio.get(path, backend_args=store)
            look['nbytes'], look['bytes'] = len(data), hashlib.sha256(data).hexdigest()
            image = decode(data, path, store, is_depth, coding)
            look['size'] = tuple(image.shape[:2])
            if not is_depth:
                look['pixels'] = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
    except Exception as error:
        text = str(error)
        look['error'] = text if path in text else f'{path}: {type(error).__name__}: {text}'
    return look


def header_size(path, store, is_depth, coding):
    """(height, width) from the header; a .npy has one of its own."""
    from restorekit.files.image_io import image_size
    if is_depth and path.endswith('.npy'):
        return decode(None, path, store, True, coding).shape[:2]
    return image_size(path, backend_args=store)


def decode(data, path, store, is_depth, coding):
    """Return the image, or the depth map as the data set reads it."""
    if is_depth:
        from restorekit.degradations import read_depth
        return read_depth(path, backend_args=store, **coding)
    from restorekit.files.image_io import decode_image
    return decode_image(data, path)


def group(paths, looks, what):
    """Return the lists of two or more paths whose ``what`` ('bytes', 'pixels') is the same."""
    by_hash = defaultdict(list)
    for path in paths:
        if looks[path][what]:
            by_hash[looks[path][what]].append(path)
    return [same for same in by_hash.values() if len(same) > 1]


def leaks(sets):
    """Return the faults of images that are trained on and validated or tested on: equal files, or equal pixels.

    Pixels catch an image that was saved again without loss. Only images count, not depth maps.
    """
    trained, tested = {}, {}
    for entry in sets:
        for files in entry.files:
            for role, path in files.items():
                if role == 'depth':
                    continue
                for split in entry.splits:
                    (trained if split == 'train' else tested)[path] = entry
    faults = []
    for what, words in (('bytes', 'the same file'), ('pixels', 'the same pixels in another file')):
        by_hash = {}
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
            faults.append(f'{len(pairs)} images of {right} are trained on in {left} ({words}){listed(pairs)}')
    return faults


def listed(items):
    """The first five, a line each."""
    more = f'\n    ... and {len(items) - SHOWN} more' if len(items) > SHOWN else ''
    return ''.join(f'\n    {item}' for item in items[:SHOWN]) + more


def table(sets):
    """Lay out a row for each data set."""
    from restorekit.text_table import text_table
    rows = [('splits', 'data set', 'type', 'found', 'expected', 'files', 'MiB', 'smallest', 'largest', 'faults')]
    for entry in sets:
        sizes = entry.sizes()
        rows.append((','.join(entry.splits), entry.name, entry.kind.removesuffix('Dataset'),
                     '-' if entry.leaf is None else len(entry.leaf), '-' if entry.expected is None else entry.expected,
                     len(entry.looks), f'{sum(look["nbytes"] for look in entry.looks.values()) / 2**20:.1f}',
                     *(f'{width}x{height}' for height, width in sizes or ()), *(() if sizes else ('-', '-')),
                     len(entry.faults)))
    return text_table(rows, left=range(3))
