"""Short forms of ``tools/research/kill_resume.py`` and ``soak.py``."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest
from machine import forks

FOLDER = Path(__file__).parents[2] / 'tools' / 'research'

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != 'linux', reason='process groups and /proc of Linux')]


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@forks
def test_four_cuts_at_random_moments_change_no_bit(tmp_path):
    tool = load('kill_resume')
    runs = tool.kinds(20)
    name = 'ema, accumulation, save_best'
    cfg, processes = runs[name]
    assert tool.trial(tmp_path / 'run', name, cfg, processes, 4, random.Random(1), say=lambda text: None)[0] == []
    assert list((tmp_path / 'run' / 'cut0').glob('best_*.pth'))


def test_500_iterations_and_restored_images_leave_nothing_behind(tmp_path):
    tool = load('soak')
    for samples in (tool.train(tmp_path / 'run', 500), tool.restore_images(tmp_path, 200)):
        memory, descriptors, processes = tool.slope(samples)
        assert memory < 20 and descriptors < 5 and processes < 5  # in so few, of the allocator's own steps
        assert samples[-1][1][1] <= samples[len(samples) // 2][1][1] + 1
