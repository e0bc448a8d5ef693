"""The ``restorekit`` command."""

import argparse
import gc
import importlib
import sys

from restorekit.files.names import terminal_text
from restorekit.messages import UnavailableError
from restorekit.version import __version__

from .common import import_from_here, run_guarded

#: Group -> its commands, in the order of ``restorekit --help``. The module of a command has its name, with underscores:
#: the first line of its docstring is its summary, ``add_arguments(parser)`` declares it, ``run(args)`` runs it.
GROUPS = {
    'restore': ('restore', 'info', 'models', 'export', 'demo'),
    'train and test': ('train', 'test', 'show-config', 'convert', 'pack', 'publish'),
    'measure': ('measure', 'compare', 'bench', 'study', 'detect-compare', 'plot-logs', 'fit-quality'),
    'data': ('check-data', 'synthesize', 'extract-patches', 'make-lmdb', 'browse-dataset', 'browse-degradations',
             'degradation-stats'),
    'installation': ('env',),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors, which quote names that a shell may have filled in, speak no escapes to a terminal."""

    def error(self, message):
        super().error(terminal_text(message, lines=True))


def command_module(name):
    """Return the module of a command."""
    return importlib.import_module(f'restorekit.cli.{name.replace("-", "_")}')


def build_parser(only=None):
    """Return the parser of the command and its sub-commands, or of one of them."""
    names = [name for group in GROUPS.values() for name in group if only in (None, name)]
    summaries = {name: command_module(name).__doc__.splitlines()[0] for name in names}
    listing = '\n\n'.join('\n'.join([f'{group}:', *(f'  {name:<20} {summaries[name]}' for name in commands
                                                    if name in names)]) for group, commands in GROUPS.items())
    parser = _Parser(
        prog='restorekit', formatter_class=argparse.RawDescriptionHelpFormatter, usage='restorekit COMMAND ...',
        description='Restore degraded images, dehazing first.',
        epilog=f'{listing}\n\nrestorekit COMMAND --help explains a command.')
    parser.add_argument('--version', action='version', version=f'restorekit {__version__}')
    commands = parser.add_subparsers(prog='restorekit', dest='command', required=True, metavar='COMMAND',
                                     help=argparse.SUPPRESS)
    for name in names:
        module = command_module(name)
        module.add_arguments(commands.add_parser(name, description=summaries[name]))
    return parser


def main(argv=None):
    """Run the command line; returns the exit status."""
    status = run_guarded(_run, argv)
    distributed = sys.modules.get('restorekit.distributed')
    if distributed and not status:  # after an error the other processes may be waiting for this one
        distributed.end_distributed()
    if argv is None:  # the process ends: not everything that torch made need be searched for garbage once more
        gc.freeze()
    return status


def _run(argv):
    for stream in (sys.stdout, sys.stderr):  # whose encoding may not have every letter of a name, in logs too
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
    if sys.getfilesystemencoding() == 'ascii':
        raise UnavailableError('Python takes names of files for ASCII here (LC_ALL=C with PYTHONUTF8=0), so that other '
                               'letters in a config name no file; set PYTHONUTF8=1, or leave PYTHONUTF8 out')
    argv = sys.argv[1:] if argv is None else argv
    known = argv and any(argv[0] in commands for commands in GROUPS.values())  # then the others are not imported
    args = build_parser(argv[0] if known else None).parse_args(argv)
    import_from_here(getattr(args, 'config', None))
    return command_module(args.command).run(args)


if __name__ == '__main__':
    sys.exit(main())
