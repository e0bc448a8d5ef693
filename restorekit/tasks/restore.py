"""Restore photos with a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from restorekit.files.photo import FORMATS, LOSSY
from restorekit.inference.arguments import check_mask
from restorekit.inference.batch import FileResult, RestoreReport, plan, restore_files
from restorekit.inference.pipeline import RestorationPipeline
from restorekit.inference.video import VIDEO_SUFFIXES
from restorekit.messages import InputError

from .process import uncollected


def restore(inputs: str | os.PathLike | Iterable[str | os.PathLike], out: str | os.PathLike, *,
            model: str | None = None, checkpoint: str | os.PathLike | None = None, config: str | None = None,
            strength: float = 1.0, mask: str | os.PathLike | None = None, protect_highlights: bool | None = None,
            tile: str | int = 'auto', precision: str = 'auto', backend: str | None = None, device: str | None = None,
            format: str | None = None, quality: int | None = None, suffix: str = '', compare: bool = False,
            skip_existing: bool = False, shard: str | tuple[int, int] | None = None, max_pixels: int | None = None,
            sequence: bool = False, video_smooth: float | None = None, video_crf: int | None = None,
            progress: Callable[[float, int], None] | None = None, on_note: Callable[[str], None] | None = None,
            on_result: Callable[[FileResult], None] | None = None) -> RestoreReport:
    """Restore image files.

    Args:
        inputs: A file, a folder (its tree is kept) or a glob; or several of these.
        out (str | Path): Folder, or an image file for a single input.
        model (str, optional): A model by name; default: the one that comes with restorekit.
        checkpoint (str | Path, optional): A checkpoint instead.
        config (str, optional): Config the checkpoint's network is built from, if the checkpoint does not say.
        strength (float): In [0, 1]; 1 is the full result.
        mask (str | Path, optional): Image file; only where it is white is restored. It is scaled to each image.
        protect_highlights (bool, optional): Keep clipped skies and lamps as they are, and flat skies smooth as
            :class:`~restorekit.inference.pipeline.RestorationPipeline` says; default: what the model recommends.
        tile (str | int): 'auto', 'off', or the size of tiles in pixels.
        precision (str): 'auto', 'fp32', 'bf16' or 'fp16'.
        backend (str, optional): 'torch', 'onnxruntime' or 'openvino'; default: by the file.
        device (str, optional): Default: CUDA if there is one.
        format (str, optional): Format of the outputs; default: that of the input, PNG where it cannot be written.
        quality (int, optional): 0 to 100, of lossy formats; default: 95.
        suffix (str): Put behind the stem of each output's name.
        compare (bool): Write input and result side by side.
        skip_existing (bool): Leave outputs that are there already.
        shard (str | tuple, optional): ``'I/N'``: only every N-th file from the I-th (from 1); default: the part of this
            process under torchrun, srun or a Slurm array, else all.
        max_pixels (int, optional): Most pixels of an image.
        sequence (bool): The images are frames that follow each other: no flicker.
        video_smooth (float, optional): Seconds over which global changes of a film's restoration are smoothed; 0: none;
            default: 1.
        video_crf (int, optional): Quality of films, 0 (best) to 51; default: 16.
        progress (Callable, optional): Called as ``progress(files done, all files)``; a film counts by its frames.
        on_note (Callable, optional): Called with what the user should know: which options have no effect, and how much
            memory a very large image needs.
        on_result (Callable, optional): Called with the result of each file.

    Returns:
        RestoreReport: ``results`` of all files, ``failed``, ``left_out``.

    Raises:
        UserError: If the inputs, outputs, model or options cannot be used. A file that fails is in the report instead.

    Example::

        report = restorekit.restore('photos', 'clear', strength=0.8)
        print(len(report.results), len(report.failed))
    """
    if isinstance(inputs, (str, os.PathLike)):
        inputs = [inputs]
    if quality is not None and (not isinstance(quality, int) or not 0 <= quality <= 100):
        raise InputError(f'quality must be a whole number from 0 to 100, but got {quality!r}')
    if max_pixels is not None and max_pixels < 1:
        raise InputError(f'max_pixels must be at least 1, but got {max_pixels}')
    if any(separator in suffix for separator in ('/', '\\', '\0')):
        raise InputError(f'the suffix is a part of a file name, without slashes, but got {suffix!r}')
    jobs, left_out = plan(inputs, out, format=format, suffix=suffix)
    number, of = check_shard(shard)
    jobs = jobs[number - 1::of]
    where = None
    if mask is not None:
        from restorekit.files.photo import read_photo
        where = check_mask(read_photo(mask, max_pixels).pixels)
    from restorekit.inference.load import load
    with uncollected():
        pipeline = load(model, checkpoint=checkpoint, config=config, device=device, tile=tile, precision=precision,
                        backend=backend, strength=strength, protect_highlights=protect_highlights)
    if on_note is not None:
        for note in filter(None, [pipeline.info().get('notice'),
                                  *_without_effect(pipeline, jobs, quality, compare, sequence,
                                                   video_smooth is not None or video_crf is not None)]):
            on_note(note)
    return restore_files(pipeline, jobs, left_out=left_out, quality=95 if quality is None else quality, compare=compare,
                         skip_existing=skip_existing, max_pixels=max_pixels, sequence=sequence,
                         video=dict(smooth=1.0 if video_smooth is None else video_smooth,
                                    crf=16 if video_crf is None else video_crf), mask=where, progress=progress,
                         on_note=on_note, on_result=on_result)


def _without_effect(pipeline: RestorationPipeline, jobs: Sequence[tuple[Path, Path]], quality: int | None,
                    compare: bool, sequence: bool, of_films: bool) -> Iterator[str]:
    """Say which options were given and change nothing."""
    kinds = {target.suffix.lower() for source, target in jobs}
    films = [source for source, _ in jobs if source.suffix.lower() in VIDEO_SUFFIXES]
    if quality is not None and not kinds & {suffix for suffix, kind in FORMATS.items() if kind in LOSSY}:
        yield f'--quality has no effect: {", ".join(sorted(kinds))} keeps every pixel (it is of {", ".join(LOSSY)})'
    if of_films and not films:
        yield '--video-smooth and --video-crf have no effect: no input is a film'
    if compare and films:
        yield '--compare has no effect on films, which are written restored only'
    if pipeline.tile not in ('auto', 'off') and pipeline.backend.tiling == 'coefficients':
        yield (f'--tile has no effect: {pipeline.backend.model_name} looks at the whole image once and corrects it '
               'strip by strip, in little memory')
    if sequence and pipeline.backend.tiling in ('exact', 'never'):
        yield (f'--sequence has no effect: {pipeline.backend.model_name} takes no averages over an image that could be '
               'smoothed over time')


def check_shard(shard: str | tuple[int, int] | None) -> tuple[int, int]:
    """Return (I, N) of a shard, I from 1; by default what torchrun, srun or a Slurm array says, else (1, 1).

    Example:
        >>> check_shard('2/4')
        (2, 4)
    """
    if shard is None:
        env = os.environ
        if int(env.get('WORLD_SIZE', 1)) > 1:  # torchrun
            return int(env.get('RANK', 0)) + 1, int(env['WORLD_SIZE'])
        if 'SLURM_ARRAY_TASK_ID' in env:
            first, step = int(env.get('SLURM_ARRAY_TASK_MIN', 0)), int(env.get('SLURM_ARRAY_TASK_STEP', 1))
            return (int(env['SLURM_ARRAY_TASK_ID']) - first) // step + 1, int(env.get('SLURM_ARRAY_TASK_COUNT', 1))
        if int(env.get('SLURM_NTASKS', 1)) > 1 and 'SLURM_PROCID' in env:
            return int(env['SLURM_PROCID']) + 1, int(env['SLURM_NTASKS'])
        return 1, 1
    try:
        number, of = map(int, shard.split('/') if isinstance(shard, str) else shard)
    except (TypeError, ValueError, AttributeError):
        number, of = 0, 0
    if not 1 <= number <= of:
        raise InputError(f'a shard is I/N with I from 1 to N, for example 2/4, but got {shard!r}')
    return number, of


def describe(path: str | os.PathLike) -> dict:
    """Return what a file or a name is: a checkpoint (network, parameters, tiling ...), a photo (size, depth ...), or a
    network, a config or named weights that come with restorekit.

    Raises:
        MissingFileError: If there is no such file and no such name; the message gives the nearest names.
        UserError: If the file is neither checkpoint nor photo.
    """
    from restorekit.files.photo import describe_photo
    from restorekit.messages import MissingFileError, UnknownNameError
    path = Path(path)
    if path.is_dir():
        raise MissingFileError(f'{path} is a folder; give a file')
    if not path.is_file():
        from .catalogue import catalogue_entry, facts
        try:
            return facts(catalogue_entry(path.as_posix()))
        except UnknownNameError as error:
            raise MissingFileError(f'there is no file {path}, and {error.args[0]}') from error
    if path.suffix.lower() in ('.pth', '.pt', '.pk', '.pkl', '.ckpt', '.safetensors', '.bin', '.onnx'):
        from restorekit.inference.load import load
        return dict(kind='checkpoint', file=str(path), bytes=path.stat().st_size,
                    **{key: value for key, value in load(path, device='cpu').info().items()
                       if key not in ('checkpoint', 'device')})
    return dict(kind='photo', file=str(path), bytes=path.stat().st_size, **describe_photo(path))
