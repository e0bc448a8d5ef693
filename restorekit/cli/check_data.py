"""Check the datasets of a config: counts, files, sizes, pairs, leaks."""

import json
from pathlib import Path

from .common import clipped, say
from .progress import progress_bar


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='config file, or a dataset base such as _base_/datasets/sots.py')
    parser.add_argument('--data-root', metavar='DIR', help='folder that the relative paths of the config start from')
    parser.add_argument('--quick', action='store_true', help='read file headers only: faster, but damaged pixels and '
                        'duplicates are not found')
    parser.add_argument('--json', metavar='FILE', help='also write the result to this JSON file')
    parser.add_argument('--workers', type=int, metavar='N', help='number of processes (default: one per core)')


def run(args):
    """Print a table and the faults; returns 0, or 1 if there is a fault."""
    from restorekit.files.atomic import atomic_write_text
    from restorekit.tasks.check_data import check_data
    if args.json:  # an impossible place is said before the files are read
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)
    with progress_bar('files') as progress:
        report = check_data(args.config, data_root=args.data_root, quick=args.quick, workers=args.workers,
                            progress=progress)
    say(report.table())
    for kind, lines in (('note', report.notes), ('FAULT', report.faults)):
        for line in lines:
            say(f'{kind}: {clipped(line)}')
    count = len(report.faults)
    say(f'{count or "no"} fault{"s" * (count != 1)}' +
        (' found with --quick, which checks headers, counts and pairs only' if args.quick else ''))
    if args.json:
        atomic_write_text(json.dumps(report.to_dict(), indent=1) + '\n', args.json)
    return 1 if count else 0
