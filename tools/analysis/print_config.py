"""Print a config as it is after inheritance and overrides; with --phase, as that phase runs it."""

import argparse
import sys

from restorekit.cli.common import OptionAction, run_guarded
from restorekit.config import load_config


def run(args):
    """Print the config that ``args`` name."""
    cfg = load_config(args.config, options=args.cfg_options)
    if args.phase:
        from restorekit.engine.phases import phase_overrides
        cfg = phase_overrides(cfg, args.phase, args.cfg_options)
    print(cfg.pretty_text)


def main():
    """Parse the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, or its name below configs/')
    parser.add_argument('--phase', help='print the complete config of this phase')
    parser.add_argument('--cfg-options', nargs='+', action=OptionAction, default={}, metavar='K=V')
    return run_guarded(run, parser.parse_args())


if __name__ == '__main__':
    sys.exit(main())
