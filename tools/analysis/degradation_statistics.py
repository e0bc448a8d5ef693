"""Compare the statistics of synthetic hazy images with those of real photos."""

import argparse
import sys

from restorekit.cli import degradation_statistics
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    degradation_statistics.add_arguments(parser)
    return run_guarded(degradation_statistics.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
