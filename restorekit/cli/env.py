"""Show versions, hardware and extras; with --check, find versions with known faults."""

import sys

from .common import say


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('--check', action='store_true',
                        help='exit with 1 if a version with a known fault is installed, or packages clash')


def run(args):
    """Print what is installed; returns 1 if --check finds something."""
    from restorekit.tasks.env import env
    from restorekit.text_table import text_table
    found = env()
    say(text_table([('package', 'version'), *((name, value or 'missing') for name, value in found.versions.items())],
                   left=(0, 1)))
    say('\n' + text_table([('hardware', ''), *found.hardware.items()], left=(0, 1)))
    if found.extras:
        rows = [(name, ', '.join(f'{package} {value or "missing"}' for package, value in packages.items()))
                for name, packages in sorted(found.extras.items())]
        say('\n' + text_table([('extra', 'packages'), *rows], left=(0, 1)))
    for problem in found.problems:
        say(f'\nproblem: {problem}', file=sys.stderr)
    if args.check and not found.problems:
        say('\nNo version with a known fault is installed.')
    return int(args.check and bool(found.problems))
