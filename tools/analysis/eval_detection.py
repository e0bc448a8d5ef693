"""Measure whether restoration helps a detector: average precision on hazy photos before and after."""

import argparse
import sys

from restorekit.cli import eval_detection
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    eval_detection.add_arguments(parser)
    return run_guarded(eval_detection.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
