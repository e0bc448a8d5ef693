from types import SimpleNamespace

import numpy as np
import pytest
import torch

from restorekit.files.image_io import read_image
from restorekit.functional.images import to_array
from restorekit.structures import RestoreSample
from restorekit.visualization import ERROR_GAIN, StripHook, contact_sheet, depth_image, error_image, strip


def plain(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_strip_puts_images_side_by_side_at_one_height():
    made = strip([plain(10, 20, 0), plain(20, 20, 100), plain(5, 1, 200)], gap=3)
    assert made.shape == (10, 20 + 3 + 10 + 3 + 2, 3)
    assert (made[:, :20] == 0).all() and (made[:, 20:23] == 255).all() and (made[:, 23:33] == 100).all()
    assert (made[:, 36:] == 200).all()


def test_contact_sheet_has_columns_of_one_width_and_holes_stay_white():
    rows = [[plain(10, 20, 0), plain(10, 30, 50)], [plain(10, 40, 100)]]
    sheet = contact_sheet(rows, height=10, gap=4)
    assert sheet.shape == (10 + 4 + 10, 40 + 4 + 30, 3)
    assert (sheet[:10, :20] == 0).all() and (sheet[:10, 20:44] == 255).all() and (sheet[:10, 44:] == 50).all()
    assert (sheet[14:, :40] == 100).all() and (sheet[14:, 40:] == 255).all() and (sheet[10:14] == 255).all()


def test_titles_take_a_line_and_labels_are_written_into_the_first_image():
    rows = [[plain(30, 200, 90)], [plain(30, 200, 90)]]
    sheet = contact_sheet(rows, titles=['hazy'], labels=['one', ''], height=30)
    assert sheet.shape == (24 + 30 + 4 + 30, 200, 3)
    assert (sheet[:24] < 128).any()  # text on white
    assert (sheet[24:54] != 90).any() and (sheet[58:] == 90).all()


@pytest.mark.parametrize('shape', [(1, 1), (1, 300), (300, 1)])
def test_any_shape_fits_a_sheet(shape):
    assert contact_sheet([[plain(*shape, 7)]], ['a'], ['b'], height=20).shape[0] == 44


def test_holes_and_captions():
    sheet = contact_sheet([[None, plain(20, 300, 50)], [plain(20, 100, 60)]], ['a', 'b'], height=20,
                          captions=['first\nsecond', ''])
    assert sheet.shape == (24 + 2 * 18 + 20 + 4 + 18 + 20, 100 + 4 + 300, 3)
    row = sheet[24 + 36:24 + 56]
    assert (row[:, :104] == 255).all() and (row[:, 104:] == 50).all() and (sheet[-20:, :100] == 60).all()


def test_a_long_caption_is_wrapped_and_no_letter_is_cut():
    caption = ' '.join(['word'] * 40)
    sheet = contact_sheet([[plain(20, 200, 0)]], height=20, captions=[caption])
    text = sheet[:-20]
    assert len(text) % 18 == 0 and len(text) // 18 > 3
    assert (text[:, -4:] == 255).all()  # a margin of white at the right
    assert all((text[k:k + 18] < 128).any() for k in range(0, len(text), 18))


def test_a_title_stays_in_its_column():
    sheet = contact_sheet([[plain(10, 12, 0), plain(10, 40, 0)]], ['a long title', ''], height=10)
    assert (sheet[:24, :12] < 128).any() and (sheet[:24, 12:] == 255).all()


def test_error_image_is_the_amplified_absolute_error():
    pred, gt = plain(2, 3, 100), plain(2, 3, 100)
    pred[0, 0], pred[0, 1] = (110, 90, 100), (0, 255, 99)
    error = error_image(pred, gt)
    assert error[0, 0].tolist() == [10 * ERROR_GAIN, 10 * ERROR_GAIN, 0] and error[0, 1].tolist() == [255, 255, 4]
    assert (error[1] == 0).all()
    with pytest.raises(ValueError, match='different size'):
        error_image(pred, plain(3, 2, 0))


def test_depth_is_drawn_over_its_own_range():
    image, low, high = depth_image(np.array([[0.5, 1.0], [1.5, 2.5]]))
    assert image[..., 1].tolist() == [[0, 64], [128, 255]] and (low, high) == (0.5, 2.5)
    assert (depth_image(np.ones((2, 2)))[0] == 0).all()


def test_to_array_rounds_and_clips():
    image = torch.tensor([-0.2, 0.0, 0.5, 1.0, 1.7]).view(1, 1, 5).expand(3, 1, 5)
    assert to_array(image)[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    bytes_ = torch.arange(6, dtype=torch.uint8).view(1, 2, 3).expand(3, 2, 3)
    assert np.array_equal(to_array(bytes_)[..., 1], np.arange(6).reshape(2, 3))


class Visualizer:
    def __init__(self):
        self.shown = {}

    def add_image(self, name, image, step):
        self.shown[name] = (image.shape, step)


def outputs(domains, gt=True):
    made = []
    for i, domain in enumerate(domains):
        sample = RestoreSample(metainfo=dict(domain=domain, img_path=f'/data/{i}.jpg'))
        sample.pred = torch.full((3, 4, 6), i / 10)
        if gt:
            sample.gt = torch.full((3, 4, 6), 7, dtype=torch.uint8)
        made.append(sample)
    return made


def test_strip_hook_shows_the_first_of_each_domain(tmp_path):
    runner = SimpleNamespace(work_dir=str(tmp_path), visualizer=Visualizer(), iter=30)
    hook = StripHook(per_domain=1, height=4)
    for _ in range(2):  # at every validation the same
        hook.before_val_epoch(runner)
        for domains in (['source', 'source'], ['source', None]):
            inputs = [torch.full((3, 4, 6), 9, dtype=torch.uint8)] * 2
            hook.after_val_iter(runner, 0, dict(inputs=inputs), outputs(domains, gt=domains[1] is not None))
        hook.after_val_epoch(runner)
    files = sorted(path.name for path in (tmp_path / 'samples').iterdir())
    assert files == ['source_0_gt.png', 'source_0_input.png', 'source_0_pred.png', 'val_0_input.png', 'val_0_pred.png']
    assert runner.visualizer.shown == {'strips/source_0': ((28, 36, 3), 30), 'strips/val_0': ((28, 16, 3), 30)}
    assert (read_image(tmp_path / 'samples' / 'source_0_input.png') == 9).all()
    assert (read_image(tmp_path / 'samples' / 'source_0_gt.png') == 7).all()
    assert (read_image(tmp_path / 'samples' / 'val_0_pred.png') == round(0.1 * 255)).all()
