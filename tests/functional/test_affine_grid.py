import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.functional.affine_grid import apply_affine_grid, area_resize
from restorekit.functional.affine_grid_array import apply_affine_grid_array, apply_affine_rows, grid_rows


def coefficients(n=1, height=3, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    gain = 1 + torch.rand(n, 3, height, width, generator=generator)
    bias = -0.5 * torch.rand(n, 3, height, width, generator=generator)
    return gain, bias, torch.eye(3) + 0.1 * torch.randn(n, 3, 3, generator=generator)


def images(*shape, seed=1):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_formula_with_constant_coefficients():
    image = images(1, 3, 5, 6)
    one = torch.ones(1, 3, 2, 2)
    matrix = torch.tensor([[[0., 1, 0], [0, 0, 1], [2, 0, 0]]])
    out = apply_affine_grid(image, 3 * one, -0.5 * one, matrix)
    mapped = 3 * image - 0.5
    assert torch.allclose(out, torch.stack([mapped[:, 1], mapped[:, 2], 2 * mapped[:, 0]], dim=1), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 40), st.data())
def test_strips_put_together_equal_the_whole(size, height, data):
    image, c = images(1, 3, height, 11), coefficients(height=size)
    cut = data.draw(st.integers(0, height))
    strips = [apply_affine_grid(image[:, :, part], *c, rows=part, height=height)
              for part in (slice(0, cut), slice(cut, height)) if part.start < part.stop]
    assert torch.allclose(torch.cat(strips, dim=2), apply_affine_grid(image, *c), atol=1e-5)


def test_rows_that_do_not_fit_the_strip_are_refused():
    with pytest.raises(ValueError, match='are 3 rows, but got an image of 4 rows'):
        apply_affine_grid(images(1, 3, 4, 4), *coefficients(), rows=slice(2, 5), height=9)


def test_grid_rows_are_those_of_bilinear_enlargement():
    column = images(1, 1, 5, 1)
    expected = torch.nn.functional.interpolate(column, (13, 1), mode='bilinear')[0, 0, :, 0].numpy()
    below, above, weight = grid_rows(5, 13, np.arange(13))
    column = column[0, 0, :, 0].numpy()
    assert np.allclose(column[below] * (1 - weight) + column[above] * weight, expected, atol=1e-6)


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (33, 50), (2, 80)])
@pytest.mark.parametrize('plain_matrix', [True, False])
def test_the_array_form_equals_the_tensor_form(size, plain_matrix):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    gain, bias, matrix = coefficients()
    if plain_matrix:
        matrix = torch.eye(3)[None]
    out = apply_affine_grid_array(image, gain[0].permute(1, 2, 0).numpy(), bias[0].permute(1, 2, 0).numpy(),
                                  matrix[0].numpy())
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    expected = apply_affine_grid(tensor, gain, bias, matrix)[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert out.dtype == np.uint8 and out.shape == image.shape
    assert np.abs(out - expected).max() <= 0.51


@pytest.mark.parametrize('size', [(1, 1), (7, 5), (33, 50)])
def test_rows_as_arrays_equal_the_tensor_form(size):
    image = images(1, 3, *size)
    gain, bias, matrix = coefficients()
    expected = apply_affine_grid(image, gain, bias, matrix)[0].permute(1, 2, 0).numpy()
    rows, half = image[0].permute(1, 2, 0).numpy(), size[0] // 2
    grids = gain[0].permute(1, 2, 0).numpy(), bias[0].permute(1, 2, 0).numpy(), matrix[0].numpy()
    parts = [apply_affine_rows(part, *grids, start, size[0]) for part, start in ((rows[:half], 0), (rows[half:], half))
             if len(part)]
    assert np.allclose(np.concatenate(parts), expected, atol=1e-5) and parts[0].dtype == np.float32


def test_strength_mixes_the_image_and_the_result():
    image = np.random.default_rng(0).integers(60, 120, (9, 8, 3), dtype=np.uint8)
    gain, bias, matrix = (x[0].permute(1, 2, 0).numpy() if x.ndim == 4 else x[0].numpy() for x in coefficients())
    full = apply_affine_grid_array(image, gain, 0 * bias, matrix).astype(float)
    half = apply_affine_grid_array(image, gain, 0 * bias, matrix, strength=0.5)
    assert full.max() < 255 and np.abs(half - (full + image) / 2).max() <= 1
    assert np.array_equal(apply_affine_grid_array(image, gain, bias, matrix, strength=0.0), image)


@pytest.mark.parametrize('size', [(1, 1), (5, 9), (48, 64), (37, 100)])
def test_area_resize_takes_means_of_areas(size):
    image = images(1, 2, *size)
    out = area_resize(image, (12, 16))
    if size[0] >= 12 and size[1] >= 16:
        expected = cv2.resize(image[0].permute(1, 2, 0).numpy(), (16, 12), interpolation=cv2.INTER_AREA)
        assert np.allclose(out[0].permute(1, 2, 0).numpy(), expected, atol=1e-5)
    assert torch.allclose(out.mean(dim=(2, 3)), image.mean(dim=(2, 3)), atol=1e-5)
