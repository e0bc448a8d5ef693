"""Show degradations on one contact sheet: a row for each, from weak to strong, with the parameters drawn."""

import argparse
import sys

from restorekit.cli import browse_degradations
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    browse_degradations.add_arguments(parser)
    return run_guarded(browse_degradations.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
