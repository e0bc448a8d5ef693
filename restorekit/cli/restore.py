"""Restore photos with a checkpoint."""

import glob
import sys
from pathlib import Path

from restorekit.messages import ExistingFileError, MissingFileError

from .common import prepare_process


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='image file, folder or glob')
    parser.add_argument('-o', '--out', required=True, metavar='OUT',
                        help='output folder, or an image file for a single input')
    parser.add_argument('--checkpoint', required=True, metavar='FILE', help='checkpoint (.pth or .safetensors)')
    parser.add_argument('--config', metavar='CONFIG', help='config the network is built from; default: what the '
                        'checkpoint says')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ...; default: CUDA if there is one')


def run(args):
    """Restore; returns 0, or 1 if any input failed (the others are restored all the same)."""
    from restorekit.files.image_io import IMAGE_SUFFIXES, read_image, write_image
    jobs = plan(args.inputs, args.out, IMAGE_SUFFIXES)
    prepare_process('none')
    from restorekit.inference import RestorationPipeline
    pipeline = RestorationPipeline(args.checkpoint, config=args.config, device=args.device)
    failed = 0
    for number, (source, target) in enumerate(jobs, 1):
        try:
            image, alpha = read_image(source, keep_alpha=True)
            write_image(target, pipeline.restore(image), alpha)
        except (ValueError, OSError) as error:
            failed += 1
            print(f'[{number}/{len(jobs)}] failed: {error}', file=sys.stderr)
            continue
        print(f'[{number}/{len(jobs)}] {source} -> {target}  {image.shape[1]}x{image.shape[0]}', flush=True)
    if failed:
        print(f'{failed} of {len(jobs)} images could not be restored', file=sys.stderr)
    return 1 if failed else 0


def plan(inputs, out, suffixes):
    """Pair every input file with its output file.

    Files found in a folder keep their path below it. An output keeps its input's name.

    Raises:
        FileNotFoundError: If an input names nothing.
        FileExistsError: If an output would overwrite an input or another output.
    """
    out = Path(out)
    found = []
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            files = sorted(f for f in path.rglob('*') if f.is_file() and f.suffix.lower() in suffixes
                           and not f.name.startswith('.'))
            found += [(f, f.relative_to(path)) for f in files]
            if not files:
                raise MissingFileError(f'no images in folder {text} (looked for {", ".join(suffixes)})')
        elif path.is_file():
            found.append((path, Path(path.name)))
        else:
            matches = sorted(Path(match) for match in glob.glob(text, recursive=True))
            files = [match for match in matches if match.is_file()]
            if not files:
                raise MissingFileError(f'no file, folder or glob match for {text!r}')
            found += [(f, Path(f.name)) for f in files]
    if len(found) == 1 and out.suffix.lower() in suffixes:
        jobs = [(found[0][0], out)]
    elif out.suffix.lower() in suffixes:
        raise ExistingFileError(f'{len(found)} inputs cannot go to one file {out}; give a folder with -o')
    else:
        jobs = [(source, out / (name if name.suffix.lower() in suffixes else name.with_suffix('.png')))
                for source, name in found]
    sources, targets = {source.resolve() for source, _ in jobs}, {}
    for source, target in jobs:
        if target.resolve() in sources:
            raise ExistingFileError(f'{target} is an input; choose another output (-o), inputs are never overwritten')
        if targets.setdefault(target, source) != source:
            raise ExistingFileError(f'{source} and {targets[target]} would both be written to {target}; restore them '
                                  'to two folders')
    return jobs
