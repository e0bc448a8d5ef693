"""The ``restorekit`` command."""

import argparse
import sys

from restorekit.version import __version__

from . import restore, test, train
from .common import import_from_here, run_guarded

COMMANDS = dict(train=train, test=test, restore=restore)


def build_parser():
    """Return the parser of the command and its sub-commands."""
    parser = argparse.ArgumentParser(prog='restorekit', description='Restore degraded images, dehazing first.')
    parser.add_argument('--version', action='version', version=f'restorekit {__version__}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, module in COMMANDS.items():
        summary = module.__doc__.splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    return parser


def main(argv=None):
    """Run the command line; returns the exit status."""
    args = build_parser().parse_args(argv)
    import_from_here(getattr(args, 'config', None))
    return run_guarded(COMMANDS[args.command].run, args)


if __name__ == '__main__':
    sys.exit(main())
