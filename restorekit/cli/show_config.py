"""Print a config with all of its bases and options merged."""

from .common import say
from .option_action import OptionAction


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', metavar='CONFIG', help='config file, or the name of one that comes with restorekit, '
                        'such as cid/cid_quickstart')
    parser.add_argument('--phase', metavar='NAME', help='print the complete config that this phase runs with')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, default={}, metavar='KEY=VALUE',
                        help='change values of the config, as for the train command')


def run(args):
    """Print the config."""
    from restorekit.tasks.show_config import show_config
    say(show_config(args.config, phase=args.phase, options=args.cfg_options).pretty_text)
