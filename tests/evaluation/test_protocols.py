import numpy as np
import pytest
import torch

from restorekit.evaluation import PROTOCOLS, Protocol, get_protocol


def _images(seed=0, size=(7, 9)):
    generator = torch.Generator().manual_seed(seed)
    pred = torch.rand(3, *size, generator=generator) * 1.2 - 0.1
    return pred, torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)


def test_rgb_clamps_and_does_not_round():
    pred, gt = _images()
    prepared, truth = get_protocol('rgb').prepare(pred, gt)
    assert torch.equal(prepared[0], pred.clamp(0, 1))
    np.testing.assert_allclose(truth[0].numpy(), gt.numpy() / 255, rtol=1e-6)


def test_rgb_uint8_is_what_a_written_file_holds():
    pred, gt = _images()
    prepared, _ = get_protocol('rgb-uint8').prepare(pred, gt)
    written = np.clip(np.rint(pred.numpy().astype(np.float32) * 255), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(np.rint(prepared[0].numpy() * 255).astype(np.uint8), written)
    again, _ = get_protocol('rgb-uint8').prepare(torch.from_numpy(written), gt)
    assert torch.equal(again, prepared)


def test_y_matlab_equals_the_written_out_conversion():
    pred, gt = _images()
    prepared, truth = get_protocol('y-matlab').prepare(pred, gt)
    for image, y in ((np.rint(np.clip(pred.numpy(), 0, 1) * 255), prepared), (gt.numpy(), truth)):
        red, green, blue = image.astype(np.float64)
        expected = np.rint(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255)
        assert y.shape == (1, 1, 7, 9)
        np.testing.assert_allclose(y[0, 0].numpy() * 255, expected, atol=1e-4)


@pytest.mark.parametrize('level, luma', [(0, 16), (255, 235)])
def test_luma_is_of_limited_range(level, luma):
    image = torch.full((3, 4, 4), level, dtype=torch.uint8)
    y, _ = get_protocol('y-matlab').prepare(image, image)
    assert y.mean().item() * 255 == pytest.approx(luma, abs=1e-4)


def test_border_is_cut_before_anything():
    pred, gt = _images()
    prepared, truth = Protocol('mine', crop_border=2).prepare(pred[None], gt[None])
    assert torch.equal(prepared, pred[None, :, 2:-2, 2:-2].clamp(0, 1))
    assert truth.shape == (1, 3, 3, 5)
    with pytest.raises(ValueError, match='cuts 4 pixels from each side, which leaves nothing of an image of 7x9'):
        Protocol('mine', crop_border=4).prepare(pred, gt)


def test_names():
    assert {'rgb', 'rgb-uint8', 'y-matlab'} <= set(PROTOCOLS)
    assert all(PROTOCOLS[name].name == name for name in PROTOCOLS)
    assert get_protocol(PROTOCOLS['rgb']) is PROTOCOLS['rgb']
    with pytest.raises(ValueError, match="'rgb-uint' is not in the list of protocols.*did you mean 'rgb-uint8'"):
        get_protocol('rgb-uint')


@pytest.mark.parametrize('options, message', [
    ({'colour': 'lab'}, "colour must be one of 'rgb', 'y-bt601', got 'lab'"),
    ({'crop_border': -1}, 'must not be negative'), ({'ssim_window': 8}, 'window must be odd')])
def test_wrong_choices(options, message):
    with pytest.raises(ValueError, match=message):
        Protocol('mine', **options)


def test_sizes_that_differ():
    with pytest.raises(ValueError, match=r'a prediction \(3, 7, 9\) and a ground truth \(3, 7, 8\)'):
        get_protocol('rgb').prepare(*(image[..., :k] for image, k in zip(_images(), (9, 8), strict=True)))
