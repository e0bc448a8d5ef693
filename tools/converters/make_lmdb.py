"""Pack a folder of images into an LMDB: the original bytes, under their paths relative to the folder."""

import argparse
import sys

from restorekit.cli import make_lmdb
from restorekit.cli.common import run_guarded


def main(argv=None):
    """Parse the arguments and write the LMDB."""
    parser = argparse.ArgumentParser(description=__doc__)
    make_lmdb.add_arguments(parser)
    return run_guarded(make_lmdb.run, parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
