"""Show on one contact sheet what the network will see of a config's data: a row per draw, grouped by domain."""

import copy
from itertools import islice
from pathlib import Path

from .common import OptionAction, import_from_here, prepare_process

COLUMNS = dict(input='input', gt='ground truth', depth='depth (near dark)', target='target')
# what a caption says of an operator: the first of these that was drawn
HEADLINES = ('beta', 'gamma', 'quality', 'strength', 'factor', 'sigma', 'contrast')


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='CONFIG', help='config file, or its name below configs/')
    parser.add_argument('--data-root', metavar='DIR', help='folder joined before the relative paths of the data sets')
    parser.add_argument('--phase', metavar='NAME', help='phase whose data to show; default: the first')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train', help='default: train')
    parser.add_argument('--number', type=int, default=6, metavar='N', help='rows of each domain (default 6)')
    parser.add_argument('--start', type=int, default=0, metavar='K', help='first draw of the training sampler to look '
                        'at (default 0); the sheet of the K-th draw is what the run sees there')
    parser.add_argument('--height', type=int, default=160, metavar='PIXELS', help='of a row (default 160)')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, metavar='K=V', default={}, help='overrides')
    parser.add_argument('--out', default='dataset.png', metavar='FILE', help='the sheet (default dataset.png)')


def run(args):
    """Draw the sheet; returns the exit status."""
    from restorekit.config import ConfigError
    if args.number < 1 or args.height < 16 or args.start < 0:
        raise ConfigError(f'--number must be at least 1, --height at least 16 and --start at least 0, got '
                          f'{args.number}, {args.height} and {args.start}')
    prepare_process('none')
    import_from_here(args.config)
    from restorekit.files.image_io import write_image
    from restorekit.registry import DATASETS, MODELS
    from restorekit.visualization import contact_sheet
    cfg, others = split_config(args)
    dataset = DATASETS.build(copy.deepcopy(cfg[f'{args.split}_dataloader'].dataset))
    preprocessor = MODELS.build(cfg.model).data_preprocessor
    draws = training_draws(cfg, dataset, args) if args.split == 'train' else held_out_draws(dataset, args.number)
    kept, read = collect(dataset, preprocessor, draws, args.number, args.split == 'train')
    rows = [row for items in kept.values() for row in items]
    captions = [row.pop('caption') for row in rows]
    columns = [name for name in COLUMNS if any(name in row for row in rows)]
    sheet = contact_sheet([[row.get(name) for name in columns] for row in rows],
                          [COLUMNS[name] for name in columns], height=args.height, captions=captions)
    write_image(args.out, sheet)
    print('\n'.join(caption.replace('\n', '\n    ') for caption in captions))
    where = f'phase {cfg.phase_name}, ' if cfg.get('phase_name') else ''
    print(f'{where}{args.split}: {len(dataset)} items; {len(rows)} rows from {read} draws: {args.out}')
    for domain, items in kept.items():
        if args.split == 'train' and len(items) < args.number:
            print(f'{domain} was drawn {len(items)} times only')
    if others:
        print(f'other phases: {", ".join(others)} (--phase NAME)')
    return 0


def split_config(args):
    """Return the phase's config with its data root joined, and the names of the other phases."""
    from restorekit.config import ConfigError, load_config, phase_config
    from restorekit.engine import check_config, check_paths, join_data_root
    cfg = load_config(args.config, options=args.cfg_options, data_root=args.data_root)
    phases = list(cfg.get('phases') or {})
    if args.phase and not phases:
        raise ConfigError(f'{args.config} has no phases; leave --phase {args.phase} out')
    name = args.phase or (phases[0] if phases else None)
    where = str(args.config)
    if name is not None:
        cfg = phase_config(cfg, name)
        cfg.pop('frozen', None)
        where = f'{where}, phase {name!r}'
    check_config(cfg, where, phase=name is not None)
    loader = f'{args.split}_dataloader'
    if cfg.get(loader) is None:
        there = [key for key in ('train', 'val', 'test') if cfg.get(f'{key}_dataloader') is not None]
        raise ConfigError(f'{where} has no {loader}; --split may be {" or ".join(there) or "nothing"}')
    for other in ('train', 'val', 'test'):  # a folder that only another split needs may be missing
        if other != args.split:
            cfg.pop(f'{other}_dataloader', None)
    join_data_root(cfg)
    check_paths(cfg, where)
    cfg.phase_name = name
    return cfg, [phase for phase in phases if phase != name]


def training_draws(cfg, dataset, args):
    """Yield (number, draw) as the run's sampler would, from ``--start`` on."""
    from restorekit.registry import DATA_SAMPLERS
    seed = (cfg.get('randomness') or {}).get('seed')
    sampler = cfg.train_dataloader.get('sampler') or dict(type='CounterSampler')
    sampler = DATA_SAMPLERS.build(sampler, default_args=dict(dataset=dataset, seed=seed or 0))
    if hasattr(sampler, 'skip'):
        sampler.skip(args.start)
        yield from enumerate(sampler, args.start)
    else:
        yield from islice(enumerate(sampler), args.start, None)


def held_out_draws(dataset, number):
    """Yield (index, index): of each data set inside, ``number`` images spread evenly."""
    start = 0
    for _, leaf in _leading(dataset).leaves():
        count = min(number, len(leaf))
        for k in range(count):
            index = start + k * len(leaf) // count
            yield index, index
        start += len(leaf)


def collect(dataset, preprocessor, draws, number, training):
    """Draw until every domain has ``number`` rows.

    Returns:
        tuple[dict, int]: ``{domain: [row, ...]}``, see :func:`make_row`, and how many items were drawn. A domain drawn
        so rarely that 40 times ``number`` draws for each domain do not give enough has fewer rows.
    """
    operators = bare_operators(dataset.leaves(), preprocessor if training else None)
    kept, read = {leaf.domain or 'all': [] for _, leaf in _leading(dataset).leaves()}, 0
    for position, key in islice(draws, 40 * number * len(kept) if training else None):
        item, read = dataset[key], read + 1
        domain = item['data_samples'].get('domain') or 'all'
        rows = kept.setdefault(domain, [])
        if not item['data_samples'].get('broken') and (not training or len(rows) < number):
            rows.append(make_row(item, position, preprocessor, training, operators))
        if training and all(len(rows) >= number for rows in kept.values()):
            break
    return kept, read


def _leading(dataset):
    """The part of a dataset that counts its items: of a domain pair the source."""
    return getattr(dataset, 'source', dataset)


def bare_operators(leaves, preprocessor=None):
    """Return, by domain, the name of the degradation there; its parameters do not say it, a composition's do."""
    found = {leaf.domain: type(step.degradation).__name__ for _, leaf in leaves for step in leaf.pipeline
             if hasattr(step, 'degradation')}
    if getattr(preprocessor, 'degradation', None) is not None:
        found = {leaf.domain: type(preprocessor.degradation).__name__ for _, leaf in leaves}
    return found


def make_row(item, position, preprocessor, training, operators):
    """Put one item through the preprocessor as a batch of one and return its pictures and its caption.

    Returns:
        dict: Of ``input``, ``gt``, ``depth`` and ``target`` those there are, uint8 (H, W, 3), and ``caption``.
    """
    from restorekit.functional.images import to_array
    from restorekit.functional.ranges import rescale
    from restorekit.visualization import depth_image
    batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
    if 'target' in item:
        batch['target'] = dict(inputs=[item['target']['inputs']], data_samples=[item['target']['data_samples']])
    seen = preprocessor(batch, training=training)
    value_range = getattr(preprocessor, 'input_range', (0.0, 1.0))
    sample = seen['data_samples'][0]
    row = dict(input=to_array(rescale(seen['inputs'][0], value_range)))
    notes = [f'{sample.get("domain") or "all"}, {"draw" if training else "image"} {position}:',
             *describe(sample, row['input'].shape, operators)]
    if 'gt' in sample:
        row['gt'] = to_array(sample.gt)
        notes.append(f'input {psnr_of(row["input"], row["gt"], sample.get("padding")):.1f} dB')
    if 'depth' in sample:
        row['depth'], low, high = depth_image(sample.depth[0])
        notes.append(f'depth {low:.2g} to {high:.2g}')
    if 'target' in seen:
        row['target'] = to_array(rescale(seen['target'][0], value_range))
        notes += ['\ntarget:', *describe(item['target']['data_samples'], row['target'].shape, operators)]
    return dict(row, caption=', '.join(notes).replace(':,', ':').replace(', \n', '\n'))


def describe(sample, shape, operators):
    """Return what to say of an image: file, size (width x height) with padding, degradations drawn."""
    height, width = sample.ori_shape
    size = f'{width}x{height}' + (f' padded to {shape[1]}x{shape[0]}' if shape[:2] != (height, width) else '')
    notes = [Path(sample.get('img_path') or '').name, size]
    if sample.get('degradation') is not None:
        drawn = applied(sample.degradation, operators.get(sample.get('domain'), 'degraded'))
        notes.append(' + '.join(drawn) or 'not degraded')
    return notes


def applied(params, name):
    """Return the operators that parameters written by ``params_to_json`` apply, each with its main number.

    Example:
        >>> applied({'choice': 1, '1_Dust': {'beta': [0.5, 1.0, 1.5]}}, 'OneOf')
        ['Dust beta 1']
    """
    inner = {key: value for key, value in params.items() if isinstance(value, dict)}
    if inner or {'choice', 'applied', 'order'} & set(params):
        return [text for key, value in inner.items() for text in applied(value, key.split('_', 1)[1])]
    for key in HEADLINES:
        value = params.get(key)
        if value is not None:
            numbers = value if isinstance(value, list) else [value]
            return [f'{name} {key} {sum(numbers) / len(numbers):.2g}']
    return [name]


def psnr_of(image, gt, padding=None):
    """PSNR in dB of uint8 images, the first with its padding (left, right, top, bottom) still on; 100 at most."""
    import numpy as np
    left, _, top, _ = padding or (0, 0, 0, 0)
    image = image[top:top + gt.shape[0], left:left + gt.shape[1]]
    error = float(np.mean(np.square(image.astype(np.float64) - gt)))
    return 100.0 if error == 0 else min(100.0, 10 * float(np.log10(255 ** 2 / error)))
