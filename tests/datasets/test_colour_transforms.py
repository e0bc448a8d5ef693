import numpy as np
import pytest

from restorekit.datasets.transforms import RandomColour, RandomResizedCrop
from restorekit.random import seeded_generators


def pair():
    rng = np.random.default_rng(0)
    clear = rng.integers(20, 100, (12, 16, 3), dtype=np.uint8)
    return dict(inputs=np.uint8(clear // 2 + 60), gt=clear)


def test_a_pair_stays_a_pair():
    """The change is linear and the same for both: I = t J + v holds after it with the same t."""
    colour = RandomColour(exposure=(0.7, 1.2), gain=0.1, warmth=(-0.1, 0.3), saturation=(0.8, 1.3))
    for seed in range(5):
        with seeded_generators(seed):
            out = colour(pair())
        inputs, clear = (out[key].reshape(-1, 3).astype(float) for key in ('inputs', 'gt'))
        for c in range(3):
            slope = np.polyfit(clear[:, c], inputs[:, c], 1)[0]
            assert slope == pytest.approx(0.5, abs=0.03)


def test_saturation_keeps_grey_and_warmth_moves_red_against_blue():
    grey = dict(gt=np.full((2, 2, 3), 100, np.uint8))
    assert (RandomColour(saturation=(0.2, 2.0))(dict(grey))['gt'] == 100).all()
    warm = RandomColour(warmth=(0.4, 0.4))(dict(grey))['gt'][0, 0].tolist()
    assert warm == [120, 100, 60]
    assert (RandomColour(exposure=(0.5, 0.5))(dict(grey))['gt'] == 50).all()


def test_only_the_input_is_tinted_where_asked():
    given = pair()
    out = RandomColour(warmth=(0.5, 0.5), keys=['inputs'])(dict(given))
    assert np.array_equal(out['gt'], given['gt']) and not np.array_equal(out['inputs'], given['inputs'])


@pytest.mark.parametrize('wrong', [dict(exposure=(0, 1)), dict(saturation=(2, 1)), dict(gain=1), dict(keys=['depth'])])
def test_ranges_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match='RandomColour'):
        RandomColour(**wrong)


def test_a_resized_crop_shows_a_window_of_the_image():
    y, x = np.mgrid[:60, :80]
    image = np.stack([4 * y, 3 * x, 0 * x], axis=2).astype(np.uint8)
    sizes = set()
    for seed in range(10):
        with seeded_generators(seed):
            out = RandomResizedCrop((12, 16), scale=(0.5, 1.0))(dict(gt=image, depth=image[..., 0].astype(np.float32)))
        assert out['gt'].shape == (12, 16, 3) and np.abs(out['gt'][..., 0] - out['depth']).max() <= 0.5
        span = int(out['gt'][..., 1].max()) - int(out['gt'][..., 1].min())
        assert 3 * 40 * 0.85 < span <= 3 * 80
        sizes.add(span)
    assert len(sizes) > 4
    with pytest.raises(ValueError, match='0 < low <= high <= 1'):
        RandomResizedCrop(8, (0.5, 1.5))
