import numpy as np
import pytest
from scipy import ndimage

from restorekit.degradations import load_preset
from restorekit.evaluation.coverage import coverage, dark_channel, image_statistics, noise_level


def test_dark_channel_is_the_minimum_filter():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    expected = ndimage.minimum_filter(image.min(axis=2), 9, mode='nearest')
    assert np.array_equal(dark_channel(image), expected)


@pytest.mark.parametrize('sigma', [1., 4., 12.])
def test_noise_level_is_that_of_normal_noise_on_a_ramp(sigma):
    ramp = np.linspace(60, 190, 200)[None, :, None] + np.zeros((150, 1, 3))
    noise = np.random.default_rng(1).normal(0, sigma, (150, 200, 1))
    image = np.rint(ramp + noise).astype(np.uint8)
    assert noise_level(image) == pytest.approx(sigma, rel=0.25 if sigma == 1 else 0.06)
    assert noise_level(np.full((9, 9, 3), 255, np.uint8)) == 0


def test_statistics_by_hand():
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, :, 0] = 200
    image[:50, :, 1:] = 100
    image[40:60, 40:60] = 250  # its inner 12 x 12 survive the erosion
    result = image_statistics(image)
    np.testing.assert_allclose(result['vector'][:3], 250 / 255)
    assert result['dark_channel'].sum() == pytest.approx(1) and result['saturation'].sum() == pytest.approx(1)
    share = (np.count_nonzero(dark_channel(image) == 250) * 250 + np.count_nonzero(dark_channel(image) == 100) * 100)
    assert result['vector'][3] == pytest.approx(share / 255 / 1e4)
    assert result['vector'][4] == pytest.approx((4800 * 0.5 + 4800 * 1) / 1e4)


def _veils(levels):
    return [image_statistics(np.full((16, 16, 3), level, np.uint8)) for level in levels]


def test_coverage_of_what_is_reached_and_what_is_not():
    real = _veils(range(100, 200, 10))
    full = coverage(real, _veils(range(80, 220, 5)))
    assert full['inside'] == full['near'] == 1
    none = coverage(real, _veils(range(0, 20, 2)))
    assert none['inside'] == none['near'] == none['dark_channel'] == 0 and none['saturation'] == pytest.approx(1)
    half = coverage(real, _veils(range(60, 150, 2)), neighbours=1)
    assert half['inside'] == 0.5 and half['near'] == pytest.approx(0.6, abs=0.11)
    with pytest.raises(ValueError, match='more than neighbours=5 real images'):
        coverage(real[:5], real)


def test_presets_are_found_by_name_and_unknown_ones_get_a_hint(tmp_path):
    assert load_preset('day')['type'] == 'OneOf'
    assert load_preset('_base_/degradations/ridcp_like')['type'] == 'Sequential'
    with pytest.raises(FileNotFoundError, match="unknown preset 'ridcp': did you mean 'ridcp_like'"):
        load_preset('ridcp')
    with pytest.raises(FileNotFoundError, match='the presets are cdd11_like, cid_multi_domain, day'):
        load_preset('zzz')
