"""Measure images that any program wrote, under every protocol: why one number is not another."""

import argparse
import sys

from restorekit.cli import measure
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    measure.add_arguments(parser)
    return run_guarded(measure.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
