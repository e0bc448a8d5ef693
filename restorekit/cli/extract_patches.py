"""Cut images into patches that overlap, hazy, clear and depth folders alike."""

import json
import os
import sys
from pathlib import Path

from .common import imap

RECORD = 'patches.json'
PAIRING = dict(  # what finds the clear patch of a hazy one, by the rule that finds the clear image
    stem="'stem'",
    prefix=r"dict(input=r'^((?:.*/)?[^_/]*)[^/]*(_r\d+_c\d+)\.', gt=r'^(.*)(_r\d+_c\d+)\.')",
    suffix=r"dict(input=r'^(.*)_[^_/]*(_r\d+_c\d+)\.', gt=r'^(.*)_[^_/]*(_r\d+_c\d+)\.')")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('source', metavar='SRC', help='folder of images; with --pairs, the folder above theirs')
    parser.add_argument('out', metavar='OUT', help='gets NAME_rR_cC.png: row R, column C of the grid of patches; run '
                        'again to continue where it stopped')
    parser.add_argument('--size', type=int, default=256, help='of a patch in pixels (default 256)')
    parser.add_argument('--stride', type=int, help='from one patch to the next (default: three quarters of the size)')
    parser.add_argument('--pairs', nargs='+', metavar='DIR', help='folders below SRC that are cut alike: HAZY CLEAR '
                        'or HAZY CLEAR DEPTH; sizes are compared before anything is written')
    parser.add_argument('--pairing', default='stem', choices=list(PAIRING), help='how a hazy image finds its clear one '
                        '(default stem); a depth map has the stem of the clear one')
    parser.add_argument('--workers', type=int, metavar='N', help='processes (default: the cores)')


def run(args):
    """Write what is missing; returns 0, or 1 if an image failed (the others are cut all the same)."""
    from mmengine.utils import ProgressBar

    from restorekit.config import ConfigError
    from restorekit.files.atomic import remove_temporaries
    source, out = Path(args.source), Path(args.out)
    if args.stride is None:
        args.stride = max(3 * args.size // 4, 1)
    if not 1 <= args.stride <= args.size:
        raise ConfigError(f'--stride must be within [1, --size], got {args.stride} and {args.size}; beyond, parts of '
                          'an image would be in no patch')
    if args.workers is not None and args.workers < 1:
        raise ConfigError(f'--workers must be at least 1, got {args.workers}')
    if args.pairs is not None and len(args.pairs) not in (2, 3):
        raise ConfigError(f'--pairs takes HAZY CLEAR or HAZY CLEAR DEPTH, got {" ".join(args.pairs)}')
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise ConfigError(f'OUT {out} lies in SRC {source}: its patches would become images')
    refuse_lmdbs([source] + [source / folder for folder in args.pairs or ()])
    files, failures = paired_files(source, args) if args.pairs else single_files(source)
    check_names(files)
    claim(out, args)
    remove_temporaries(out, recursive=True)
    jobs = [(str(source / name), str((out / name).with_suffix('')), boxes(*size, args.size, args.stride), depth)
            for name, (size, depth) in files.items()]
    todo = [job for job in jobs if not is_done(job)]
    print(f'{len(jobs)} images; {len(jobs) - len(todo)} are done')
    if todo:
        bar = ProgressBar(len(todo), file=sys.stderr)
        for failure in imap(cut, todo, args.workers):
            failures += [failure] if failure else []
            bar.update()
        print(file=sys.stderr)
    for failure in failures:
        print(f'failed: {failure}', file=sys.stderr)
    small = [name for name, (size, _) in files.items() if min(size) < args.size]
    if small:
        print(f'{len(small)} images are smaller than a patch and kept at their height or width: '
              f'{", ".join(small[:5])}{" ..." if len(small) > 5 else ""}')
    print(f'{sum(len(job[2]) for job in jobs)} patches of {len(jobs)} images in {out}')
    if args.pairs:
        print(f'in a config: pairing={PAIRING[args.pairing]}')
    return 1 if failures else 0


def single_files(source):
    """Return (size, False) of each image by its name below ``source``, and what is wrong with the others."""
    from restorekit.datasets import scan_images
    found, failures = {}, {}
    for name in scan_images(str(source)):
        add_size(found, failures, name, str(source / name), False)
    return found, list(failures.values())


def add_size(found, failures, name, path, depth):
    """Note the size of a file, or what is wrong with it."""
    if name not in found and name not in failures:
        try:
            found[name] = (read_size(path, depth), depth)
        except Exception as error:
            failures[name] = what_failed(path, error)


def what_failed(path, error):
    """Say what is wrong with a file."""
    return str(error) if path in str(error) else f'{path}: {type(error).__name__}: {error}'


def paired_files(source, args):
    """Return (size, whether a depth map) of each file by its name below ``source``, and what is wrong with the others.

    A pair with a file whose header is damaged is left out.

    Raises:
        ValueError: If the images of a pair, or an image and its depth, differ in size.
    """
    from restorekit.datasets import ClearDepthDataset, PairedDataset
    folders = [str(source / folder) for folder in args.pairs]
    sets = [PairedDataset(folders[0], folders[1], pairing=args.pairing)]
    if len(folders) == 3:
        sets.append(ClearDepthDataset(folders[1], folders[2]))
    found, sizes, failures, differing = {}, {}, {}, []
    for data in sets:
        for index in range(len(data)):
            files = {Path(path).relative_to(source).as_posix(): (path, role == 'depth')
                     for role, path in data.files(index).items()}
            for name, file in files.items():
                add_size(sizes, failures, name, *file)
            if files.keys() <= sizes.keys():
                found.update((name, sizes[name]) for name in files)
                if len({sizes[name][0] for name in files}) > 1:
                    differing.append(' and '.join(f'{name} ({sizes[name][0][1]}x{sizes[name][0][0]})'
                                                  for name in files))
    if differing:
        raise ValueError(f'{len(differing)} pairs differ in size, so they have no patches in common: '
                         f'{"; ".join(differing[:5])}{" ..." if len(differing) > 5 else ""}')
    return found, list(failures.values())


def read_size(path, depth):
    """Return (height, width) without decoding, where the format allows."""
    from restorekit.files.image_io import image_size
    if depth and path.endswith('.npy'):
        import numpy as np
        return np.load(path, mmap_mode='r').shape[:2]
    return image_size(path)


def refuse_lmdbs(folders):
    """Raise a ConfigError if one of the folders is an LMDB: files are cut, and it has none."""
    from restorekit.config import ConfigError
    from restorekit.datasets.lmdb_backend import is_lmdb
    for folder in filter(is_lmdb, folders):
        raise ConfigError(f'{folder} is an LMDB; give the folder it was made of, and pack the patches afterwards')


def check_names(files):
    """Refuse two files of one name: their patches would overwrite each other."""
    seen = {}
    for name in files:
        stem = name[:name.rfind('.')]
        if stem in seen:
            raise FileExistsError(f'{seen[stem]} and {name} would have the same patches; rename one')
        seen[stem] = name


def claim(out, args):
    """Record the settings of new patches, or hold them against those of the ones that are there."""
    from restorekit.files.atomic import atomic_write_text
    record, settings = out / RECORD, dict(source=str(Path(args.source).resolve()), size=args.size, stride=args.stride,
                                          pairs=args.pairs, pairing=args.pairing)
    if record.is_file():
        before = json.loads(record.read_text(encoding='utf-8'))
        differing = [f'{key} was {before.get(key)}, is {value}' for key, value in settings.items()
                     if before.get(key) != value]
        if differing:
            raise FileExistsError(f'{out} holds patches made with other settings ({"; ".join(differing)}): give the '
                                  'same ones to continue them, or another OUT')
    elif out.exists() and any(out.iterdir()):
        raise FileExistsError(f'{out} has files but no {RECORD}: it was not written by this command; give another OUT')
    else:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(settings, indent=1) + '\n', str(record))


def positions(length, size, stride):
    """Starts of windows of ``size`` that cover ``length``: the last one is moved inside.

    Example:
        >>> positions(620, 256, 192), positions(640, 256, 192), positions(100, 256, 192)
        ([0, 192, 364], [0, 192, 384], [0])
    """
    last = max(length - size, 0)
    return [*range(0, last, stride), last]


def boxes(height, width, size, stride):
    """Return (row, column, top, left, height, width) of every patch."""
    h, w = min(size, height), min(size, width)
    return [(row, column, top, left, h, w) for row, top in enumerate(positions(height, size, stride))
            for column, left in enumerate(positions(width, size, stride))]


def patch_path(stem, box, depth_suffix='.png'):
    """File of a patch."""
    return f'{stem}_r{box[0]}_c{box[1]}{depth_suffix}'


def is_done(job):
    """Whether every patch of an image is there."""
    _, stem, grid, _ = job
    return all(os.path.isfile(patch_path(stem, box)) or os.path.isfile(patch_path(stem, box, '.npy')) for box in grid)


def cut(job):
    """Write the patches of one image; returns what went wrong, or None."""
    import numpy as np

    from restorekit.degradations.depth import read_stored_depth
    from restorekit.files.image_io import read_image
    path, stem, grid, depth = job
    try:
        image = read_stored_depth(path) if depth else read_image(path)
        height, width = max(box[2] + box[4] for box in grid), max(box[3] + box[5] for box in grid)
        if image.shape[:2] != (height, width):
            raise ValueError(f'the header says {width}x{height} pixels, but it is {image.shape[1]}x{image.shape[0]}')
        for box in grid:
            _, _, top, left, h, w = box
            save(stem, box, np.ascontiguousarray(image[top:top + h, left:left + w]), depth)
    except Exception as error:
        return what_failed(path, error)
    return None


def save(stem, box, patch, depth):
    """Write a patch whole or not at all: PNG without loss; depth maps of other than 8 or 16 bits as npy."""
    import cv2
    import numpy as np

    from restorekit.files.atomic import atomic_write
    from restorekit.files.image_io import write_image
    if not depth:
        write_image(patch_path(stem, box), patch)
        return
    as_png = patch.dtype in (np.uint8, np.uint16)
    path = Path(patch_path(stem, box, '.png' if as_png else '.npy'))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, lambda file: file.write(cv2.imencode('.png', patch)[1].tobytes()) if as_png else
                 np.save(file, patch), sync=False)
