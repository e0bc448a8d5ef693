"""What a run comes to: one table and one picture."""

from pathlib import Path

from mmengine.model import is_model_wrapper

from restorekit.evaluation.report_tables import digits_of
from restorekit.files.image_io import read_image, write_image
from restorekit.models.cost import network_cost
from restorekit.text_table import markdown_table
from restorekit.visualization import contact_sheet


def results_table(state):
    """Format the metrics of a run by phase as a Markdown table.

    Args:
        state (dict): Of ``run_state.json``: per phase ``metrics`` with keys ``<domain>/<metric>`` and, for the
            degraded input itself, ``<domain>/input_<metric>``.

    Returns:
        str: Rows: input, after each finished phase, and its best checkpoint; columns: metrics, and the file that holds
            the weights measured. Empty without metrics.
    """
    phases = {name: record for name, record in state['phases'].items() if record.get('metrics')}
    if not phases:
        return ''
    first = next(iter(phases.values()))['metrics']
    columns = [key for key in first if not _name(key).startswith('input_')]
    rows = [('hazy input', [first.get(_input_key(key)) for key in columns], '')]
    for name, record in phases.items():
        measured, trained = record.get('metrics_iteration'), record.get('iterations')
        file = record.get('checkpoint') or 'none'
        if measured not in (None, trained):
            file = f'none (measured at iteration {measured})'
        rows.append((f'after {name}', [record['metrics'].get(key) for key in columns], file))
        if record.get('best_checkpoint'):
            best = record.get('best_metrics') or {}
            rows.append((f'best of {name}', [best.get(key) for key in columns], record['best_checkpoint']))
    table = [['', *columns, 'checkpoint']] + [
        [name, *(_format(key, v) for key, v in zip(columns, values, strict=True)), file] for name, values, file in rows]
    return markdown_table(table, left=range(len(table[0])))


def describe_model(model, cfg):
    """Return a sentence on what a phase trains: parameters, multiply-adds at the crop size, receptive field.

    Args:
        model (nn.Module): The model, or its wrapper.
        cfg (Config): The phase's config, in whose pipelines the crop is looked for.
    """
    model = model.module if is_model_wrapper(model) else model
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    trained = sum(size for size, trains in sizes if trains)
    total = sum(size for size, _ in sizes)
    text = f'{type(model).__name__}: {total:,} parameters, {trained:,} of them trained, {total - trained:,} frozen'
    network = getattr(model, 'network', None)
    if network is None:
        return text
    crop = _crop(cfg.get('train_dataloader'))
    if crop is not None:
        divisor, least = getattr(network, 'size_divisor', 1), getattr(network, 'min_size', 1)
        height, width = (-(-max(side, least) // divisor) * divisor for side in crop)  # as the preprocessor pads
        try:
            macs = network_cost(network, height, width).macs
            text += f'; {type(network).__name__}: {macs / 1e9:.3g} G multiply-adds at {width} x {height}'
        except RuntimeError:  # a network of one's own that needs the values of its weights
            pass
    field = getattr(network, 'receptive_field', None)
    return text + (f'; receptive field {field} pixels' if field else '')


def _crop(node):
    """The last crop of a config's pipelines, (height, width), or None."""
    found = None
    if isinstance(node, dict):
        size = node.get('size')
        if node.get('type') in ('RandomCrop', 'CenterCrop') and size is not None:
            pair = tuple(size) if isinstance(size, (list, tuple)) else (size, size)
            return pair if len(pair) == 2 and all(isinstance(x, int) for x in pair) else None  # which it refuses
        found = [_crop(value) for value in node.values()]
    elif isinstance(node, (list, tuple)):
        found = [_crop(value) for value in node]
    return next((size for size in reversed(found or ()) if size is not None), None)


def before_after(work_dir, state, single):
    """Write ``before_after.png``: for each fixed validation sample the input, each phase's result and the truth.

    Args:
        work_dir (str): Of the run.
        state (dict): Of ``run_state.json``.
        single (bool): Whether the run has no phases, so that its samples lie in the work dir itself.

    Returns:
        Path | None: The picture; None if no phase has shown a sample.
    """
    folders = {name: Path(work_dir, '' if single else name, 'samples') for name, record in state['phases'].items()
               if record.get('finished')}
    folders = {name: folder for name, folder in folders.items() if folder.is_dir()}
    if not folders:
        return None
    last = list(folders.values())[-1]
    rows, labels = [], []
    for path in sorted(last.glob('*_input.png')):
        sample = path.name[:-len('_input.png')]
        files = [path, *(folder / f'{sample}_pred.png' for folder in folders.values()), last / f'{sample}_gt.png']
        rows.append([read_image(file) for file in files if file.is_file()])
        labels.append(sample)
    target = Path(work_dir, 'before_after.png')
    write_image(target, contact_sheet(rows, ['hazy', *folders, 'clear (truth)'], labels))
    return target


def _name(key):
    return key.rsplit('/', 1)[-1]


def _input_key(key):
    domain, _, name = key.rpartition('/')
    return f'{domain}/input_{name}' if domain else f'input_{name}'


def _format(key, value):
    if value is None:
        return '-'
    return f'{value:.{digits_of(value)}f}'
