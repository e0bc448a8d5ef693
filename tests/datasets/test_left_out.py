"""Files of a folder that are not read are counted and named."""

import logging

import cv2
import numpy as np
import pytest

from restorekit.cli.main import main
from restorekit.datasets import PairedDataset, SingleDataset, scan_images

UNREAD = ['e.heic', 'f.avif', 'g.GIF', 'h.dng', 'i.exr', 'j.svg']


@pytest.fixture
def folder(tmp_path, make_images):
    make_images(tmp_path / 'in', ['a.png', 'b.jpg'])
    for name in UNREAD + ['notes.txt', '.hidden.gif']:
        (tmp_path / 'in' / name).write_bytes(b'0')
    return tmp_path / 'in'


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr('restorekit.datasets.scanner.log',
                        lambda text, level=logging.WARNING: lines.append((level, text)))
    return lines


def test_a_dataset_warns_and_remembers(folder, said):
    dataset = SingleDataset(str(folder))
    assert len(dataset) == 2 and dataset.left_out == [f'{folder}/{name}' for name in sorted(UNREAD)]
    assert said == [
        (logging.WARNING, f'{folder}: 6 files are left out, since their format is not read: e.heic, f.avif, g.GIF, '
                          'h.dng, i.exr and 1 more; convert them to PNG or JPEG'),
        (logging.INFO, f'{folder} mixes formats: 1 .jpg, 1 .png')]


def test_a_pattern_holds_for_them_too(folder, said):
    assert scan_images(str(folder), include='[a-e].*').left_out == ('e.heic',)
    assert scan_images(str(folder), include='a.*').left_out == () and len(said) == 2


def test_a_folder_of_nothing_else_says_so(tmp_path):
    (tmp_path / 'a.heic').write_bytes(b'0')
    with pytest.raises(FileNotFoundError, match='formats that are not read: a.heic'):
        scan_images(str(tmp_path))


def test_check_data_notes_them_and_a_jpeg_without_end(folder, capsys):
    pytest.importorskip('simplejpeg')
    (folder / 'b.jpg').write_bytes(cv2.imencode('.jpg', np.zeros((24, 32, 3), np.uint8))[1].tobytes()[:-2])
    (folder / 'config.py').write_text(
        f"test_dataloader = dict(dataset=dict(type='SingleDataset', image_dir={str(folder)!r}))")
    assert main(['check-data', str(folder / 'config.py'), '--workers', '1']) == 0
    printed = capsys.readouterr().out
    assert '6 files are left out, since their format is not read' in printed and 'e.heic' in printed
    assert '1 JPEG files lack their end marker, but none of their pixels' in printed and 'b.jpg' in printed


def test_jfif_and_jpe_pair_as_jpeg(tmp_path, make_images):
    for kind in ('hazy', 'clear'):
        for path in make_images(tmp_path / kind, ['0.jpg', '1.jpg', '2.jpg']):
            path.rename(path.with_suffix({'0': '.jfif', '1': '.jpe', '2': '.JPG'}[path.stem]))
    data = PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'))
    assert len(data) == 3 and all(data[k]['inputs'].shape == (3, 24, 32) for k in range(3))


def test_brackets_in_a_folder_are_no_pattern(tmp_path, make_images):
    make_images(tmp_path / 'set [1]' / 'clear [a-z]*', ['a.png'])
    data = SingleDataset(str(tmp_path / 'set [1]' / 'clear [a-z]*'), include='a.*')
    assert len(data) == 1 and data[0]['inputs'].shape == (3, 24, 32)
