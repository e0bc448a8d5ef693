"""Train a config through its phases; the same as ``restorekit train``."""

import sys

from restorekit.cli.main import main

if __name__ == '__main__':
    sys.exit(main(['train', *sys.argv[1:]]))
