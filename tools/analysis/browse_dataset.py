"""Show on one contact sheet what the network will see of a config's data: a row per draw, grouped by domain."""

import argparse
import sys

from restorekit.cli import browse_dataset
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    browse_dataset.add_arguments(parser)
    return run_guarded(browse_dataset.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
