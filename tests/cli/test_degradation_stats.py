import json

import cv2
import numpy as np
import pytest

from restorekit.cli.main import main
from restorekit.files.image_io import write_image
from restorekit.tasks.degradation_stats import degradation_stats


def call(*arguments):
    """Run the command; returns its exit status."""
    return main(['degradation-stats', *map(str, arguments)])


@pytest.fixture
def folders(tmp_path):
    """Grey veils as real photos, dark textures as clear images, both with the folder's config."""
    random = np.random.default_rng(0)
    for k in range(8):
        level = 150 + 10 * k
        write_image(tmp_path / f'real/{k}.png', np.full((40, 50, 3), level, np.uint8))
        write_image(tmp_path / f'clear/{k}.png', random.integers(0, 90, (80, 100, 3), dtype=np.uint8))
        (tmp_path / 'depth').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'depth/{k}.png'), np.full((80, 100), 255, np.uint8))
    (tmp_path / 'thick.py').write_text(
        "degradation = dict(type='AtmosphericScattering', beta=50., airlight=(0.5, 1.0))\n"
        "source = dict(type='ClearDepthDataset', clear_dir='clear', depth_dir='depth', "
        "pipeline=[dict(type='Nothing')])")
    return tmp_path


@pytest.mark.slow
def test_thick_haze_covers_grey_veils_and_dust_does_not(folders, capsys):
    shared = ('--real', folders / 'real', '--size', 40, '--count', 60, '--clear', folders / 'clear', '--depth',
              folders / 'depth', '--json', folders / 'out.json')
    assert call(folders / 'thick.py', *shared, '--figure', folders / 'figure.png') == 0
    thick = json.loads((folders / 'out.json').read_text())
    assert thick['coverage']['real']['inside'] > 0.7 and thick['coverage']['real']['near'] == 1
    assert thick['percentiles']['real']['airlight_red'][1] == pytest.approx(185 / 255, abs=1e-4)
    assert thick['percentiles']['synthetic']['saturation'][1] == pytest.approx(0, abs=0.01)
    assert cv2.imread(str(folders / 'figure.png')).shape[1] > 500
    assert 'coverage of the real photos' in capsys.readouterr().out
    assert call('dust', *shared) == 0
    assert json.loads((folders / 'out.json').read_text())['coverage']['real']['inside'] == 0


def test_a_data_set_of_the_config_is_read_without_its_pipeline(folders):
    assert call(folders / 'thick.py', '--real', folders / 'real', '--size', 40, '--count', 10, '--dataset', 'source',
                '--data-root', folders, '--json', folders / 'out.json') == 0
    assert json.loads((folders / 'out.json').read_text())['count'] == 10


def test_mistakes_are_explained(folders, capsys):
    real = ('--real', folders / 'real')
    write_image(folders / 'few/0.png', np.zeros((8, 8, 3), np.uint8))
    for arguments, message in [
            ((folders / 'thick.py', *real, '--count', 0), 'count must be at least 1'),
            ((folders / 'thick.py', *real, '--count', 1, '--dataset', 'sorce'), "has no dataset 'sorce'"),
            ((folders / 'thick.py', '--real', folders / 'few', '--count', 1), 'must have at least 6 photos'),
            ((folders / 'thick.py', '--real', folders / 'none', '--count', 1), 'no folder')]:
        assert call(*arguments) == 1
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_folders_of_one_name_are_two_groups(folders):
    for k in range(6):
        write_image(folders / f'other/real/{k}.png', np.full((40, 50, 3), 90, np.uint8))
    seen = []
    report = degradation_stats(folders / 'thick.py', [folders / 'real', folders / 'other/real'], count=5, size=16,
                               progress=lambda *numbers: seen.append(numbers))
    assert {name: len(items) for name, items in report.groups.items()} == {
        'real': 8, str(folders / 'other/real'): 6, 'all': 14, 'synthetic': 5}
    assert seen == [(number, 19) for number in range(1, 20)]
    assert report.percentiles(str(folders / 'other/real'))['airlight_red'][1] == pytest.approx(90 / 255, abs=1e-4)
    assert set(report.coverage) == {'real', str(folders / 'other/real'), 'all'}
