import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.functional.covariance import (
    covariance,
    covariance_distance,
    covariance_factor,
    covariance_products,
    unbiased_square_norm,
)

torch.set_num_threads(1)


def _rows(n, d, seed, scale=1.0):
    return scale * torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.5


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 12), m=st.integers(2, 12), d=st.integers(1, 30), seed=st.integers(0, 99))
def test_all_forms_equal_numpy_cov(n, m, d, seed):
    x, y = _rows(n, d, seed), _rows(m, d, seed + 1, 2.0)
    cx, cy = (np.atleast_2d(np.cov(rows.numpy(), rowvar=False)) for rows in (x, y))
    np.testing.assert_allclose(covariance(x).numpy(), cx, atol=1e-12)
    np.testing.assert_allclose(covariance_distance(x, y).item(), ((cx - cy) ** 2).sum(), rtol=1e-10)
    products = covariance_products(covariance_factor(x), covariance_factor(y))
    np.testing.assert_allclose([p.item() for p in products], [(cx ** 2).sum(), (cy ** 2).sum(), (cx * cy).sum()],
                               rtol=1e-10, atol=1e-12)
    ux, uy = (c + np.outer(rows.mean(0), rows.mean(0)) for c, rows in ((cx, x.numpy()), (cy, y.numpy())))
    np.testing.assert_allclose(covariance(x, 'upstream').numpy(), ux, atol=1e-12)
    np.testing.assert_allclose(covariance_distance(x, y, 'upstream').item(), ((ux - uy) ** 2).sum(), rtol=1e-10)


@pytest.mark.parametrize('n, d', [(4, 6), (9, 3)])
def test_unbiased_square_norm_has_the_right_mean(n, d):
    mix = _rows(d, d, 7)
    truth = (mix.T @ mix).square().sum().item()
    samples = torch.randn(4000, n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) @ mix + 3
    estimates = torch.stack([unbiased_square_norm(sample) for sample in samples])
    error = estimates.std().item() / 4000 ** 0.5
    assert abs(estimates.mean().item() - truth) < 4 * error
    plug_in = torch.stack([covariance(sample).square().sum() for sample in samples]).mean().item()
    assert plug_in - truth > 5 * abs(estimates.mean().item() - truth)


def test_batches_that_are_too_small():
    with pytest.raises(ValueError, match=r'n >= 2, but got \(1, 4\)'):
        covariance(torch.rand(1, 4))
    with pytest.raises(ValueError, match='at least 4 rows, but got 3'):
        unbiased_square_norm(torch.rand(3, 4))
    with pytest.raises(ValueError, match="center must be one of 'true', 'upstream', but got 'none'"):
        covariance(torch.rand(3, 4), 'none')
