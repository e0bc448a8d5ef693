"""Measure a checkpoint, or stored images, on test sets; the same as ``restorekit test``."""

import sys

from restorekit.cli.main import main

if __name__ == '__main__':
    sys.exit(main(['test', *sys.argv[1:]]))
