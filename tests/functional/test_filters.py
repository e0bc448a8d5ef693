import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from restorekit.functional.filters import box_filter, gaussian_blur, guided_filter, wide_blur


def test_gaussian_blur_matches_scipy():
    image = torch.rand(2, 3, 23, 31, dtype=torch.float64)
    for sigma in (0.7, 2.):
        expected = image.numpy()
        for axis in (2, 3):
            expected = gaussian_filter1d(expected, sigma, axis=axis, mode='nearest', radius=int(np.ceil(3 * sigma)))
        np.testing.assert_allclose(gaussian_blur(image, sigma).numpy(), expected, atol=1e-12)


def test_gaussian_blur_with_a_sigma_per_image_equals_the_singles():
    image, sigma = torch.rand(4, 3, 17, 19), torch.tensor([0., 0.4, 1.3, 3.])
    blurred = gaussian_blur(image, sigma)
    assert torch.equal(blurred[0], image[0])
    for i in range(4):
        assert torch.equal(blurred[i:i + 1], gaussian_blur(image[i:i + 1], sigma[i]))


def test_wide_blur_is_close_to_the_exact_one():
    image = torch.zeros(1, 1, 96, 128)
    image[..., 40:56, 60:70] = 1
    exact, fast = gaussian_blur(image, 12.), wide_blur(image, 12.)
    assert (exact - fast).abs().max() < 0.05 * exact.max()


@pytest.mark.parametrize('radius', [0, 1, 4, 30])
def test_box_filter_averages_what_is_inside(radius):
    image = torch.rand(1, 1, 11, 13, dtype=torch.float64)
    result = box_filter(image, radius)[0, 0]
    for y, x in [(0, 0), (5, 6), (10, 12)]:
        window = image[0, 0, max(0, y - radius):y + radius + 1, max(0, x - radius):x + radius + 1]
        assert abs(result[y, x] - window.mean()) < 1e-12


def test_guided_filter_keeps_its_guides_edges_and_smooths_flat_noise():
    guide = torch.zeros(1, 1, 32, 32)
    guide[..., 16:] = 1
    noisy = guide + 0.1 * torch.randn(guide.shape, generator=torch.Generator().manual_seed(0))
    result = guided_filter(guide, noisy, 6, 1e-4)
    assert (result[..., :12] - 0).abs().mean() < 0.03
    assert (result[..., 16] - result[..., 15]).mean() > 0.9
    fast = guided_filter(guide, noisy, 6, 1e-4, subsample=2)
    assert (fast - result).abs().mean() < 0.03
    constant = torch.full_like(guide, 0.3)
    torch.testing.assert_close(guided_filter(guide, constant, 3, 1e-3, 2), constant)
