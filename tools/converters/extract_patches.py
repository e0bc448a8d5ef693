"""Cut images into patches that overlap, hazy, clear and depth folders alike."""

import argparse
import sys

from restorekit.cli import extract_patches
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and cut."""
    parser = argparse.ArgumentParser(description=__doc__)
    extract_patches.add_arguments(parser)
    return run_guarded(extract_patches.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
