import re

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from restorekit.cli.main import main
from restorekit.evaluation import PROTOCOLS
from restorekit.messages import InputError
from restorekit.tasks.measure import measure


def call(*arguments):
    return main(['measure', *map(str, arguments)])


def table(text):
    """The printed table as {protocol: {head: cell}}."""
    lines = [[cell.strip() for cell in line.strip('| \n').split('|')] for line in text.splitlines() if line[:1] == '|']
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=True)) for line in lines[2:]}


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    images = {}
    for folder, names in (('clear', ['1', '2']), ('hazy', ['1_a', '1_b', '2_a'])):
        (tmp_path / folder).mkdir()
        for name in names:
            images[name] = rng.integers(0, 256, (24, 34, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / folder / f'{name}.png'), images[name])
    return tmp_path, images


def test_two_folders_under_every_protocol(folders, capsys):
    root, images = folders
    assert call(root / 'hazy', root / 'clear', '--pairing', 'prefix', '--metrics', 'PSNR', 'CIEDE2000') == 0
    text = capsys.readouterr().out
    rows = table(text)
    assert text.startswith('3 pairs') and list(rows) == list(PROTOCOLS)
    expected = np.mean([peak_signal_noise_ratio(images[hazy[0]], images[hazy]) for hazy in ('1_a', '1_b', '2_a')])
    assert float(rows['rgb']['PSNR (dB)']) == pytest.approx(expected, abs=6e-4)
    assert rows['y-matlab']['CIEDE2000'] == '-' and float(rows['rgb']['CIEDE2000']) > 10


def test_two_files_and_no_files(folders, capsys):
    root, images = folders
    assert call(root / 'hazy/2_a.png', root / 'clear/2.png', '--protocols', 'crop16') == 0
    row = table(capsys.readouterr().out)['crop16']
    expected = peak_signal_noise_ratio(images['2'][:16, :32], images['2_a'][:16, :32])
    assert float(row['PSNR (dB)']) == pytest.approx(expected, abs=6e-4)
    assert call('--protocols', 'ffa', 'dehazeformer') == 0
    rows = table(capsys.readouterr().out)
    assert float(rows['dehazeformer']['SSIM']) > float(rows['ffa']['SSIM']) + 0.05


@pytest.mark.parametrize('arguments, message', [
    (['a.png'], 'give two images, two folders or nothing, but got 1: a.png'),
    (['--protocols', 'ffb'], "'ffb' is not in the list of protocols .* did you mean 'ffa'"),
    (['--metrics', 'FADE'], 'FADE takes no protocol'),
    (['no.png', 'neither.png'], 'no image file no.png')])
def test_mistakes(arguments, message, capsys):
    assert call(*arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_from_python(folders):
    root, images = folders
    seen = []
    found = measure(root / 'hazy', root / 'clear', pairing='prefix', metrics=['PSNR', 'CIEDE2000', 'MSSSIM'],
                    protocols=['rgb', 'y-matlab'], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)] and found.pairs == 3
    expected = np.mean([peak_signal_noise_ratio(images[hazy[0]], images[hazy]) for hazy in ('1_a', '1_b', '2_a')])
    assert found.means['rgb']['PSNR'] == pytest.approx(expected, abs=1e-4)
    assert found.means['y-matlab']['CIEDE2000'] is None  # the protocol keeps no colours
    assert found.means['rgb']['MSSSIM'] is None  # the images are too small
    assert found.columns == dict(PSNR='PSNR (dB)', CIEDE2000='CIEDE2000', MSSSIM='MS-SSIM')
    with pytest.raises(InputError, match='both folders or nothing, but got .*hazy alone'):
        measure(root / 'hazy')
