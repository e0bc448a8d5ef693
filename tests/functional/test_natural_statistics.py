import numpy as np
import pytest
import torch
from scipy import ndimage, special, stats

from restorekit.functional.natural_statistics import (
    _half,
    asymmetric_gaussian,
    brisque_features,
    grey_levels,
    mscn,
    niqe,
    niqe_features,
)


@pytest.mark.parametrize('shape', [0.8, 1.0, 2.0, 4.0])
def test_the_fit_finds_the_shape_and_the_widths_of_known_distributions(shape):
    random = np.random.default_rng(0)
    values = np.abs(stats.gennorm.rvs(shape, size=400000, random_state=random))
    width = np.sqrt(special.gamma(3 / shape) / special.gamma(1 / shape))
    # an asymmetric one takes the sides with probabilities in the ratio of their widths, 1 to 2
    values = np.where(random.random(len(values)) < 1 / 3, -values, 2 * values)
    found, left, right = asymmetric_gaussian(torch.from_numpy(values))
    assert found.item() == pytest.approx(shape, rel=0.03)
    assert (left.item(), right.item()) == pytest.approx((width, 2 * width), rel=0.02)


def test_grey_levels_are_rounded_as_matlab_does():
    image = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]]).T[None, :, None] / 255
    assert grey_levels(image).flatten().tolist() == [76, 150, 29, 18]


def test_half_the_size_is_matlabs():
    image = torch.zeros(1, 1, 8, 24, dtype=torch.float64)
    image[..., 12] = 1
    # the kernel is cubic(x / 2) / 2; output j lies at 2 j + 0.5, so 4 to 7 are 3.5, 1.5, 0.5 and 2.5 pixels away
    expected = np.zeros(12)
    expected[4:8] = -0.01171875, 0.11328125, 0.43359375, -0.03515625
    assert _half(image)[0, 0, 0].numpy() == pytest.approx(expected)
    # mirrored at the edge: the first pixel counts again, 1.5 pixels away
    image = torch.zeros(1, 1, 8, 24, dtype=torch.float64)
    image[..., 0] = 1
    assert _half(image)[0, 0, 0, 0].item() == pytest.approx(0.43359375 + 0.11328125)
    assert _half(torch.ones(1, 1, 5, 7, dtype=torch.float64)).shape == (1, 1, 3, 4)


def written_out(grey, brisque=False):
    """The features of one block and scale, by numpy and scipy."""
    axis = np.exp(-np.arange(-3, 4) ** 2 / (2 * (7 / 6) ** 2))
    window = np.outer(axis, axis) / axis.sum() ** 2
    mu = ndimage.convolve(grey, window, mode='nearest')
    sigma = np.sqrt(np.abs(ndimage.convolve(grey * grey, window, mode='nearest') - mu * mu))
    x = (grey - mu) / (sigma + 1)
    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = special.gamma(2 / shapes) ** 2 / (special.gamma(1 / shapes) * special.gamma(3 / shapes))

    def fit(v):
        left, right = (np.sqrt(np.mean(side ** 2)) for side in (v[v < 0], v[v > 0]))
        g = left / right
        r = np.mean(np.abs(v)) ** 2 / np.mean(v * v) * (g ** 3 + 1) * (g + 1) / (g * g + 1) ** 2
        return shapes[np.argmin((ratios - r) ** 2)], left, right

    found = []
    for k, shift in enumerate([None, (0, 1), (1, 0), (1, 1), (1, -1)]):
        v = x if shift is None else x * np.roll(x, shift, axis=(0, 1))
        a, left, right = fit(v)
        width = np.sqrt(special.gamma(1 / a) / special.gamma(3 / a))
        mean = (right - left) * width * special.gamma(2 / a) / special.gamma(1 / a)
        if k == 0:
            found += [shapes[np.argmin(np.abs(ratios - np.mean(np.abs(v)) ** 2 / np.mean(v * v)))], np.mean(v * v)] \
                if brisque else [a, (left + right) / 2 * width]
        else:
            found += [a, mean, left ** 2, right ** 2] if brisque else [a, mean, left * width, right * width]
    return np.array(found)


@pytest.fixture
def grey():
    random = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(random.standard_normal((192, 288)), 2) * 200 + 120
    return torch.from_numpy((smooth + 3 * random.standard_normal(smooth.shape)).round().clip(0, 255))[None, None]


def test_features_equal_the_written_out_ones(grey):
    block = grey[..., :96, :96]
    assert niqe_features(block)[0].shape == (1, 36)
    assert niqe_features(block)[0][0, :18].numpy() == pytest.approx(written_out(block[0, 0].numpy()), rel=1e-6)
    assert niqe_features(block)[0][0, 18:].numpy() == pytest.approx(written_out(_half(block)[0, 0].numpy()), rel=1e-6)
    assert brisque_features(block)[0, :18].numpy() == pytest.approx(written_out(block[0, 0].numpy(), True), rel=1e-6)
    features, sharpness = niqe_features(grey)
    assert features.shape == (6, 36) and sharpness.shape == (6,)
    # blocks come from one image: the mean inside the last is that of the whole image's deviation there
    assert sharpness[-1].item() == pytest.approx(mscn(grey)[1][0, 0, 96:, 192:].mean().item())


def test_niqe_is_the_distance_of_two_gaussians(grey):
    features = niqe_features(grey)[0].numpy()
    mean, covariance = np.linspace(0, 1, 36), np.diag(np.linspace(1, 2, 36))
    change = mean - features.mean(axis=0)
    expected = np.sqrt(change @ np.linalg.pinv((covariance + np.cov(features.T)) / 2) @ change)
    found = niqe(grey, torch.from_numpy(mean), torch.from_numpy(covariance))
    assert found.item() == pytest.approx(expected, rel=1e-9)
    assert niqe(torch.full_like(grey, 128.0), torch.from_numpy(mean), torch.from_numpy(covariance)).isnan()
