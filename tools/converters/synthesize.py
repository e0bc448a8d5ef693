"""Write a paired data set: hazy images made from clear ones, with every parameter drawn."""

import argparse
import sys

from restorekit.cli import synthesize
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and write the data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    synthesize.add_arguments(parser)
    return run_guarded(synthesize.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
