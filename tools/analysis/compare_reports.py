"""Say which of two test reports is better, by set and metric, with a paired test over images."""

import argparse
import sys

from restorekit.cli import compare_reports
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    compare_reports.add_arguments(parser)
    return run_guarded(compare_reports.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
