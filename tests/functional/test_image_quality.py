import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit.functional.image_quality import psnr, ssim, ssim_map

torch.set_num_threads(1)


def _pair(shape, seed=0, noise=0.1):
    generator = torch.Generator().manual_seed(seed)
    clear = torch.rand(shape, generator=generator)
    clear = torch.nn.functional.avg_pool2d(clear, 5, 1, 2)
    return (clear + noise * torch.randn(shape, generator=generator)).clamp(0, 1), clear


def _skimage(pred, target, window=11, sigma=1.5):
    value, full = structural_similarity(
        target.double().numpy(), pred.double().numpy(), channel_axis=0, data_range=1.0, full=True, sigma=sigma,
        gaussian_weights=True, use_sample_covariance=False, truncate=(window // 2) / sigma)
    border = window // 2
    return value, full[:, border:-border, border:-border]


@pytest.mark.parametrize('height, width', [(16, 16), (33, 48), (11, 40)])
def test_ssim_equals_scikit_image_where_the_window_lies_inside(height, width):
    pred, target = _pair((2, 3, height, width))
    ours = ssim_map(pred, target)
    for i in range(2):
        _, full = _skimage(pred[i], target[i])
        np.testing.assert_allclose(ours[i].numpy(), full, atol=1e-5)
    assert ssim(pred, target)[1].item() == pytest.approx(full.mean(), abs=1e-5)


def test_ssim_of_bright_flat_areas_keeps_float32_precision():
    target = torch.ones(1, 3, 64, 64)
    target[..., 40:, :] = 0.93
    pred = target - 0.01
    expected = _skimage(pred[0], target[0])[1].mean()
    assert ssim(pred, target).item() == pytest.approx(expected, abs=1e-5)


def test_zero_padding_equals_an_image_with_zeros_around():
    pred, target = _pair((1, 3, 20, 24))
    padded = [torch.nn.functional.pad(image, (5, 5, 5, 5)) for image in (pred, target)]
    torch.testing.assert_close(ssim_map(pred, target, padding='zero'), ssim_map(*padded), atol=5e-5, rtol=0)


def test_small_images_shrink_the_window_to_the_largest_odd_that_fits():
    pred, target = _pair((1, 3, 6, 30))
    torch.testing.assert_close(ssim(pred, target), ssim(pred, target, window=5))
    assert ssim_map(pred[..., :1, :1], target[..., :1, :1]).shape == (1, 3, 1, 1)


def test_psnr_equals_scikit_image():
    pred, target = _pair((3, 3, 12, 17))
    expected = [peak_signal_noise_ratio(t.double().numpy(), p.double().numpy(), data_range=1.0)
                for p, t in zip(pred, target, strict=True)]
    np.testing.assert_allclose(psnr(pred, target).numpy(), expected, rtol=1e-5)
    torch.testing.assert_close(psnr(pred * 255, target * 255, data_range=255), psnr(pred, target))


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 20), width=st.integers(1, 20), seed=st.integers(0, 1000), value=st.floats(0, 1),
       padding=st.sampled_from(['valid', 'zero']))
def test_equal_images_score_one_and_infinity_and_both_are_symmetric(height, width, seed, value, padding):
    pred, target = _pair((1, 3, height, width), seed)
    flat = torch.full_like(pred, value)
    for image in (pred, flat):
        assert ssim(image, image, padding=padding).item() == pytest.approx(1, abs=1e-6)
        assert psnr(image, image).item() == float('inf')
    assert ssim(pred, target, padding=padding).item() <= 1 + 1e-6
    torch.testing.assert_close(ssim(pred, target, padding=padding), ssim(target, pred, padding=padding))


def test_half_precision_and_autocast_are_measured_in_float32():
    pred, target = _pair((1, 3, 24, 24))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        under_autocast = ssim(pred, target)
    assert torch.equal(under_autocast, ssim(pred, target))
    assert ssim(pred.bfloat16(), target).dtype == torch.float32
    assert ssim(pred.double(), target).dtype == torch.float64


@pytest.mark.parametrize('options, message', [
    ({'window': 10}, 'window must be odd'), ({'sigma': 0}, 'sigma must be positive'),
    ({'padding': 'reflect'}, "padding must be one of 'valid', 'zero', got 'reflect'")])
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        ssim(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16), **options)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r'prediction is \(1, 3, 16, 16\) and the target \(1, 3, 16, 15\)'):
        psnr(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 15))
    with pytest.raises(ValueError, match=r'add the batch dimension'):
        psnr(torch.rand(3, 16, 16), torch.rand(3, 16, 16))
