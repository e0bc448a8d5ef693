"""Pack a folder of images into an LMDB: the original bytes, under their paths relative to the folder."""

import json
import os
import sys
from pathlib import Path

MAX_KEY_BYTES = 511  # of LMDB as it is usually built
PAGE = 4096
BATCH_BYTES = 2**26


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('source', metavar='SRC', help='folder of images (and .npy depth maps), with sub-folders')
    parser.add_argument('out', metavar='OUT.lmdb', help='gets data.mdb and, at the end, keys.txt with the names; run '
                        'again to continue where it stopped, or to add what is new in SRC')
    parser.add_argument('--commit', type=int, default=200, metavar='N', help='files written at once; a run that is '
                        'killed loses at most these (default 200)')


def run(args):
    """Write what is missing and verify the whole; returns 0."""
    from mmengine.utils import ProgressBar

    from restorekit.config import ConfigError
    from restorekit.datasets import scan_images
    from restorekit.datasets.lmdb_backend import KEYS_FILE, import_lmdb, open_lmdb
    from restorekit.files.atomic import atomic_write_text
    from restorekit.files.image_io import IMAGE_SUFFIXES
    import_lmdb()
    source, out = Path(args.source), Path(args.out)
    if out.suffix != '.lmdb':
        raise ConfigError(f'OUT must end in .lmdb, by which data sets know it, but is {out}')
    if args.commit < 1:
        raise ConfigError(f'--commit must be at least 1, got {args.commit}')
    names = [str(name) for name in scan_images(str(source), suffixes=(*IMAGE_SUFFIXES, '.npy'))]
    check_names(names, source)
    sizes = {name: (source / name).stat().st_size for name in names}
    claim(out, source)
    with open_lmdb(out, map_size=map_size(sizes)) as env:
        todo = missing(env, sizes, source, out)
        (out / KEYS_FILE).unlink(missing_ok=True)  # unfinished from here on: data sets refuse it
        print(f'{len(names)} files in {source}; {len(names) - len(todo)} are in {out} already')
        if todo:
            bar = ProgressBar(len(todo), file=sys.stderr)
            for batch in batches(todo, sizes, args.commit):
                put(env, [(name.encode(), (source / name).read_bytes()) for name in batch])
                bar.update(len(batch))
            print(file=sys.stderr)
        total = verify(env, sizes)
    atomic_write_text(''.join(f'{name}\n' for name in sorted(names)), str(out / KEYS_FILE))
    print(f'{len(names)} files, {total / 2**20:.1f} MiB, verified: {out}')
    return 0


def check_names(names, source):
    """Refuse names that an LMDB or its list cannot hold."""
    bad = [name for name in names if len(os.fsencode(name)) > MAX_KEY_BYTES or '\n' in name or '\r' in name
           or any('\ud800' <= letter <= '\udfff' for letter in name)]
    if bad:
        raise ValueError(f'{len(bad)} names in {source} are longer than {MAX_KEY_BYTES} bytes, hold a line break or '
                         f'are not UTF-8, which LMDB and its list of keys cannot keep: '
                         f'{", ".join(map(ascii, bad[:5]))}; rename them')


def claim(out, source):
    """Record the source of a new LMDB, or hold it against that of the one that is there."""
    from restorekit.datasets.lmdb_backend import SOURCE_FILE
    from restorekit.files.atomic import atomic_write_text, remove_temporaries
    record = out / SOURCE_FILE
    if record.is_file():
        before = json.loads(record.read_text(encoding='utf-8'))['source']
        if before != str(source.resolve()):
            raise FileExistsError(f'{out} was made from {before}, not from {source.resolve()}: give that folder to '
                                  'continue it, or another OUT')
        remove_temporaries(out)
    elif out.exists() and any(out.iterdir()):
        raise FileExistsError(f'{out} exists and has no {SOURCE_FILE}: it was not written by this command; give '
                              'another OUT')
    else:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(dict(source=str(source.resolve()))) + '\n', str(record))


def batches(names, sizes, limit):
    """Yield lists of at most ``limit`` names whose files fit into memory together."""
    batch, volume = [], 0
    for name in names:
        if batch and (len(batch) == limit or volume + sizes[name] > BATCH_BYTES):
            yield batch
            batch, volume = [], 0
        batch.append(name)
        volume += sizes[name]
    yield batch


def map_size(sizes):
    """Upper bound of the bytes an LMDB of these files takes: values fill whole pages, keys some more."""
    pages = sum((size + 16) // PAGE + 2 for size in sizes.values())
    return pages * PAGE + 64 * 2**20


def missing(env, sizes, source, out):
    """Return the names that are not in the LMDB yet, in order.

    Raises:
        FileExistsError: If it holds a file that the source has not, or not with this number of bytes.
    """
    differing, there = [], set()
    with env.begin(buffers=True) as transaction:
        for key, value in transaction.cursor():
            name = bytes(key).decode()
            there.add(name)
            if sizes.get(name) != len(value):
                differing.append(name)
    if differing:
        raise FileExistsError(f'{out} holds {len(differing)} files that {source} has not, or has with another number '
                              f'of bytes: {", ".join(differing[:5])}; the source has changed, make a new LMDB')
    return [name for name in sizes if name not in there]


def put(env, items):
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


def verify(env, sizes):
    """Return the bytes of all values after holding number and bytes against the files.

    Raises:
        RuntimeError: If they differ: a file changed while it was packed.
    """
    with env.begin(buffers=True) as transaction:
        count, total = 0, 0
        for value in transaction.cursor().iternext(keys=False, values=True):
            count, total = count + 1, total + len(value)
    if (count, total) != (len(sizes), sum(sizes.values())):
        raise RuntimeError(f'the LMDB holds {count} files of {total} bytes, the folder {len(sizes)} of '
                           f'{sum(sizes.values())}: a file changed meanwhile; make the LMDB anew')
    return total
