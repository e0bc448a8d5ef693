"""Print a config with its bases and options merged; with --phase, as that phase runs it."""

from .common import OptionAction


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.add_argument('config', help='config file, or its name below configs/')
    parser.add_argument('--phase', help='print the complete config of this phase')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, default={}, metavar='K=V',
                        help='overrides, as for train')


def run(args):
    """Print the config."""
    from restorekit.config import load_config, phase_config
    cfg = load_config(args.config, options=args.cfg_options)
    if args.phase:
        cfg = phase_config(cfg, args.phase)
    print(cfg.pretty_text)
