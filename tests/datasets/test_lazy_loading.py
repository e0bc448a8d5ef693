"""Items of which only the crop's rows are decoded, against items decoded whole."""

import numpy as np
import pytest
import torch

from restorekit.datasets import ClearDepthDataset, PairedDataset
from restorekit.datasets.base import Draw
from restorekit.files import lazy_image
from restorekit.files.image_io import ImageFileError, write_image
from restorekit.files.lazy_image import LazyJpeg

CROP = dict(type='RandomCrop', size=32)
REST = [dict(type='RandomFlip'), dict(type='RandomRotate90')]


@pytest.fixture
def folders(tmp_path):
    generator = np.random.default_rng(0)
    for name in ('hazy', 'clear'):
        for i in range(4):
            image = generator.integers(0, 256, (90 + i, 70, 3), dtype=np.uint8)
            write_image(tmp_path / name / f'{i}.jpg', image, quality=80)
    return str(tmp_path / 'hazy'), str(tmp_path / 'clear')


@pytest.fixture
def lazy(monkeypatch):
    """Count the images left undecoded."""
    pytest.importorskip('simplejpeg')
    made, plain = [], LazyJpeg.__init__

    def init(self, *args):
        made.append(args[1])
        plain(self, *args)
    monkeypatch.setattr(LazyJpeg, '__init__', init)
    return made


def items(data):
    return [data[Draw(i % len(data), i, 7 * i)] for i in range(12)] + [data[i] for i in range(len(data))]


@pytest.mark.parametrize('pipeline', [[CROP, *REST], [dict(type='CenterCrop', size=(40, 200)), *REST]])
def test_items_are_the_same(folders, lazy, monkeypatch, pipeline):
    data = PairedDataset(*folders, pipeline=pipeline)
    undecoded = items(data)
    assert len(lazy) == 2 * len(undecoded)
    monkeypatch.setattr(lazy_image, '_jpeg_decoder', lambda: None)
    for a, b in zip(undecoded, items(data), strict=True):
        assert torch.equal(a['inputs'], b['inputs']) and torch.equal(a['data_samples'].gt, b['data_samples'].gt)
    assert len(lazy) == 2 * len(undecoded)
    clear = ClearDepthDataset(folders[1], pipeline=pipeline)
    expected = items(clear)
    monkeypatch.undo()
    assert all(torch.equal(a['inputs'], b['inputs']) for a, b in zip(items(clear), expected, strict=True))


def test_only_a_crop_in_front_leaves_images_undecoded(folders, lazy):
    for options in (dict(pipeline=[*REST, CROP]), dict(pipeline=[]), dict(pipeline=[CROP], cache=True)):
        items(PairedDataset(*folders, **options))
    assert isinstance(PairedDataset(*folders, pipeline=[CROP]).load(0, 0)['inputs'], np.ndarray)
    assert lazy == []


def test_damage_that_the_crop_finds_is_left_out_or_named(folders, lazy):
    path = f'{folders[0]}/1.jpg'
    with open(path, 'rb') as file:
        data = file.read()
    with open(path, 'wb') as file:
        file.write(data.replace(b'\xff\xdb', b'\xff\xfe'))  # comments, and no quantisation table
    with pytest.raises(ImageFileError, match='1.jpg .* is damaged'):
        PairedDataset(*folders, pipeline=[CROP])[1]
    data = PairedDataset(*folders, pipeline=[CROP], on_error='skip')
    again = [data[Draw(1, 1, 5)], data[Draw(1, 1, 5)]]
    assert again[0]['inputs'].shape == (3, 32, 32) and torch.equal(again[0]['inputs'], again[1]['inputs'])
    assert data.broken() == [path] and data[1]['data_samples'].broken
