"""Verify the data sets of a config: numbers, files, sizes, pairs, and images that are both trained and tested on."""

import argparse
import sys

from restorekit.cli import check_data
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and verify."""
    parser = argparse.ArgumentParser(description=__doc__)
    check_data.add_arguments(parser)
    return run_guarded(check_data.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
