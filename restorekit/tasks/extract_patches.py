"""Cut images into overlapping patches, paired folders and depth alike."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from restorekit.files.atomic import atomic_write, disk_refuses
from restorekit.files.names import output_name
from restorekit.files.output_folder import claim_folder, path_inside
from restorekit.messages import InputError, refuse_unused

from .process import Progress, check_workers, imap, what_failed

RECORD = 'patches.json'
#: Rule that pairs images -> what a config says to pair their patches.
PAIRING = dict(
    stem="'stem'",
    prefix=r"dict(input=r'^((?:.*/)?[^_/]*)[^/]*(_r\d+_c\d+)\.', gt=r'^(.*)(_r\d+_c\d+)\.')",
    suffix=r"dict(input=r'^(.*)_[^_/]*(_r\d+_c\d+)\.', gt=r'^(.*)_[^_/]*(_r\d+_c\d+)\.')")

Size = tuple[int, int]


class Box(NamedTuple):
    """Place of a patch: its row and column in the grid, and its pixels."""

    row: int
    column: int
    top: int
    left: int
    height: int
    width: int


class Job(NamedTuple):
    """An image to cut: its file, the name of its patches, where they are, and whether it is a depth map."""

    path: str
    stem: str
    grid: list[Box]
    depth: bool


@dataclass
class PatchReport:
    """What :func:`extract_patches` wrote.

    Attributes:
        out (Path): The folder.
        images (int): Number of images.
        skipped (int): Number of images that an earlier run had cut.
        patches (int): Number of patches of all images.
        small (list[str]): Images smaller than a patch in height or width: their patches are as small.
        failures (list[str]): A sentence for each file that could not be used.
        pairing (str | None): What a config says after ``pairing=`` to pair the patches, with ``pairs``.
    """

    out: Path
    images: int
    skipped: int
    patches: int
    small: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pairing: str | None = None


def extract_patches(source: str | os.PathLike[str], out: str | os.PathLike[str], *, size: int = 256,
                    stride: int | None = None, pairs: Sequence[str] | None = None, pairing: str = 'stem',
                    workers: int | None = None, progress: Progress | None = None) -> PatchReport:
    """Write ``NAME_rR_cC.png`` for every patch in row R and column C of the grid over an image.

    The last row and column are moved inside, so that every pixel is in a patch and all patches have one size. Images
    are written as PNG without loss; depth maps keep their values. A run that was stopped continues when it is called
    again.

    Args:
        source (str | Path): Folder of images, with sub-folders; with ``pairs``, the folder above theirs.
        out (str | Path): Output folder: new, empty, or of an earlier run with the same settings.
        size (int): Height and width of a patch in pixels.
        stride (int, optional): Distance from one patch to the next; default: three quarters of ``size``.
        pairs (Sequence[str], optional): Names of two or three folders below ``source`` that are cut alike: hazy, clear
            and depth.
        pairing (str): How a hazy image finds its clear one: ``'stem'``, ``'prefix'`` or ``'suffix'``.
        workers (int, optional): Number of processes; default: one per core.
        progress (Callable, optional): Called as ``progress(images done, images to do)``.

    Returns:
        PatchReport: What was written, and the files that failed; the others are cut all the same.

    Raises:
        InputError: If an argument is out of range, the images of a pair differ in size, or two images would get the
            same patches.
        ExistingFileError: If ``out`` holds something else.

    Example:
        >>> extract_patches('train', 'patches', pairs=['hazy', 'clear']).pairing  # doctest: +SKIP
        "'stem'"
    """
    source, out = Path(source), Path(out)
    if size < 1:
        raise InputError(f'size must be at least 1, but got {size}')
    stride = max(3 * size // 4, 1) if stride is None else stride
    if not 1 <= stride <= size:
        raise InputError(f'stride must be within [1, size], since larger ones leave parts of an image out, but got '
                         f'{stride} for size {size}')
    check_workers(workers)
    if pairing not in PAIRING:
        raise InputError(f'pairing must be one of {", ".join(map(repr, PAIRING))}, but got {pairing!r}')
    if pairs is None:
        refuse_unused(extract_patches, dict(pairing=pairing), 'pairs of folders', 'no pairs')
    _check_pairs(pairs)
    if out.resolve().is_relative_to(source.resolve()):
        raise InputError(f'the output folder {out} is inside the source {source}: its patches would become images')
    _refuse_lmdbs([source, *(source / folder for folder in pairs or ())])
    files, failures = _single_files(source) if pairs is None else _paired_files(source, pairs, pairing)
    stems = _stems(files)
    settings = dict(source=str(source.resolve()), size=size, stride=stride,
                    pairs=None if pairs is None else list(pairs), pairing=pairing)
    with claim_folder(out, RECORD, settings, 'patches'):
        jobs = [Job(str(source / name), str(path_inside(out, stems[name])), boxes(*shape, size, stride), depth)
                for name, (shape, depth) in files.items()]
        todo = [job for job in jobs if not _is_done(job)]
        for number, failure in enumerate(imap(_cut, todo, workers or 0) if todo else (), 1):
            if failure is not None:
                failures.append(failure)
            if progress is not None:
                progress(number, len(todo))
    return PatchReport(out, len(jobs), len(jobs) - len(todo), sum(len(job.grid) for job in jobs),
                       [name for name, (shape, _) in files.items() if min(shape) < size], failures,
                       None if pairs is None else PAIRING[pairing])


def _check_pairs(pairs: Sequence[str] | None) -> None:
    if pairs is None:
        return
    if len(pairs) not in (2, 3):
        raise InputError(f'pairs takes two or three folders, HAZY CLEAR or HAZY CLEAR DEPTH, but got {" ".join(pairs)}')
    for folder in pairs:
        if Path(folder).is_absolute() or '..' in Path(folder).parts:
            raise InputError(f'pairs takes names of folders below the source, but got {folder}')


def _single_files(source: Path) -> tuple[dict[str, tuple[Size, bool]], list[str]]:
    """Return (size, False) of each image by its name below ``source``, and what is wrong with the others."""
    from restorekit.datasets import scan_images
    found: dict[str, tuple[Size, bool]] = {}
    failures: dict[str, str] = {}
    for name in scan_images(str(source)):
        _add_size(found, failures, name, str(source / name), False)
    return found, list(failures.values())


def _add_size(found: dict[str, tuple[Size, bool]], failures: dict[str, str], name: str, path: str,
              depth: bool) -> None:
    """Note the size of a file, or what is wrong with it."""
    if name not in found and name not in failures:
        try:
            found[name] = (_read_size(path, depth), depth)
        except (OSError, ValueError) as error:
            failures[name] = what_failed(path, error)


def _paired_files(source: Path, pairs: Sequence[str],
                  pairing: str) -> tuple[dict[str, tuple[Size, bool]], list[str]]:
    """Return (size, whether a depth map) of each file by its name below ``source``, and what is wrong with the others.

    A pair with a file whose header is damaged is left out.
    """
    from restorekit.datasets import ClearDepthDataset, PairedDataset
    folders = [str(source / folder) for folder in pairs]
    sets: list[Any] = [PairedDataset(folders[0], folders[1], pairing=pairing)]
    if len(folders) == 3:
        sets.append(ClearDepthDataset(folders[1], folders[2]))
    found: dict[str, tuple[Size, bool]] = {}
    sizes: dict[str, tuple[Size, bool]] = {}
    failures: dict[str, str] = {}
    differing = []
    for data in sets:
        for index in range(len(data)):
            files = {Path(path).relative_to(source).as_posix(): (path, role == 'depth')
                     for role, path in data.files(index).items()}
            for name, file in files.items():
                _add_size(sizes, failures, name, *file)
            if files.keys() <= sizes.keys():
                found.update((name, sizes[name]) for name in files)
                if len({sizes[name][0] for name in files}) > 1:
                    differing.append(' and '.join(f'{name} ({sizes[name][0][1]}x{sizes[name][0][0]})'
                                                  for name in files))
    if differing:
        raise InputError(f'{len(differing)} pairs differ in size, so they have no patches in common: '
                         f'{"; ".join(differing[:5])}{" ..." if len(differing) > 5 else ""}')
    return found, list(failures.values())


def _read_size(path: str, depth: bool) -> Size:
    """Return (height, width) without decoding, where the format allows."""
    from restorekit.degradations.depth import read_stored_depth
    from restorekit.files.image_io import image_size
    if depth and path.endswith('.npy'):
        height, width = read_stored_depth(path).shape[:2]
        return height, width
    height, width = image_size(path)
    return height, width


def _refuse_lmdbs(folders: Sequence[Path]) -> None:
    from restorekit.datasets.lmdb_backend import is_lmdb
    for folder in filter(is_lmdb, folders):
        raise InputError(f'{folder} is an LMDB; give the folder it was made of, and pack the patches afterwards')


def _stems(files: Mapping[str, object]) -> dict[str, str]:
    """Return the name of the patches of each file, and refuse two files of one name."""
    stems: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name in files:
        stem = output_name(os.path.splitext(name)[0], room=len('_r9999_c9999.png'))
        if stem in owners:
            raise InputError(f'{owners[stem]} and {name} would have the same patches; rename one')
        owners[stem], stems[name] = name, stem
    return stems


def positions(length: int, size: int, stride: int) -> list[int]:
    """Return the starts of windows of ``size`` that cover ``length``: the last one is moved inside.

    Example:
        >>> positions(620, 256, 192), positions(640, 256, 192), positions(100, 256, 192)
        ([0, 192, 364], [0, 192, 384], [0])
    """
    last = max(length - size, 0)
    return [*range(0, last, stride), last]


def boxes(height: int, width: int, size: int, stride: int) -> list[Box]:
    """Return the place of every patch of an image of ``height`` and ``width`` pixels."""
    h, w = min(size, height), min(size, width)
    return [Box(row, column, top, left, h, w) for row, top in enumerate(positions(height, size, stride))
            for column, left in enumerate(positions(width, size, stride))]


def _patch_path(stem: str, box: Box, suffix: str = '.png') -> str:
    return f'{stem}_r{box.row}_c{box.column}{suffix}'


def _is_done(job: Job) -> bool:
    return all(os.path.isfile(_patch_path(job.stem, box)) or os.path.isfile(_patch_path(job.stem, box, '.npy'))
               for box in job.grid)


def _cut(job: Job) -> str | None:
    """Write the patches of one image; returns what went wrong, or None."""
    import numpy as np

    from restorekit.degradations.depth import read_stored_depth
    from restorekit.files.image_io import read_image
    try:
        image = read_stored_depth(job.path) if job.depth else read_image(job.path)
        height = max(box.top + box.height for box in job.grid)
        width = max(box.left + box.width for box in job.grid)
        if image.shape[:2] != (height, width):
            raise InputError(f'{job.path}: the header says {width}x{height} pixels, but the image has '
                             f'{image.shape[1]}x{image.shape[0]}')
        for box in job.grid:
            patch = image[box.top:box.top + box.height, box.left:box.left + box.width]
            _save(job.stem, box, np.ascontiguousarray(patch), job.depth)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and disk_refuses(error):
            raise  # so it would for the others
        return what_failed(job.path, error)
    return None


def _save(stem: str, box: Box, patch: Any, depth: bool) -> None:
    """Write a patch whole or not at all: PNG without loss; depth maps that are not of 8 or 16 bits as npy."""
    import cv2
    import numpy as np

    from restorekit.files.image_io import write_image
    if not depth:
        write_image(_patch_path(stem, box), patch)
        return
    as_png = patch.dtype in (np.uint8, np.uint16)
    path = Path(_patch_path(stem, box, '.png' if as_png else '.npy'))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, lambda file: file.write(cv2.imencode('.png', patch)[1].tobytes()) if as_png else
                 np.save(file, patch), sync=False)
