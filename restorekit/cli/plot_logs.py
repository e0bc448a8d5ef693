"""Plot the curves of training runs and print their last and best values."""

from .common import say, write_json


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='work dir of a run, or of one phase of it')
    parser.add_argument('--keys', nargs='+', metavar='KEY', help="values to show; shell patterns "
                        "such as 'loss*' or '*PSNR*' are allowed (default: the loss and every metric)")
    parser.add_argument('--labels', nargs='+', metavar='TEXT', help='a name for each run (default: its folder)')
    parser.add_argument('--smooth', type=float, default=0.0, metavar='WEIGHT', help='smoothing weight in [0, 1) of the '
                        'exponential moving average (default: 0, off)')
    parser.add_argument('--out', metavar='FILE', help='write the picture to this file: .png, .svg or .pdf '
                        '(default: print the table only)')
    parser.add_argument('--json', metavar='FILE', help='also write the table to this file as JSON')


def run(args):
    """Print the table and draw the picture."""
    from restorekit.tasks.plot_logs import plot_logs
    record = plot_logs(args.work_dirs, keys=args.keys, labels=args.labels, smooth=args.smooth, out=args.out)
    say(table(record))
    write_json(args.json, record)
    if args.out:
        say(f'\nPicture: {args.out}')


def table(record):
    """Format the summaries as a table, a line for each key and run."""
    from restorekit.text_table import text_table
    lines = [('key', 'run', 'last', 'at', 'best', 'at', 'phase')]
    for key in dict.fromkeys(key for found in record.values() for key in found):
        for name, found in ((name, found[key]) for name, found in record.items() if key in found):
            best = ('-', '-', '-') if found['best'] is None else (
                f'{found["best"]:.4g}', found['best_iteration'], found['best_phase'] or '')
            lines.append((key, name, f'{found["last"]:.4g}', found['last_iteration'], *best))
    return text_table(lines, left=(0, 1, 6))
