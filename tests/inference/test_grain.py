import cv2
import numpy as np
import pytest

from restorekit.inference.grain import Grain


def film(count, noise=3.0, step=0, dtype=np.uint8, seed=0):
    """A wall with texture; a darker square moves over it by ``step`` pixels a frame."""
    generator = np.random.default_rng(seed)
    wall = cv2.resize(generator.uniform(120, 180, (8, 10, 3)).astype(np.float32), (160, 96),
                      interpolation=cv2.INTER_CUBIC)
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    for i in range(count):
        frame = wall.copy()
        frame[30:60, 10 + step * i:40 + step * i] -= 40
        frame = np.clip(frame + generator.normal(0, noise, frame.shape), 0, 255) * full / 255
        yield (np.rint(frame) if dtype != np.float32 else frame).astype(dtype)


def stretched(frame):
    """A restoration that multiplies contrast, and noise, by four."""
    full = np.iinfo(frame.dtype).max if frame.dtype.kind == 'u' else 1
    return np.clip((frame.astype(np.float64) - 0.4 * full) * 4, 0, full).astype(frame.dtype)


@pytest.mark.parametrize(('dtype', 'full'), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_what_stands_still_has_the_grain_of_the_film_and_the_contrast_of_the_restoration(dtype, full):
    grain, clear = Grain(full), stretched(next(film(1, noise=0, dtype=dtype))).astype(np.float64)
    for frame in film(20, dtype=dtype):
        still = grain.still(frame)
        assert still.dtype == dtype and still.shape == frame.shape
        result = grain.put_back(frame, still, stretched(still))
        assert result.dtype == dtype
    free = (clear > 0.05 * full) & (clear < 0.95 * full)
    alone, kept = ((x.astype(np.float64) - clear)[free].std() / full * 255 for x in (stretched(frame), result))
    assert alone == pytest.approx(4 * 3, rel=0.1)
    assert kept < 0.5 * alone
    assert abs((result.astype(np.float64) - clear)[free].mean()) < 0.01 * full


def test_nothing_drags_behind_what_moves():
    grain = Grain(255)
    for frame in film(10, noise=1, step=6):
        still = grain.still(frame)
    *_, clean = film(10, noise=0, step=6)
    right = 40 + 6 * 9  # of the square
    for columns in (slice(right - 6, right), slice(right - 50, right - 31)):  # what came, and what was uncovered
        error = still[34:56, columns].astype(float) - clean[34:56, columns]
        assert np.abs(error.mean(axis=(0, 1))).max() < 0.5
        assert error.std() < 1.2  # the noise, and no trace of the 40 by which the square is darker


def test_a_film_without_noise_is_restored_as_it_is():
    grain = Grain(255)
    for frame in film(5, noise=0):
        still = grain.still(frame)
        assert np.array_equal(still, frame)
        assert np.array_equal(grain.put_back(frame, still, stretched(still)), stretched(frame))


def test_nothing_changed_is_nothing_changed():
    grain = Grain(255)
    for frame in film(5):
        still = grain.still(frame)
        assert np.array_equal(grain.put_back(frame, still, still.copy()), frame)


@pytest.mark.parametrize('size', [(1, 1), (2, 5), (7, 3)])
def test_tiny_frames_and_other_sizes_begin_anew(size):
    grain = Grain(255)
    for shape in (size, size, (9, 9)):
        frame = np.full((*shape, 3), 7, np.uint8)
        assert np.array_equal(grain.still(frame), frame)
