"""The lower bounds of the package are the versions that ``tools/research/check_versions.sh`` tests."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_lower_bounds_are_the_tested_versions():
    tested = dict(re.findall(r'^([\w-]+)==([\d.]+)$', (ROOT / 'tools/research/lowest_versions.txt').read_text(), re.M))
    required = (ROOT / 'setup.py').read_text().partition('install_requires=[')[2].partition('entry_points')[0]
    bounds = dict(re.findall(r"'([\w-]+)>=([\d.]+)", required))
    assert len(bounds) >= 12 and bounds.keys() == tested.keys()
    for name, bound in bounds.items():
        assert f'{tested[name]}.'.startswith(f'{bound}.'), (name, bound, tested[name])
