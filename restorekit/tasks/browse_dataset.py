"""Draw a contact sheet of what a network sees of a config's data."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit.files.names import terminal_text
from restorekit.messages import InputError, refuse_unused

from .process import import_from_here, prepare_process

if TYPE_CHECKING:
    import numpy as np

COLUMNS = dict(input='input', gt='ground truth', depth='depth (near dark)', target='target')


@dataclass
class DatasetSheet:
    """What :func:`browse_dataset` drew.

    Attributes:
        image (ndarray): The sheet, uint8 (H, W, 3) RGB.
        captions (list[str]): One for each row.
        rows (dict[str, int]): Number of rows of each domain.
        items (int): Number of items of the dataset.
        draws (int): Number of items that were drawn to fill the rows.
        phase (str | None): The phase whose data is shown.
        other_phases (list[str]): The other phases of the config.
    """

    image: np.ndarray
    captions: list[str]
    rows: dict[str, int]
    items: int
    draws: int
    phase: str | None
    other_phases: list[str]


def browse_dataset(config: str | os.PathLike[str], *, data_root: str | None = None, phase: str | None = None,
                   split: str = 'train', number: int = 6, start: int = 0, height: int = 160,
                   options: Mapping[str, Any] | None = None, out: str | os.PathLike[str] | None = None) -> DatasetSheet:
    """Draw rows of input, ground truth, depth and target as the network gets them, grouped by domain.

    Training rows are what the run draws: the same sampler, seeds, transforms and preprocessor. Validation and test
    rows are spread evenly over each dataset.

    Args:
        config (str | Path): Config file, or its name below ``configs/``.
        data_root (str, optional): Folder joined before the relative paths of the datasets.
        phase (str, optional): Phase whose data to show; default: the first.
        split (str): ``'train'``, ``'val'`` or ``'test'``.
        number (int): Number of rows of each domain.
        start (int): Position of the training sampler to start from.
        height (int): Height of a row in pixels, at least 16.
        options (dict, optional): Overrides of the config, by dotted keys.
        out (str | Path, optional): Image file to write the sheet to.

    Returns:
        DatasetSheet: The sheet and its captions.

    Raises:
        InputError: If an argument is out of range, or the config has no such phase or split.
        ConfigError: If the config has a mistake.

    Example:
        >>> browse_dataset('cid/cid_quickstart', number=1, height=64).captions[0][:14]
        'source, draw 0'
    """
    for name, value, least in (('number', number, 1), ('height', height, 16), ('start', start, 0)):
        if value < least:
            raise InputError(f'{name} must be at least {least}, but got {value}')
    if split not in ('train', 'val', 'test'):
        raise InputError(f"split must be 'train', 'val' or 'test', but got {split!r}")
    if split != 'train':
        refuse_unused(browse_dataset, dict(start=start), "split='train'", f'split={split!r}')
    prepare_process()
    import_from_here(config)
    from restorekit.files.image_io import write_image
    from restorekit.registry import DATASETS, MODELS
    from restorekit.visualization import contact_sheet
    training = split == 'train'
    cfg, model, other_phases = _split_config(config, split, phase, data_root, dict(options or {}))
    dataset = DATASETS.build(copy.deepcopy(cfg[f'{split}_dataloader'].dataset))
    preprocessor = MODELS.build(cfg.model.get('data_preprocessor') or dict(type='RestorePreprocessor'))
    preprocessor.bind(model.network)
    draws = _training_draws(cfg, dataset, start) if training else _held_out_draws(dataset, number)
    kept, read = _collect(dataset, preprocessor, draws, number, training)
    rows = [row for items in kept.values() for row in items]
    captions = [row.pop('caption') for row in rows]
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    sheet = contact_sheet([[row.get(name) for name in columns] for row in rows],
                          [COLUMNS[name] for name in columns], height=height, captions=captions)
    if out is not None:
        write_image(out, sheet)
    return DatasetSheet(sheet, captions, {domain: len(items) for domain, items in kept.items()}, len(dataset), read,
                        cfg.get('phase_name'), other_phases)


def _split_config(config: str | os.PathLike[str], split: str, phase: str | None, data_root: str | None,
                  options: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    """Return the phase's config, ready to run, its model without weights, and the names of the other phases."""
    from restorekit.config import load_config, phase_config
    from restorekit.engine import prepare
    cfg = load_config(config, options=options, data_root=data_root)
    phases = list(cfg.get('phases') or {})
    if phase and not phases:
        raise InputError(f'{config} has no phases; leave the phase {phase!r} out')
    name = phase or (phases[0] if phases else None)
    where = str(config)
    if name is not None:
        cfg = phase_config(cfg, name)
        where = f'{where}, phase {name!r}'
    if cfg.get(f'{split}_dataloader') is None:
        there = [key for key in ('train', 'val', 'test') if cfg.get(f'{key}_dataloader') is not None]
        raise InputError(f'{where} has no {split}_dataloader; the split may be {" or ".join(there) or "nothing"}')
    model = prepare(cfg, where, phase=name is not None, splits=(split,))  # other splits may lack folders
    cfg.phase_name = name
    return cfg, model, [other for other in phases if other != name]


def _training_draws(cfg: Any, dataset: Any, start: int) -> Iterator[tuple[int, Any]]:
    """Yield (number, draw) as the run's sampler would, from ``start`` on."""
    from restorekit.registry import DATA_SAMPLERS
    seed = (cfg.get('randomness') or {}).get('seed')
    sampler = cfg.train_dataloader.get('sampler') or dict(type='CounterSampler')
    sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=dataset, seed=seed or 0))
    if hasattr(sampler, 'skip'):
        sampler.skip(start)
        yield from enumerate(sampler, start)
    else:
        yield from islice(enumerate(sampler), start, None)


def _held_out_draws(dataset: Any, number: int) -> Iterator[tuple[int, Any]]:
    """Yield (index, index): of each dataset inside, ``number`` images spread evenly."""
    start = 0
    for _, leaf in _leading(dataset).leaves():
        count = min(number, len(leaf))
        for k in range(count):
            index = start + k * len(leaf) // count
            yield index, index
        start += len(leaf)


def _collect(dataset: Any, preprocessor: Any, draws: Iterable[tuple[int, Any]], number: int,
             training: bool) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Draw until every domain has ``number`` rows.

    Returns ``{domain: [row, ...]}``, see :func:`make_row`, and how many items were drawn. A domain drawn so rarely
    that 40 times ``number`` draws for each domain do not give enough has fewer rows.
    """
    degradations = degradations_by_domain(dataset.leaves(), preprocessor if training else None)
    kept: dict[str, list[dict[str, Any]]] = {leaf.domain or 'all': [] for _, leaf in _leading(dataset).leaves()}
    read = 0
    for position, key in islice(draws, 40 * number * len(kept) if training else None):
        item, read = dataset[key], read + 1
        domain = item['data_samples'].get('domain') or 'all'
        rows = kept.setdefault(domain, [])
        if not item['data_samples'].get('broken') and (not training or len(rows) < number):
            rows.append(make_row(item, position, preprocessor, training, degradations))
        if training and all(len(rows) >= number for rows in kept.values()):
            break
    return kept, read


def _leading(dataset: Any) -> Any:
    """The part of a dataset that counts its items: of a domain pair the source."""
    return getattr(dataset, 'source', dataset)


def degradations_by_domain(leaves: Iterable[tuple[str, Any]], preprocessor: Any = None) -> dict[str | None, Any]:
    """Return the degradation of each domain: the one of its pipeline, or of the preprocessor."""
    leaves = list(leaves)
    found = {leaf.domain: step.degradation for _, leaf in leaves for step in leaf.pipeline
             if hasattr(step, 'degradation')}
    if getattr(preprocessor, 'degradation', None) is not None:
        found = {leaf.domain: preprocessor.degradation for _, leaf in leaves}
    return found


def make_row(item: Mapping[str, Any], position: int, preprocessor: Any, training: bool,
             degradations: Mapping[str | None, Any]) -> dict[str, Any]:
    """Put one item through the preprocessor as a batch of one and return its pictures and its caption.

    Returns:
        dict: Of ``input``, ``gt``, ``depth`` and ``target`` those there are, uint8 (H, W, 3), and ``caption``.
    """
    from restorekit.functional.images import to_array
    from restorekit.functional.ranges import rescale
    from restorekit.visualization import depth_image
    batch: dict[str, Any] = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
    if 'target' in item:
        batch['target'] = dict(inputs=[item['target']['inputs']], data_samples=[item['target']['data_samples']])
    seen = preprocessor(batch, training=training)
    value_range = getattr(preprocessor, 'input_range', (0.0, 1.0))
    sample = seen['data_samples'][0]
    row: dict[str, Any] = dict(input=to_array(rescale(seen['inputs'][0], value_range)))
    notes = [f'{terminal_text(sample.get("domain") or "all")}, {"draw" if training else "image"} {position}:',
             *_describe(sample, row['input'].shape, degradations)]
    if 'gt' in sample:
        row['gt'] = to_array(sample.gt)
        notes.append(f'input {_psnr(row["input"], row["gt"], sample.get("padding")):.1f} dB')
    if 'depth' in sample:
        row['depth'], low, high = depth_image(sample.depth[0])
        notes.append(f'depth {low:.2g} to {high:.2g}')
    if 'target' in seen:
        row['target'] = to_array(rescale(seen['target'][0], value_range))
        notes += ['\ntarget:', *_describe(item['target']['data_samples'], row['target'].shape, degradations)]
    return dict(row, caption=', '.join(notes).replace(':,', ':').replace(', \n', '\n'))


def _describe(sample: Any, shape: tuple[int, ...], degradations: Mapping[str | None, Any]) -> list[str]:
    """Return what to say of an image: file, size (width x height) with padding, degradations drawn."""
    height, width = sample.ori_shape
    size = f'{width}x{height}' + (f' padded to {shape[1]}x{shape[0]}' if shape[:2] != (height, width) else '')
    notes = [terminal_text(Path(sample.get('img_path') or '').name), size]
    if sample.get('degradation') is not None:
        degradation = degradations.get(sample.get('domain'))
        drawn = ['degraded'] if degradation is None else degradation.describe(sample.degradation)
        notes.append(' + '.join(drawn) or 'not degraded')
    return notes


def _psnr(image: np.ndarray, gt: np.ndarray, padding: tuple[int, ...] | None = None) -> float:
    """PSNR in dB of uint8 images, the first with its padding (left, right, top, bottom) still on; 100 at most."""
    import numpy as np
    left, _, top, _ = padding or (0, 0, 0, 0)
    image = image[top:top + gt.shape[0], left:left + gt.shape[1]]
    error = float(np.mean(np.square(image.astype(np.float64) - gt)))
    return 100.0 if error == 0 else min(100.0, 10 * float(np.log10(255 ** 2 / error)))
