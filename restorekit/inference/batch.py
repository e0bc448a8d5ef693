"""Restoring many files: which, to where, and what became of each."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restorekit.files.atomic import remove_temporaries
from restorekit.files.image_io import MAX_PIXELS, check_pixels, image_size
from restorekit.files.names import output_name
from restorekit.files.photo import FORMATS, PHOTO_SUFFIXES, Page, Photo, read_photo, to_depth, write_photo
from restorekit.messages import ExistingFileError, InputError, MissingFileError, UserError

from .arguments import RestoreOptions
from .memory import ImageMemoryError, free_memory, is_out_of_memory, megabytes
from .pipeline import WHOLE_PIXELS, RestorationPipeline
from .sequence import SequenceRestorer
from .video import VIDEO_SUFFIXES, VideoOptions, restore_video

if TYPE_CHECKING:
    from typing_extensions import Unpack

_BYTES = 12  # of memory per pixel while a file is read, restored and written: measured at 400 megapixels
_DISK = [getattr(errno, name, -1) for name in ('ENOSPC', 'EDQUOT', 'EROFS')]  # full, over quota, read-only


@dataclass
class FileResult:
    """What became of one file.

    Attributes:
        source, target (Path): Input and output.
        size (tuple[int, int] | None): Width and height of what was restored.
        error (str | None): Why it failed.
        skipped (bool): Whether the output was there already.
    """

    source: Path
    target: Path
    size: tuple[int, int] | None = None
    error: str | None = None
    skipped: bool = False


@dataclass
class RestoreReport:
    """What became of all files.

    Attributes:
        results (list[FileResult]): In order.
        left_out (list[Path]): Files of the folders that are no images by their name, or not regular files.
    """

    results: list[FileResult] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)

    @property
    def failed(self) -> list[FileResult]:
        """Results of the files that could not be restored."""
        return [result for result in self.results if result.error is not None]


class FileOptions(RestoreOptions, total=False):
    """Options of :func:`restore_files`."""

    quality: int
    compare: bool
    skip_existing: bool
    max_pixels: int | None
    sequence: bool
    video: VideoOptions
    progress: Callable[[float, int], None] | None
    on_note: Callable[[str], None] | None
    on_result: Callable[[FileResult], None] | None


def plan(inputs: Iterable[str | os.PathLike], out: str | os.PathLike, *, format: str | None = None, suffix: str = ''
         ) -> tuple[list[tuple[Path, Path]], list[Path]]:
    """Pair every input file with its output file.

    Files found in a folder keep their path below it; what is already in the output folder is not taken as input. An
    output keeps its input's name; kinds that cannot be written become PNG.

    Args:
        inputs: Files, folders and globs.
        out (str | Path): Folder, or an image file for a single input.
        format (str, optional): Suffix of the outputs, for example 'png'.
        suffix (str): Put behind the stem of each output's name.

    Returns:
        tuple: Pairs of (input, output), and the files of the folders that are left out.

    Raises:
        MissingFileError: If an input names nothing.
        ExistingFileError: If an output would overwrite an input or another output.
        InputError: If an input is a pipe or device, or the format is not known.
    """
    out, ending = Path(out), _ending(format)
    found, left_out = [], []
    for given in inputs:
        text = os.fspath(given)
        path = Path(text)
        if path.is_dir():
            files, others = _list_folder(path, out)
            left_out += others
            if not files:
                raise MissingFileError(f'no images in folder {text} (looked for {", ".join(PHOTO_SUFFIXES)})')
            found += [(file, file.relative_to(path)) for file in files]
        elif path.is_file():
            found.append((path, Path(path.name)))
        elif os.path.lexists(path):
            what = 'is a link to nothing' if path.is_symlink() and not path.exists() else \
                f'is not a regular file but a {_kind(path)}'
            raise InputError(f'{text} {what}; give an image file, a folder or a glob')
        else:
            files = [match for match in _glob(text) if match.is_file()]
            if not files:
                raise MissingFileError(f'no file, folder or glob match for {text!r}')
            found += [(file, Path(file.name)) for file in files]
    if out.suffix.lower() in (*FORMATS, *VIDEO_SUFFIXES) and not out.is_dir():
        if len(found) != 1:
            raise ExistingFileError(f'{len(found)} inputs cannot go to one file {out}; give a folder with -o')
        if suffix or (ending is not None and ending != out.suffix.lower()):
            what = f'the suffix {suffix!r}' if suffix else f'the format {format}'
            raise InputError(f'{out} is the whole name of the output, so {what} does not fit; give a folder with -o')
        film = found[0][0].suffix.lower() in VIDEO_SUFFIXES
        known = [key for key, held in VIDEO_SUFFIXES.items() if held]
        if film != (out.suffix.lower() in known):
            what = f'a film, which is written as {", ".join(known)}' if film else 'an image, which is written as ' + \
                ', '.join(FORMATS)
            raise InputError(f'{found[0][0]} is {what}, but got {out}')
        jobs = [(found[0][0], out)]
    else:
        jobs = [(source, out / _output(name, ending, suffix)) for source, name in found]
    sources = {_real(source) for source, _ in jobs}
    targets: dict[Path, Path] = {}
    for source, target in jobs:
        if _real(target) in sources:
            raise ExistingFileError(f'{target} is an input; choose another output (-o), inputs are never overwritten')
        if targets.setdefault(target, source) != source:
            raise ExistingFileError(f'{source} and {targets[target]} would both be written to {target}; restore them '
                                    'to two folders')
    return jobs, left_out


def restore_files(pipeline: RestorationPipeline, jobs: Sequence[tuple[Path, Path]], *, left_out: Sequence[Path] = (),
                  quality: int = 95, compare: bool = False, skip_existing: bool = False,
                  max_pixels: int | None = None, sequence: bool = False, video: VideoOptions | None = None,
                  progress: Callable[[float, int], None] | None = None, on_note: Callable[[str], None] | None = None,
                  on_result: Callable[[FileResult], None] | None = None,
                  **options: Unpack[RestoreOptions]) -> RestoreReport:
    """Restore files to files; one that fails does not keep the others from being restored.

    Args:
        pipeline (RestorationPipeline): The model.
        jobs (Sequence): Pairs of (input, output), from :func:`plan`.
        left_out (Sequence[Path]): For the report.
        quality (int): Of lossy formats, 0 to 100.
        compare (bool): Write input and result side by side instead of the result alone.
        skip_existing (bool): Leave outputs that are there already, to continue a run that was cut.
        max_pixels (int, optional): Most pixels of an image.
        sequence (bool): The images are frames that follow each other: no flicker.
        video (dict, optional): ``smooth`` and ``crf`` of :func:`~restorekit.inference.video.restore_video`.
        progress (Callable, optional): Called as ``progress(files done, all files)``; a film counts by its frames.
        on_note (Callable, optional): Called with what the user should know before a file is read: how much memory a
            very large image needs.
        on_result (Callable, optional): Called with the :class:`FileResult` of each file.
        **options: ``strength`` and ``mask`` of :class:`~restorekit.inference.pipeline.RestorationPipeline`.

    Returns:
        RestoreReport: What became of each.

    Raises:
        OSError: If the disk is full or cannot be written to; files restored so far stay.
    """
    report = RestoreReport(left_out=list(left_out))
    restorer = SequenceRestorer(pipeline) if sequence else pipeline
    for folder in {target.parent for _, target in jobs}:
        if folder.is_dir():
            remove_temporaries(folder)
    for number, (source, target) in enumerate(jobs):
        if progress is not None:
            progress(number, len(jobs))
        result = FileResult(source, target)
        if skip_existing and target.is_file():
            result.skipped = True
        else:
            try:
                if source.suffix.lower() in VIDEO_SUFFIXES:
                    result.size = _restore_film(pipeline, source, target, video or {}, on_note, options,
                                                progress and _of_frames(progress, number, len(jobs)))
                else:
                    _check_memory(pipeline, source, max_pixels, on_note)
                    result.size = _restore_file(restorer, source, target, quality, compare, max_pixels, options)
            except OSError as error:
                if error.errno in _DISK:
                    raise
                result.error = str(error)
            except UserError as error:
                result.error = str(error)
            except ValueError as error:  # what writing says of a format that cannot hold the image
                result.error = str(error)
            except (MemoryError, RuntimeError, SystemError) as error:
                if not is_out_of_memory(error):
                    raise
                result.error = (f'{source} takes more memory than is free; close other programs, or restore a smaller '
                                'copy')
        report.results.append(result)
        if on_result is not None:
            on_result(result)
    if progress is not None:
        progress(len(jobs), len(jobs))
    return report


def side_by_side(before: Photo, after: Photo) -> Photo:
    """Return the first pages of two photos beside each other, for looking at."""
    left, right = before.pages[0].pixels, after.pages[0].pixels
    return Photo([Page(np.concatenate([to_depth(left, right.dtype) if left.dtype != right.dtype else left, right],
                                      axis=1))], after.kind, after.grey, after.metadata)


def _check_memory(pipeline: RestorationPipeline, source: Path, limit: int | None,
                  on_note: Callable[[str], None] | None) -> None:
    """Refuse an image whose pixels alone do not fit, before it is read; say what a very large one needs."""
    try:
        height, width = image_size(source)
        check_pixels(height, width, source, limit)
    except UserError:  # the reader says what is wrong, or knows a format whose header is not read here
        return
    if height * width <= WHOLE_PIXELS:
        return
    tile = pipeline.tiles(height, width, str(source))[0] if pipeline.backend.tiling != 'coefficients' else 512
    need = _BYTES * height * width + pipeline.backend.memory(*[min(side, tile or side) for side in (height, width)])
    free = free_memory()
    if need > free:
        raise ImageMemoryError(f'{source} ({width}x{height}) needs about {megabytes(need)} of memory to be read, '
                               f'restored and written, but {megabytes(free)} are free; close other programs, or '
                               'restore it in parts')
    if height * width > MAX_PIXELS and on_note is not None:
        on_note(f'{source} ({width}x{height}) needs about {megabytes(need)} of memory; {megabytes(free)} are free')


def _restore_file(pipeline: RestorationPipeline | SequenceRestorer, source: Path, target: Path, quality: int,
                  compare: bool, max_pixels: int | None, options: RestoreOptions) -> tuple[int, int]:
    photo = read_photo(source, max_pixels)
    restored = pipeline.restore_photo(photo, name=str(source), **options)
    write_photo(target, side_by_side(photo, restored) if compare else restored, quality)
    height, width = photo.pixels.shape[:2]
    return width, height


def _of_frames(progress: Callable[[float, int], None], number: int, jobs: int) -> Callable[[int, int], None]:
    return lambda frames, total: progress(number + min(frames / total, 1) if total else number, jobs)


def _restore_film(pipeline: RestorationPipeline, source: Path, target: Path, video: VideoOptions,
                  on_note: Callable[[str], None] | None, options: RestoreOptions,
                  progress: Callable[[int, int], None] | None) -> tuple[int, int]:
    report = restore_video(pipeline, source, target, **video, **options, progress=progress)
    if report.broken and on_note is not None:
        on_note(f'{source}: {report.broken} broken packets were left out')
    return report.size


def _ending(format: str | None) -> str | None:
    if format is None:
        return None
    ending = f'.{format.lower().removeprefix(".")}'
    if ending not in FORMATS:
        raise InputError(f'the format must be one of {", ".join(name[1:] for name in FORMATS)}, but got {format!r}')
    return ending


def _output(name: Path, ending: str | None, suffix: str) -> Path:
    if name.suffix.lower() in VIDEO_SUFFIXES:
        ending = name.suffix if VIDEO_SUFFIXES[name.suffix.lower()] else '.mkv'
    elif ending is None:
        ending = name.suffix if name.suffix.lower() in FORMATS else '.png'
    return Path(output_name((name.parent / name.stem).as_posix(), f'{suffix}{ending}'))


def _list_folder(folder: Path, out: Path) -> tuple[list[Path], list[Path]]:
    inside = _real(out)
    files: list[Path] = []
    others: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.')
                            and _real(Path(root, name)) != inside)
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith('.'):
                continue
            known = path.suffix.lower() in FORMATS or path.suffix.lower() in VIDEO_SUFFIXES
            (files if known and path.is_file() else others).append(path)
    return files, others


def _glob(text: str) -> list[Path]:
    """Expand a glob; the folders before its first wildcard may have brackets in their names."""
    parts = Path(text).parts
    whole = max((i for i in range(len(parts)) if Path(*parts[:i + 1]).is_dir()), default=-1)
    pattern = os.path.join(glob.escape(str(Path(*parts[:whole + 1]))), *parts[whole + 1:]) if whole >= 0 else text
    return sorted(map(Path, glob.glob(pattern, recursive=True)))


def _kind(path: Path) -> str:
    mode = path.stat().st_mode
    kinds = ((stat.S_ISFIFO, 'pipe'), (stat.S_ISSOCK, 'socket'), (stat.S_ISBLK, 'device'), (stat.S_ISCHR, 'device'))
    return next((name for test, name in kinds if test(mode)), 'special file')


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


__all__ = ['FileResult', 'ImageMemoryError', 'RestoreReport', 'plan', 'restore_files', 'side_by_side']
