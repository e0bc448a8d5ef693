"""Clipped skies and lamps stay as they are, the rest is restored as without a guard."""

import numpy as np
import pytest

from restorekit.inference.blending import HighlightGuard


@pytest.fixture
def photo():
    image = np.full((120, 200, 3), 150, np.uint8)
    image[:40] = 254  # a sky
    image[80:90, 150:160] = 255  # a lamp
    return image


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_the_weight_is_0_inside_and_1_far_from_highlights(photo, dtype):
    image = {np.uint8: photo, np.uint16: photo.astype(np.uint16) * 257, np.float32: photo.astype(np.float32) / 255}
    guard = HighlightGuard(image[dtype])
    weight = guard.weight(0, 120)
    assert weight.shape == (120, 200, 1)
    assert weight[:34].max() < 1e-3 and weight[83:87, 153:157].max() < 0.05
    assert weight[50:70].min() == 1 and weight[:, :100][60:].min() == 1
    assert guard.weight(55, 65) == 1.0, 'nothing to keep in these rows'


def test_bytes_are_kept_as_the_weights_say(photo):
    guard = HighlightGuard(photo)
    restored = np.random.default_rng(0).integers(0, 200, photo.shape, dtype=np.uint8)
    kept = guard.keep(photo, restored.copy())
    weight = guard.weight(0, 120)
    expected = photo * (1 - weight) + restored * weight
    assert np.abs(kept - expected).max() <= 0.51
    assert np.array_equal(kept[:34], photo[:34]) and np.array_equal(kept[50:70], restored[50:70])


def test_a_highlight_may_begin_at_any_row():
    """Rows are kept 32 at a time: those before the first bright one end in a row that takes nothing of it."""
    restored = np.zeros((120, 40, 3), np.uint8)
    for top in range(36, 80):
        image = np.full((120, 40, 3), 150, np.uint8)
        image[top:] = 255
        guard = HighlightGuard(image)
        kept = guard.keep(image, restored.copy())
        assert np.abs(kept - image * (1 - guard.weight(0, 120))).max() <= 0.51


def test_without_highlights_nothing_is_done():
    image = np.full((30, 40, 3), 200, np.uint8)
    guard = HighlightGuard(image)
    assert guard.map is None and guard.weight(0, 30) == 1.0
    restored = np.zeros_like(image)
    assert guard.keep(image, restored) is restored and not restored.any()


@pytest.mark.slow
def test_large_images_are_looked_at_in_part(photo):
    large = np.kron(photo, np.ones((20, 20, 1), np.uint8))  # 4000 pixels wide
    small, guard = HighlightGuard(photo).weight(0, 120)[..., 0], HighlightGuard(large)
    weight = guard.weight(10, 2390)[::20, 10::20, 0]
    assert weight.shape == (119, 200) and np.abs(weight - small[:119]).mean() < 0.02
