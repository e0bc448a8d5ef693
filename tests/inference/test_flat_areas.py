import numpy as np
import pytest

import restorekit
from restorekit.inference.flat_areas import smooth_flat_areas


def sky(height=96, width=160, levels=8):
    """A sky that falls by one level every few columns, as 8 bits store it."""
    ramp = 200 + np.linspace(0, levels, width)
    return np.broadcast_to(np.rint(ramp).astype(np.uint8)[None, :, None], (height, width, 3)).copy()


def steeper(image, gain=3):
    return np.clip(gain * (image.astype(int) - 190), 0, 255).astype(np.uint8)


def steps(image):
    return np.abs(np.diff(image[48, 24:-24, 1].astype(int)))


def test_steps_that_grew_are_as_low_as_before_on_a_slope_of_the_same_mean():
    image = sky()
    before = steeper(image)
    after = smooth_flat_areas(image, before.copy())
    assert steps(before).max() == 3 and steps(after).max() == 1
    inner = (slice(24, -24), slice(24, -24))
    assert abs(after[inner].mean() - before[inner].mean()) < 0.1
    slope, unsmoothed = (x[inner].astype(float).mean(axis=(0, 2)) for x in (after, before))
    truth = 3 * (200 + np.linspace(0, 8, 160) - 190)[24:-24]
    assert np.abs(slope - truth).max() < 1 < np.abs(unsmoothed - truth).max()


def test_blocks_of_jpeg_stay_as_faint_as_they_were():
    blocks = np.random.default_rng(1).integers(0, 3, (12, 20)).repeat(8, axis=0).repeat(8, axis=1)
    image = (200 + blocks[..., None]).repeat(3, axis=2).astype(np.uint8)
    after = smooth_flat_areas(image, steeper(image))
    assert 0.9 * image.std() < after.std() < 1.3 * image.std() < 0.5 * steeper(image).std()


@pytest.mark.parametrize('levels', [2, 3, 4, 5, 6, 8])
def test_a_faint_wire_is_never_fainter_than_in_the_input(levels):
    image = np.full((96, 160, 3), 200, np.uint8)
    image[48:50] += levels
    after = smooth_flat_areas(image, steeper(image)).astype(int)
    contrast = after[48, 80] - after[20, 80]
    assert (contrast >= levels - 1).all() and (contrast <= 3 * levels).all()
    assert levels < 8 or (contrast == 3 * levels).all()


def test_an_object_that_differs_in_colour_only_stays():
    image = sky()
    image[32:64, 64:96, 0] += 20
    image[32:64, 64:96, 2] -= 20
    before = steeper(image, gain=2)
    after = smooth_flat_areas(image, before.copy())
    assert np.array_equal(after[32:64, 64:96], before[32:64, 64:96])


@pytest.mark.parametrize('height, width', [(96, 160), (37, 53), (8, 8), (5, 3), (1, 1), (1500, 40)])
def test_what_is_not_flat_or_not_steeper_stays_bit_for_bit(height, width):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(smooth_flat_areas(noise, 255 - noise), 255 - noise)
    image = sky(height, width)
    assert np.array_equal(smooth_flat_areas(image, image.copy()), image)
    assert np.array_equal(smooth_flat_areas(image, image - 50), image - 50)
    plain = np.full_like(image, 40)
    assert np.array_equal(smooth_flat_areas(image, plain.copy()), plain)


@pytest.mark.parametrize('gain', [2, 3])
def test_an_object_in_the_sky_keeps_its_pixels(gain):
    image = sky()
    image[40:44, 80:84] = 215
    before = steeper(image, gain)
    after = smooth_flat_areas(image, before.copy())
    assert np.array_equal(after[40:48, 80:88], before[40:48, 80:88])
    assert np.array_equal(after[:, 20:50], before[:, 20:50]) == (gain == 2)  # steps of 2 are as good as those of 1


def test_of_a_large_image_wider_steps_are_smoothed():
    image = sky(256, 4000, levels=40)
    before = steeper(image)
    after = smooth_flat_areas(image, before.copy())
    row = after[128, 200:-200, 1].astype(int)
    assert np.abs(np.diff(before[128, 200:-200, 1].astype(int))).max() == 3 and np.abs(np.diff(row)).max() <= 1


@pytest.mark.parametrize('protect', [None, False])
def test_the_default_model_keeps_flat_skies_smooth_unless_told_otherwise(protect):
    model = restorekit.load('haze', protect_highlights=protect)
    ones = np.ones((1, 3, 2, 2), np.float32)
    model.backend.coefficients = lambda image: [3 * ones, -3 * 190 / 255 * ones, np.eye(3, dtype=np.float32)[None]]
    assert steps(model(sky())).max() == (1 if protect is None else 3)
    if protect is None:
        assert steps(model(sky(), strength=0)).max() == 1 and np.array_equal(model(sky(), strength=0), sky())
        masked = model(sky(), mask=np.ones((4, 4), np.float32))
        assert steps(masked).max() == 3
