import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit.functional.image_quality import mae, ms_ssim, psnr, ssim, ssim_map

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


@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 40), seed=st.integers(0, 1000), noise=st.floats(0, 0.5),
       options=st.fixed_dictionaries({'padding': st.sampled_from(['valid', 'zero']), 'window': st.sampled_from([7, 11]),
                                      'sigma': st.sampled_from([None, 1.5]), 'sample_covariance': st.booleans()}))
def test_strips_on_the_cpu_equal_the_map(height, width, seed, noise, options):
    pred, target = _pair((2, 3, height, width), seed, noise)
    fast, slow = ssim(pred, target, **options), ssim_map(pred, target, **options).mean(dim=(1, 2, 3))
    torch.testing.assert_close(fast, slow, atol=5e-6, rtol=0)
    with_gradient = ssim(pred.requires_grad_(), target, **options)
    assert with_gradient.requires_grad
    torch.testing.assert_close(with_gradient.detach(), slow)


def test_an_image_of_many_strips_equals_the_map_and_does_not_depend_on_its_batch(monkeypatch):
    pred, target = _pair((3, 3, 301, 47))
    expected = ssim_map(pred, target).mean(dim=(1, 2, 3))
    monkeypatch.setattr('restorekit.functional.ssim_strips.STRIP_FLOATS', 1000)
    for padding, value in (('valid', expected), ('zero', ssim_map(pred, target, padding='zero').mean(dim=(1, 2, 3)))):
        together = ssim(pred, target, padding=padding)
        torch.testing.assert_close(together, value, atol=2e-6, rtol=0)
        for measure in (psnr, mae, lambda a, b, padding=padding: ssim(a, b, padding=padding)):
            whole = measure(pred, target)
            assert torch.equal(whole, torch.cat([measure(pred[i:i + 1], target[i:i + 1]) for i in range(3)]))
            assert torch.equal(whole.flip(0), measure(pred.flip(0), target.flip(0)))
    torch.testing.assert_close(ssim(pred.double(), target.double()), expected.double(), atol=2e-6, rtol=0)


@pytest.mark.parametrize('height, width', [(7, 9), (33, 48)])
def test_a_uniform_window_with_sample_covariance_is_the_default_of_scikit_image(height, width):
    pred, target = _pair((1, 3, height, width))
    expected = structural_similarity(target[0].double().numpy(), pred[0].double().numpy(), channel_axis=0,
                                     data_range=1.0)
    assert ssim(pred, target, window=7, sigma=None, sample_covariance=True).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('height, width', [(176, 176), (181, 203)])
def test_ms_ssim_equals_torchmetrics_on_each_channel(height, width):
    """Scale by scale, since torchmetrics itself reflects its images at the border, at the last scale alone."""
    measure = pytest.importorskip('torchmetrics.functional.image').structural_similarity_index_measure
    pred, target = _pair((2, 3, height, width), noise=0.2)
    x, y = (image.view(6, 1, height, width) for image in (pred, target))
    expected = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363):
        _, contrast = measure(x, y, data_range=1.0, reduction='none', return_contrast_sensitivity=True)
        expected = expected * contrast ** weight
        x, y = (torch.nn.functional.avg_pool2d(image, 2) for image in (x, y))
    _, full = measure(x, y, data_range=1.0, reduction='none', return_full_image=True)
    expected = (expected * full[..., 5:-5, 5:-5].mean(dim=(1, 2, 3)) ** 0.1333).view(2, 3).mean(dim=1)
    torch.testing.assert_close(ms_ssim(pred, target), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(ms_ssim(pred.requires_grad_(), target).detach(), expected, atol=1e-5, rtol=0)


def test_ms_ssim_of_a_negative_is_zero_and_of_small_images_an_error():
    _, target = _pair((1, 3, 176, 176))
    assert ms_ssim(1 - target, target).item() == 0
    with pytest.raises(ValueError, match='window of 11 needs images of at least 176 pixels .* got 175x300. Use SSIM'):
        ms_ssim(torch.rand(1, 3, 175, 300), torch.rand(1, 3, 175, 300))
    assert ms_ssim(target[..., :112, :112], target[..., :112, :112], window=7).item() == pytest.approx(1)


def test_mae_equals_numpy():
    pred, target = _pair((3, 3, 12, 17))
    expected = np.abs(pred.double().numpy() - target.double().numpy()).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mae(pred, target), expected, rtol=1e-6)
    np.testing.assert_allclose(mae(pred.requires_grad_(), target).detach(), expected, rtol=1e-5)


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
    ({'padding': 'reflect'}, "padding must be one of 'valid', 'zero', but got 'reflect'")])
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        ssim(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16), **options)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r'prediction is \(1, 3, 16, 16\) and the target \(1, 3, 16, 15\)'):
        psnr(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 15))
    with pytest.raises(ValueError, match=r'add the batch dimension'):
        psnr(torch.rand(3, 16, 16), torch.rand(3, 16, 16))
