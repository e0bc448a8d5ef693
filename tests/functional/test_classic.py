import cv2
import numpy as np
import pytest

from restorekit.functional.classic import clahe


def test_clahe_stretches_lightness_and_keeps_colours():
    rng = np.random.default_rng(0)
    image = (np.array([150, 140, 130]) + rng.integers(0, 30, (64, 64, 1))).astype(np.uint8)
    found = clahe(image)
    assert found.std() > 1.5 * image.std()
    before, after = (cv2.cvtColor(x, cv2.COLOR_RGB2LAB).astype(int)[..., 1:] for x in (image, found))
    assert abs(before - after).mean() < 1.5
    with pytest.raises(cv2.error):
        clahe(image[..., 0])
