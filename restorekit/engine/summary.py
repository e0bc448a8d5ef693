"""What a run comes to: one table and one picture."""

from pathlib import Path

from restorekit.files.image_io import read_image, write_image
from restorekit.text_table import markdown_table
from restorekit.visualization import contact_sheet


def results_table(state):
    """Format the metrics of a run by phase as a Markdown table.

    Args:
        state (dict): Of ``run_state.json``: per phase ``metrics`` with keys ``<domain>/<metric>`` and, for the
            degraded input itself, ``<domain>/input_<metric>``.

    Returns:
        str: Rows: input, then after each finished phase; columns: metrics. Empty without metrics.
    """
    phases = {name: record['metrics'] for name, record in state['phases'].items() if record.get('metrics')}
    if not phases:
        return ''
    first = next(iter(phases.values()))
    columns = [key for key in first if not _name(key).startswith('input_')]
    rows = [('hazy input', [first.get(_input_key(key)) for key in columns])]
    rows += [(f'after {name}', [metrics.get(key) for key in columns]) for name, metrics in phases.items()]
    table = [['', *columns]] + [[name, *(_format(key, v) for key, v in zip(columns, values, strict=True))]
                                for name, values in rows]
    return markdown_table(table, left=range(len(table[0])))


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
    return f'{value:.2f}' if 'PSNR' in key else f'{value:.4f}'
