import numpy as np
import pytest
import torch

from restorekit.files.image_io import read_image
from restorekit.models.restorers import StoredPredictions
from restorekit.structures import RestoreSample


def test_which_file_is_the_prediction(tmp_path, make_images):
    for name in ('a.png', 'b/a.png', 'day/c.png', 'night/c.jpg', 'x/1/d.png', 'x/2/d.png', 'y/e.png', 'z/e.png'):
        make_images((tmp_path / name).parent, [(tmp_path / name).name])
    model = StoredPredictions(tmp_path)
    assert model.find('any', 'a.jpg') == tmp_path / 'a.png'  # no folder before some folder
    assert model.find('any', 'b/a.jpg') == tmp_path / 'b' / 'a.png'
    assert model.find('night', 'c.png') == tmp_path / 'night' / 'c.jpg'  # the set's own folder
    assert model.find('any', '2/d.png') == tmp_path / 'x' / '2' / 'd.png'
    assert model.find('any', 'f.png') is None
    with pytest.raises(ValueError, match=r'several predictions fit any/e.png: y/e.png, z/e.png'):
        model.find('any', 'e.png')


def test_the_answer_is_the_file_or_the_input(tmp_path, make_images):
    path, = make_images(tmp_path, ['a.png'])
    inputs = torch.randint(0, 256, (3, 24, 32), dtype=torch.uint8)
    batch = dict(inputs=[inputs], data_samples=[RestoreSample(metainfo=dict(test_index=0))])
    model = StoredPredictions(tmp_path)
    model.check_files([('day', 'a.jpg')])
    pred = model.test_step(batch)[0].pred
    assert np.array_equal((pred * 255).round().byte().permute(1, 2, 0).numpy(), read_image(path))
    assert torch.equal(StoredPredictions().test_step(batch)[0].pred, inputs / 255)
    with pytest.raises(ValueError, match="can only be measured \\(mode 'predict'\\), but mode is 'loss'"):
        model([inputs], mode='loss')
