"""Sphinx configuration."""

import re
from pathlib import Path

project = 'restorekit'
author = 'The restorekit authors'
release = re.search(r"__version__ = '(.+)'", (Path(__file__).parents[1] / 'restorekit/version.py').read_text())[1]
extensions = ['myst_parser']
myst_enable_extensions = ['dollarmath']
source_suffix = {'.md': 'markdown'}
html_theme = 'furo'
