"""Make a paired dataset: degrade clear images and record what was drawn."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restorekit.files.atomic import atomic_write_text, disk_refuses
from restorekit.files.names import output_name
from restorekit.files.output_folder import claim_folder, path_inside
from restorekit.messages import InputError, refuse_unused

from .process import Progress, check_workers, imap, what_failed

MANIFEST, SETTINGS, PARTS = 'manifest.jsonl', 'settings.json', '.parts'


@dataclass
class SynthesisReport:
    """What :func:`synthesize` wrote.

    Attributes:
        out (Path): The folder.
        images (int): Number of clear images.
        skipped (int): Number of clear images that an earlier run had done.
        written (int): Number of degraded images in the manifest.
        failures (list[str]): A sentence for each clear image that could not be used.
    """

    out: Path
    images: int
    skipped: int
    written: int
    failures: list[str] = field(default_factory=list)

    @property
    def manifest(self) -> Path:
        """The file with a line for each degraded image: names, seed, parameters."""
        return self.out / MANIFEST


def synthesize(degradation: str | os.PathLike[str] | Mapping[str, Any], clear: str | os.PathLike[str],
               out: str | os.PathLike[str], *, per_image: int = 1, depth: str | os.PathLike[str] | None = None,
               depth_options: Mapping[str, Any] | None = None, estimator: Mapping[str, Any] | None = None,
               seed: int = 0, workers: int | None = None, progress: Progress | None = None) -> SynthesisReport:
    """Write ``hazy/NAME_k.png``, ``clear/NAME.png``, ``manifest.jsonl`` and ``settings.json`` for each clear image.

    A run that was stopped continues when it is called again, and ends with the same bytes. Seeds depend on ``seed``,
    the name of the image and k only. Underscores in names become hyphens, so that ``pairing='prefix'`` finds the clear
    image of a degraded one.

    Args:
        degradation (str | Path | dict): A preset (``'day'``), a config with a top-level ``degradation``, or a dict.
        clear (str | Path): Folder or LMDB of clear images.
        out (str | Path): Output folder: new, empty, or of an earlier run with the same settings.
        per_image (int): Number of degraded images made from each clear image.
        depth (str | Path, optional): Folder of depth maps with the names of the clear images.
        depth_options (dict, optional): How the maps are coded; see :func:`~restorekit.degradations.convert_depth`.
        estimator (dict, optional): Depth by a network instead: arguments of
            :class:`~restorekit.degradations.DepthEstimator`.
        seed (int): Seed of the dataset.
        workers (int, optional): Number of processes; default: one per core.
        progress (Callable, optional): Called as ``progress(images done, images to do)``.

    Returns:
        SynthesisReport: What was written, and the images that failed; the others are written all the same.

    Raises:
        InputError: If an argument is out of range, or two images would get one name.
        ExistingFileError: If ``out`` holds something else.

    Example:
        >>> report = synthesize('day', 'clear', 'pairs', per_image=2)  # doctest: +SKIP
        >>> report.written, report.failures  # doctest: +SKIP
        (20, [])
    """
    if per_image < 1:
        raise InputError(f'per_image must be at least 1, but got {per_image}')
    check_workers(workers)
    if depth is not None and estimator:
        raise InputError('depth comes from maps or from an estimator; give one of the two')
    if depth is None:
        refuse_unused(synthesize, dict(depth_options=depth_options or None), 'maps in depth', 'no depth')
    out, clear = Path(out), Path(clear)
    if out.resolve().is_relative_to(clear.resolve()):
        raise InputError(f'the output folder {out} is inside the folder of clear images {clear}: its images would '
                         'become clear images')
    maker = _Maker(degradation, clear, out, per_image, depth, dict(depth_options or {}), dict(estimator or {}), seed)
    jobs = maker.plan()
    with claim_folder(out, SETTINGS, maker.settings(), 'a dataset'):
        done = read_manifest(out)
        todo = [job for job in jobs if not _is_done(out, job[1], per_image, done)]
        failures: list[str] = []
        for number, failure in enumerate(imap(maker, todo, workers or 0) if todo else (), 1):
            if failure is not None:
                failures.append(failure)
            if progress is not None:
                progress(number, len(todo))
        written = _write_manifest(out, [name for _, name in jobs], done)
    return SynthesisReport(out, len(jobs), len(jobs) - len(todo), written, failures)


@dataclass
class _Maker:
    """Makes the degraded images of one clear image; travels to the worker processes without what it built."""

    preset: str | os.PathLike[str] | Mapping[str, Any]
    clear: Path
    out: Path
    per_image: int
    depth: str | os.PathLike[str] | None
    depth_options: dict[str, Any]
    estimator: dict[str, Any]
    seed: int

    def __post_init__(self) -> None:
        from restorekit.datasets import ClearDepthDataset
        from restorekit.degradations import DepthEstimator
        self._degradation: Any = None
        self._estimator: Any = None
        self.dataset: Any = ClearDepthDataset(str(self.clear), None if self.depth is None else str(self.depth),
                                              self.depth_options)
        if self.estimator:
            try:
                self._estimator = DepthEstimator(**self.estimator)
            except TypeError as error:
                raise InputError(f'estimator: {error}') from error

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__, _degradation=None)

    def config(self) -> dict[str, Any]:
        """The degradation as a config dict."""
        from restorekit.degradations import load_preset
        return dict(self.preset if isinstance(self.preset, Mapping) else load_preset(self.preset))

    def settings(self) -> dict[str, Any]:
        """What the result depends on besides the files."""
        from restorekit.config import config_to_json
        from restorekit.degradations import build_degradation
        from restorekit.version import __version__
        config = self.config()
        build_degradation(config)
        return dict(degradation=json.loads(config_to_json(config)), seed=self.seed, per_image=self.per_image,
                    depth_options=self.depth_options,
                    depth='maps' if self.depth is not None else 'estimator' if self.estimator else 'none',
                    estimator={name: value for name, value in self.estimator.items()
                               if name not in ('device', 'cache_dir')},
                    version=__version__)

    def plan(self) -> list[tuple[int, str]]:
        """Return (index into the dataset, output name without suffix) of every clear image."""
        names: dict[str, int] = {}
        sources = list(self.dataset.sources['gt'].names())
        for index, source in enumerate(sources):
            # pairing='prefix' reads the clear name up to the first underscore
            folder, slash, last = output_name(os.path.splitext(source)[0], room=len(f'_{self.per_image}.jsonl')) \
                .rpartition('/')
            name = f'{folder}{slash}{last.replace("_", "-")}'
            if name in names:
                raise InputError(f'{source} and {sources[names[name]]} in {self.clear} would both be written as '
                                 f'{name}.png; rename one')
            names[name] = index
        return [(index, name) for name, index in names.items()]

    def __call__(self, job: tuple[int, str]) -> str | None:
        """Write the images of one job, then its part of the manifest; returns what went wrong, or None."""
        index, name = job
        try:
            self._make(index, name)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and disk_refuses(error):
                raise  # so it would for the others
            return what_failed(self.dataset.files(index)['gt'], error)
        return None

    def _make(self, index: int, name: str) -> None:
        import torch

        from restorekit.degradations import build_degradation, params_to_json
        from restorekit.files.image_io import write_image
        from restorekit.functional.images import to_array, to_tensor
        from restorekit.random import derive_seed
        if self._degradation is None:
            self._degradation = build_degradation(self.config())
        loaded = self.dataset.load(index, 0)
        if self._estimator is not None:
            loaded['depth'] = self._estimator(loaded['gt'])
        clear = to_tensor(loaded['gt']).float()[None] / 255
        depth = torch.from_numpy(loaded['depth'])[None, None] if 'depth' in loaded else None
        source, lines = self.dataset.sources['gt'].name(index), []
        for k in range(1, self.per_image + 1):
            seed = derive_seed(self.seed, zlib.crc32(os.fsencode(name)), k)
            hazy, params = self._degradation(clear, depth, [seed])
            write_image(path_inside(self.out, f'hazy/{name}_{k}.png'), to_array(hazy[0]))
            lines.append(dict(hazy=f'hazy/{name}_{k}.png', clear=f'clear/{name}.png', source=source, seed=seed,
                              params=params_to_json(params)[0]))
        write_image(path_inside(self.out, f'clear/{name}.png'), loaded['gt'])
        part = _part(self.out, name)
        part.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(''.join(json.dumps(line) + '\n' for line in lines), part)


def read_manifest(out: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Return the lines of the manifest in a folder by clear name, ``{}`` if there is none yet."""
    lines: dict[str, list[str]] = {}
    manifest = Path(out, MANIFEST)
    if manifest.is_file():
        for number, line in enumerate(manifest.read_text(encoding='utf-8', errors='replace').splitlines(), 1):
            try:
                name = json.loads(line)['clear']
                if not isinstance(name, str):
                    raise TypeError('"clear" is not a name')
                lines.setdefault(name, []).append(line)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f'{manifest}, line {number}: this is not an entry of a manifest ({error!r}); take the '
                                 'line out (its image is made again), or make the set anew in another folder'
                                 ) from error
    return lines


def _write_manifest(out: Path, names: Sequence[str], done: Mapping[str, list[str]]) -> int:
    """Join the lines that are there already and the parts of this run, in the order of ``names``; returns how many."""
    lines: list[str] = []
    for name in names:
        part = _part(out, name)
        lines += part.read_text(encoding='utf-8').splitlines() if part.is_file() else done.get(f'clear/{name}.png', [])
    atomic_write_text(''.join(line + '\n' for line in lines), out / MANIFEST)
    for name in names:
        _part(out, name).unlink(missing_ok=True)
    for folder in sorted({parent for name in names for parent in _part(out, name).parents
                          if parent.is_relative_to(out / PARTS)}, reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return len(lines)


def _part(out: Path, name: str) -> Path:
    return path_inside(out, f'{PARTS}/{name}.jsonl')


def _is_done(out: Path, name: str, per_image: int, done: Mapping[str, list[str]]) -> bool:
    images = [out / f'clear/{name}.png', *(out / f'hazy/{name}_{k}.png' for k in range(1, per_image + 1))]
    recorded = _part(out, name).is_file() or len(done.get(f'clear/{name}.png', [])) == per_image
    return recorded and all(image.is_file() for image in images)
