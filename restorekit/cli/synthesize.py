"""Write a paired data set: hazy images made from clear ones, with every parameter drawn."""

import json
import sys
import zlib
from pathlib import Path

from restorekit.files.atomic import atomic_write_text

from .common import OptionAction, imap

MANIFEST, SETTINGS, PARTS = 'manifest.jsonl', 'settings.json', '.parts'


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='preset (day, night, dust, cid_multi_domain, ...) or config with a degradation')
    parser.add_argument('--clear', required=True, metavar='DIR', help='folder of clear images')
    parser.add_argument('--out', required=True, metavar='DIR', help='gets hazy/NAME_k.png, clear/NAME.png, '
                        'manifest.jsonl and settings.json; run again to continue where it stopped')
    parser.add_argument('--per-image', type=int, default=1, metavar='N', help='hazy images of each clear one')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--depth', metavar='DIR', help='depth maps with the names of the clear images')
    source.add_argument('--estimator', nargs='+', action=OptionAction, metavar='K=V',
                        help='depth by a network: arguments of DepthEstimator, e.g. network=depth.onnx size=256')
    parser.add_argument('--depth-options', nargs='+', action=OptionAction, default={}, metavar='K=V',
                        help='how the maps of --depth are coded, e.g. kind=disparity scale=2')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, metavar='N', help='processes; default: one for each core')


def run(args):
    """Write what is missing; returns 0, or 1 if an image failed (the others are written all the same)."""
    from mmengine.utils import ProgressBar

    from restorekit.config import ConfigError
    from restorekit.files.atomic import remove_temporaries
    if args.per_image < 1:
        raise ConfigError(f'--per-image must be at least 1, got {args.per_image}')
    if args.workers is not None and args.workers < 1:
        raise ConfigError(f'--workers must be at least 1, got {args.workers}')
    out = Path(args.out)
    if out.resolve() == Path(args.clear).resolve() or Path(args.clear).resolve() in out.resolve().parents:
        raise ConfigError(f'--out {out} lies in --clear {args.clear}: its images would become clear images')
    maker = Maker(args)
    jobs = maker.plan()
    check_settings(out, maker.settings())
    remove_temporaries(out, recursive=True)
    done = read_manifest(out)
    todo = [job for job in jobs if not _is_done(out, job[1], args.per_image, done)]
    print(f'{len(jobs)} clear images, {args.per_image} hazy ones of each; {len(jobs) - len(todo)} are done')
    failures = []
    if todo:
        bar = ProgressBar(len(todo), file=sys.stderr)
        for failure in imap(maker, todo, args.workers):
            failures += [failure] if failure else []
            bar.update()
        print(file=sys.stderr)
    written = write_manifest(out, [name for _, name in jobs], done)
    for failure in failures:
        print(f'failed: {failure}', file=sys.stderr)
    print(f'{written} hazy images in {out}, parameters in {out / MANIFEST}')
    return 1 if failures else 0


class Maker:
    """Makes the hazy images of one clear image; travels to the worker processes as the arguments alone."""

    def __init__(self, args):
        self.args = args
        self._degradation = None
        self._estimator = None
        if args.estimator:
            from restorekit.config import ConfigError
            from restorekit.degradations import DepthEstimator
            try:
                self._estimator = DepthEstimator(**args.estimator)
            except TypeError as error:
                raise ConfigError(f'--estimator: {error}') from error

    def __getstate__(self):
        return dict(self.__dict__, _degradation=None)

    def settings(self):
        """What the result depends on besides the files."""
        from restorekit.config import config_to_json
        from restorekit.degradations import build_degradation, load_preset
        from restorekit.version import __version__
        degradation = load_preset(self.args.config)
        build_degradation(degradation)
        estimator = self.args.estimator or {}
        return dict(degradation=json.loads(config_to_json(dict(degradation))), seed=self.args.seed,
                    per_image=self.args.per_image, depth_options=dict(self.args.depth_options),
                    depth='maps' if self.args.depth else 'estimator' if estimator else 'none',
                    estimator={name: value for name, value in estimator.items() if name not in ('device', 'cache_dir')},
                    version=__version__)

    def plan(self):
        """Return (index into the data set, output name without suffix) of every clear image."""
        from restorekit.config import ConfigError
        from restorekit.datasets import ClearDepthDataset
        self.dataset = ClearDepthDataset(self.args.clear, self.args.depth, self.args.depth_options)
        names = {}
        for index in range(len(self.dataset)):
            path = self.dataset.files(index)['gt']
            relative = Path(path).relative_to(self.args.clear).with_suffix('')
            # pairing='prefix' reads the clear name up to the first underscore
            name = relative.with_name(relative.name.replace('_', '-')).as_posix()
            if name in names:
                other = self.dataset.files(names[name])['gt']
                raise ConfigError(f'{path} and {other} would both be written as {name}.png; rename one')
            names[name] = index
        return [(index, name) for name, index in names.items()]

    def __call__(self, job):
        """Write the images of one job, then its part of the manifest; returns what went wrong, or None."""
        index, name = job
        path = self.dataset.files(index)['gt']
        try:
            self._make(index, name, path)
        except Exception as error:
            return f'{path}: {type(error).__name__}: {error}'
        return None

    def _make(self, index, name, path):
        import torch

        from restorekit.degradations import build_degradation, load_preset, params_to_json
        from restorekit.files.image_io import write_image
        from restorekit.functional.images import to_array
        from restorekit.random import derive_seed
        if self._degradation is None:
            self._degradation = build_degradation(load_preset(self.args.config))
        out, loaded = Path(self.args.out), self.dataset.load(index, 0)
        if self._estimator is not None:
            loaded['depth'] = self._estimator(loaded['gt'])
        clear = torch.from_numpy(loaded['gt'].transpose(2, 0, 1).copy()).float()[None] / 255
        depth = torch.from_numpy(loaded['depth'])[None, None] if 'depth' in loaded else None
        lines = []
        for k in range(1, self.args.per_image + 1):
            seed = derive_seed(self.args.seed, zlib.crc32(name.encode()), k)
            hazy, params = self._degradation(clear, depth, [seed])
            write_image(out / f'hazy/{name}_{k}.png', to_array(hazy[0]))
            lines.append(dict(hazy=f'hazy/{name}_{k}.png', clear=f'clear/{name}.png',
                              source=Path(path).relative_to(self.args.clear).as_posix(),
                              seed=seed, params=params_to_json(params)[0]))
        write_image(out / f'clear/{name}.png', loaded['gt'])
        part = _part(out, name)
        part.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(''.join(json.dumps(line) + '\n' for line in lines), part)


def check_settings(out, settings):
    """Record the settings of a new data set, or hold them against those of the one that is there.

    Raises:
        FileExistsError: If they differ, or the folder holds something else.
    """
    path, settings = out / SETTINGS, json.loads(json.dumps(settings))
    if path.is_file():
        before = json.loads(path.read_text(encoding='utf-8'))
        differing = sorted(key for key in {*before, *settings} if before.get(key) != settings.get(key))
        if differing:
            values = '; '.join(key if isinstance(settings.get(key), dict) else
                               f'{key} was {before.get(key)!r}, is {settings.get(key)!r}' for key in differing)
            raise FileExistsError(f'{out} holds a data set made with other settings ({values}): give the same ones to '
                                  f'continue it (see {path}), or another --out')
    elif any((out / name).exists() for name in ('hazy', 'clear', MANIFEST)):
        raise FileExistsError(f'{out} has images but no {SETTINGS}: it was not written by this command; give another '
                              '--out')
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(settings, indent=1), path)


def read_manifest(out):
    """Return the lines of the manifest by clear name, ``{}`` if there is none yet."""
    lines = {}
    if (out / MANIFEST).is_file():
        for line in (out / MANIFEST).read_text(encoding='utf-8').splitlines():
            lines.setdefault(json.loads(line)['clear'], []).append(line)
    return lines


def write_manifest(out, names, done):
    """Join the lines that are there already and the parts of this run, in the order of ``names``; returns how many."""
    lines = []
    for name in names:
        part = _part(out, name)
        lines += part.read_text(encoding='utf-8').splitlines() if part.is_file() else done.get(f'clear/{name}.png', [])
    atomic_write_text(''.join(line + '\n' for line in lines), out / MANIFEST)
    for part in sorted((out / PARTS).rglob('*'), reverse=True):
        part.rmdir() if part.is_dir() else part.unlink()
    if (out / PARTS).is_dir():
        (out / PARTS).rmdir()
    return len(lines)


def _part(out, name):
    return out / PARTS / f'{name}.jsonl'


def _is_done(out, name, per_image, done):
    images = [out / f'clear/{name}.png', *(out / f'hazy/{name}_{k}.png' for k in range(1, per_image + 1))]
    recorded = _part(out, name).is_file() or len(done.get(f'clear/{name}.png', [])) == per_image
    return recorded and all(image.is_file() for image in images)
