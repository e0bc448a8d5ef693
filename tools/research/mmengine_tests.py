"""Run MMEngine's own tests of configs, registries, logs and runners, plain and with restorekit imported first.

    git clone --branch v0.10.7 https://github.com/open-mmlab/mmengine
    pip install --target old 'setuptools<81' parameterized      # what the tests need
    PYTHONPATH=old python tools/research/mmengine_tests.py mmengine

The installed MMEngine is tested; the clone gives the tests (the archive on PyPI has none). Exits with 1 if a test
passes plain and does not with restorekit imported. Some fail plain: they are
written for older versions of other packages.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

FOLDERS = ('test_config', 'test_registry', 'test_logging', 'test_runner')
PLUGIN = '''
import restorekit
import restorekit.cli.main, restorekit.datasets, restorekit.engine, restorekit.evaluation, restorekit.models
import restorekit.visualization
restorekit.load_config('cid/cid_quickstart')
'''


def run(checkout, folders, imported):
    """Run the tests in a process of their own; returns the outcome of each: ``passed``, ``failed`` or ``skipped``."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'restorekit_first.py').write_text(PLUGIN)
        given = filter(None, os.environ.get('PYTHONPATH', '').split(os.pathsep))
        path = os.pathsep.join([folder, str(Path(__file__).resolve().parents[2]), *map(os.path.abspath, given)])
        report = Path(folder, 'report.xml')
        tests = Path(folder, 'tests')  # away from the clone, whose package mmengine would be imported
        shutil.copytree(checkout / 'tests', tests)
        command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', f'--junitxml={report}',
                   '--continue-on-collection-errors', *(['-p', 'restorekit_first'] if imported else []),
                   *(f'tests/{name}' for name in folders)]
        subprocess.run(command, cwd=folder, env={**os.environ, 'PYTHONPATH': path},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        outcomes = {}
        for case in ElementTree.parse(report).iter('testcase'):
            kinds = {child.tag for child in case}
            outcomes[f'{case.get("classname")}.{case.get("name")}'] = \
                'failed' if kinds & {'failure', 'error'} else 'skipped' if 'skipped' in kinds else 'passed'
        return outcomes


def main():
    """Print the numbers and what passes plain only."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkout', type=Path, help='clone of MMEngine')
    parser.add_argument('--folders', nargs='+', default=FOLDERS, metavar='NAME', help='folders below tests/')
    args = parser.parse_args()
    plain, ours = (run(args.checkout, args.folders, imported) for imported in (False, True))
    for title, outcomes in (('plain', plain), ('restorekit imported first', ours)):
        counts = {kind: list(outcomes.values()).count(kind) for kind in ('passed', 'failed', 'skipped')}
        print(f'{title}: ' + ', '.join(f'{count} {kind}' for kind, count in counts.items()))
    lost = [name for name, outcome in plain.items() if outcome == 'passed' and ours.get(name) != 'passed']
    print(f'{len(lost)} pass plain only' + ''.join(f'\n  {name}' for name in lost))
    return 1 if lost else 0


if __name__ == '__main__':
    sys.exit(main())
