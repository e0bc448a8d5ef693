"""Plot the curves of one or more runs over their phases and print the last and best values."""

import argparse
import sys

from restorekit.cli import plot_logs
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    plot_logs.add_arguments(parser)
    return run_guarded(plot_logs.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
