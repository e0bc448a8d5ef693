"""Plot the curves of one or more runs over their phases and print the last and best values."""

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

# where a smaller value is the better one; every other measured quantity is better when larger
LOWER_IS_BETTER = frozenset({'MAE', 'MSE', 'RMSE', 'CIEDE2000', 'LPIPS', 'DISTS', 'NIQE', 'ILNIQE', 'BRISQUE', 'PIQE',
                             'FADE'})
DEFAULT_KEYS = ('loss', '*@*')


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='of a run (or of one phase of it)')
    parser.add_argument('--keys', nargs='+', metavar='KEY', default=list(DEFAULT_KEYS), help='what to plot, with shell '
                        "patterns, e.g. 'loss*' '*PSNR*'; default: the loss and every metric")
    parser.add_argument('--labels', nargs='+', metavar='TEXT', help='names of the runs; default: their folders')
    parser.add_argument('--smooth', type=float, default=0.0, metavar='WEIGHT', help='of the past in a moving average '
                        'of curves of at least 20 points, 0 to below 1; e.g. 0.9 (default 0: none)')
    parser.add_argument('--out', metavar='FILE', help='the picture (png, svg, pdf); default: only the table')
    parser.add_argument('--json', metavar='FILE', help='write the table as JSON too')


def run(args):
    """Print the table and draw the picture; returns the exit status."""
    from restorekit.config import ConfigError
    if not 0 <= args.smooth < 1:
        raise ConfigError(f'--smooth must be at least 0 and below 1, got {args.smooth}')
    names = args.labels or run_names(args.work_dirs)
    if len(names) != len(args.work_dirs):
        raise ConfigError(f'--labels gives {len(names)} names for {len(args.work_dirs)} runs')
    if len(set(names)) < len(names):
        raise ConfigError(f'two runs have the same name in --labels: {", ".join(names)}')
    runs = {name: read_run(folder) for name, folder in zip(names, args.work_dirs, strict=True)}
    keys = select_keys(args.keys, runs)
    record = {name: {key: summary(key, curve(phases, key)) for key in keys if curve(phases, key)}
              for name, phases in runs.items()}
    print(table(record, keys))
    if args.json:
        from restorekit.files.atomic import atomic_write_text
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(json.dumps(record, indent=2) + '\n', args.json)
    if args.out:
        plot(runs, keys, args.out, args.smooth)
        print(f'\n{len(keys)} panels: {args.out}')
    return 0


def run_names(folders):
    """Name each folder by its last part, and by more of its path where that does not tell them apart."""
    paths = [Path(folder).resolve() for folder in folders]
    for count in range(1, max(len(path.parts) for path in paths) + 1):
        names = ['/'.join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f'a run is named twice: {", ".join(map(str, folders))}')


def read_run(folder):
    """Read the logs of a run.

    A phase that was resumed has several log files. Of each key, what a later file says from its first iteration on
    replaces what the earlier ones say there.

    Args:
        folder (str | Path): Work dir of a run; or the folder of one phase.

    Returns:
        dict[str, dict]: By phase, in order (one phase named ``''`` for a run without): ``curves``
        (``{key: {iteration: value}}``), ``training`` (the keys logged in training) and ``length`` (last iteration).

    Raises:
        FileNotFoundError: If there is no log below ``folder``.
    """
    folder = Path(folder)
    found = {}
    for path in folder.glob('*/vis_data/scalars.json'):
        found.setdefault('', []).append(path)
    for path in folder.glob('*/*/vis_data/scalars.json'):
        found.setdefault(path.relative_to(folder).parts[0], []).append(path)
    if not found:
        raise FileNotFoundError(f'{folder.absolute()} ' + (
            'has no log (no */vis_data/scalars.json in it or in its sub-folders); give the work dir of a run'
            if folder.is_dir() else 'is no folder; give the work dir of a run'))
    order = phase_order(folder, found)
    return {name: read_phase(sorted(found[name], key=lambda path: path.parts[-3])) for name in order}


def phase_order(folder, found):
    """Order phases as the run's state records them; what it does not know follows by the time of its first log."""
    try:
        state = json.loads((folder / 'run_state.json').read_text())
        known = [*state.get('configs', {}), *state.get('phases', {})]
    except (OSError, ValueError, AttributeError, TypeError):
        known = []
    start = {name: min(path.parts[-3] for path in paths) for name, paths in found.items()}
    return sorted(found, key=lambda name: (known.index(name) if name in known else len(known), start[name]))


def read_phase(paths):
    """Read the log files of one phase, oldest first; see :func:`read_run`."""
    curves, training = {}, set()
    for path in paths:
        added = {}
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            try:
                entry = json.loads(line)
                step = int(entry['step'])
            except (ValueError, KeyError, TypeError):  # a killed run leaves half a line
                continue
            trained = 'iter' in entry
            for key, value in entry.items():
                if key in ('iter', 'step', 'epoch') or not isinstance(value, (int, float)):
                    continue
                if not trained and key in ('time', 'data_time'):  # of validation; the same names mean training's
                    continue
                added.setdefault(key, {})[step] = float(value)
                if trained:
                    training.add(key)
        for key, points in added.items():
            kept = {step: value for step, value in curves.get(key, {}).items() if step < min(points)}
            curves[key] = {**kept, **points}
    length = max((max(points) for points in curves.values()), default=0)
    return dict(curves=curves, training=training, length=length)


def select_keys(patterns, runs):
    """Return the keys of the runs that the patterns name, in the patterns' order; inputs' own scores by request only.

    Raises:
        ConfigError: If a pattern matches nothing; names the nearest keys.
    """
    from restorekit.config import ConfigError
    from restorekit.messages import unknown_name_message
    known = list(dict.fromkeys(key for phases in runs.values() for phase in phases.values() for key in phase['curves']))
    keys = []
    for pattern in patterns:
        matches = [key for key in known if key == pattern] or [key for key in known if fnmatchcase(key, pattern)]
        if 'input_' not in pattern:
            matches = [key for key in matches if not is_input(key)]
        if not matches and pattern not in DEFAULT_KEYS:
            inside = [key for key in known if pattern.lower() in key.lower()]
            if inside:
                raise ConfigError(f"--keys: no key is {pattern!r}; '*{pattern}*' would name {', '.join(inside)}")
            raise ConfigError('--keys: ' + unknown_name_message(pattern, known, 'keys of these logs'))
        keys += [key for key in matches if key not in keys]
    if not keys:
        raise ConfigError(f'these logs have none of {", ".join(patterns)}; their keys: {", ".join(known) or "none"}')
    return keys


def curve(phases, key):
    """Return ``[(iteration over all phases, value, phase)]`` of a key."""
    points, offset = [], 0
    for name, phase in phases.items():
        points += [(offset + step, value, name) for step, value in sorted(phase['curves'].get(key, {}).items())]
        offset += phase['length']
    return points


def is_input(key):
    """Whether a key is the score of the degraded input itself."""
    return key.rpartition('/')[2].startswith('input_')


def direction(key):
    """``'min'`` or ``'max'``, whichever is better for a loss or a measured quantity; None for anything else."""
    name = key.rpartition('/')[2].removeprefix('input_')
    if name == 'loss' or name.startswith('loss_'):
        return 'min'
    if '@' in name:
        return 'min' if re.split(r'[@-]', name)[0].upper() in LOWER_IS_BETTER else 'max'
    return None


def summary(key, points):
    """Return last and best value of a curve, with their iterations over all phases (and the best one's phase)."""
    last = points[-1]
    found = dict(points=len(points), last=last[1], last_iteration=last[0], best=None, best_iteration=None,
                 best_phase=None)
    better = direction(key)
    finite = [point for point in points if point[1] == point[1]]
    if better and finite:
        best = (min if better == 'min' else max)(finite, key=lambda point: point[1])
        found.update(best=best[1], best_iteration=best[0], best_phase=best[2] or None)
    return found


def table(record, keys):
    """Format the summaries as a table, a line per key and run."""
    from restorekit.text_table import text_table
    lines = [('key', 'run', 'last', 'at', 'best', 'at', 'phase')]
    for key in keys:
        for name, summaries in record.items():
            if key in summaries:
                found = summaries[key]
                best = ('-',) * 3 if found['best'] is None else (
                    f'{found["best"]:.4g}', str(found['best_iteration']), found['best_phase'] or '')
                lines.append((key, name, f'{found["last"]:.4g}', str(found['last_iteration']), *best))
    return text_table(lines, left=(0, 1, 6))


def smooth(values, weight):
    """Exponential moving average without the pull of the start: sum of weight^k x_(t-k) over sum of weight^k.

    Example:
        >>> smooth([1.0, 3.0], 0.5)
        [1.0, 2.3333333333333335]
    """
    result, top, bottom = [], 0.0, 0.0
    for value in values:
        top, bottom = weight * top + value, weight * bottom + 1
        result.append(top / bottom)
    return result


def plot(runs, keys, out, weight=0.0):
    """Draw a panel per key: a line per run, phase borders dotted, the input's own score dashed.

    Raises:
        ImportError: Without matplotlib; names the extra.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('--out needs matplotlib: python -m pip install "restorekit[plots]"; without --out the table '
                          'is printed alone') from error
    columns = 1 if len(keys) == 1 else 2
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(6.2 * columns, 3.1 * rows + 0.4), dpi=110, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for axis, key in zip(axes, keys, strict=False):
        for number, (name, phases) in enumerate(runs.items()):
            draw_run(axis, key, name, phases, f'C{number}', weight, first=number == 0)
        axis.set_title(key, fontsize=10)
        axis.grid(alpha=0.25)
        axis.set_xlim(left=0)
    for axis in axes[len(keys):]:
        axis.set_visible(False)
    for axis in axes[max(len(keys) - columns, 0):len(keys)]:
        axis.set_xlabel('iteration')
        axis.tick_params(labelbottom=True)
    handles = {label: handle for axis in axes[:len(keys)]
               for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc='outside upper center', ncols=min(len(handles), 4), fontsize=9)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(out)
    except ValueError as error:  # an unknown suffix
        from restorekit.config import ConfigError
        raise ConfigError(f'--out {out}: {error}') from error


def draw_run(axis, key, name, phases, colour, weight, first):
    """Draw one run's curve of ``key`` with its phase borders; names the phases of the first run."""
    points = curve(phases, key)
    if any(key in phase['training'] for phase in phases.values()):
        pieces = [[point for point in points if point[2] == phase] for phase in phases]  # losses of phases differ
        pieces = [piece for piece in pieces if piece]
    else:
        pieces = [points] if points else []
    for number, piece in enumerate(pieces):
        x, y = [point[0] for point in piece], [point[1] for point in piece]
        marker = 'o' if len(piece) < 20 else None
        if weight and len(piece) >= 20:
            axis.plot(x, y, color=colour, alpha=0.25, linewidth=0.8)
            y = smooth(y, weight)
        axis.plot(x, y, color=colour, linewidth=1.4, marker=marker, markersize=3.5, label=None if number else name)
    start, _, last = key.rpartition('/')
    baseline = curve(phases, f'{start}/input_{last}' if start else f'input_{last}')
    if baseline:
        axis.axhline(baseline[-1][1], color='0.5', linestyle='--', linewidth=0.9, label='degraded input')
    offset = 0
    for number, (phase, record) in enumerate(phases.items()):
        if number:
            axis.axvline(offset, color=colour, linestyle=':', linewidth=0.9)
        if first and phase:
            axis.text(offset, 1.0, f' {phase}', transform=axis.get_xaxis_transform(), fontsize=7, va='top',
                      color='0.35')
        offset += record['length']
