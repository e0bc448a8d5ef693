import cv2
import numpy as np
import pytest

from restorekit.functional.classic import clahe, dark_channel_dehaze
from restorekit.scenes.renderer import render_scene


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_the_dark_channel_prior_takes_haze_away():
    clear, depth = render_scene(3, 120, 160, 'city')[:2]
    depth = np.asarray(depth, np.float32).reshape(120, 160, 1)
    t = np.exp(-3 * depth / depth.max())
    hazy = (clear * t + 220 * (1 - t)).round().astype(np.uint8)
    assert psnr(dark_channel_dehaze(hazy), clear) > psnr(hazy, clear) + 2
    # the equation on a flat image without a guide: A is its colour, so t = 1 - omega and J = A
    flat = np.full((40, 40, 3), (200, 180, 160), np.uint8)
    assert (dark_channel_dehaze(flat) == flat).all()


def test_the_dark_channel_prior_by_hand():
    # left half dark in one channel, right half the airlight; a large eps makes the guided filter a mean
    image = np.full((64, 64, 3), 255, np.uint8)
    image[:, :32] = (102, 153, 204)
    found = dark_channel_dehaze(image, window=1, omega=0.5, radius=1, eps=1e6)
    # A = 1, t = 1 - 0.5 * 0.4 = 0.8, J = (I - 1) / 0.8 + 1
    assert found[32, 5].tolist() == [round(255 * ((x / 255 - 1) / 0.8 + 1)) for x in (102, 153, 204)]
    assert found[32, 60].tolist() == [255, 255, 255]


def test_clahe_stretches_lightness_and_keeps_colours():
    rng = np.random.default_rng(0)
    image = (np.array([150, 140, 130]) + rng.integers(0, 30, (64, 64, 1))).astype(np.uint8)
    found = clahe(image)
    assert found.std() > 1.5 * image.std()
    before, after = (cv2.cvtColor(x, cv2.COLOR_RGB2LAB).astype(int)[..., 1:] for x in (image, found))
    assert abs(before - after).mean() < 1.5
    with pytest.raises(cv2.error):
        clahe(image[..., 0])
