import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.models.losses import DensityRatioReweighter

torch.set_num_threads(1)


def test_weights_equal_those_of_a_ridge_regression_on_explicit_features():
    x = torch.randn(23, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64).cumsum(dim=1)
    folds, copies, ridge = 3, 2, 0.7
    reweighter = DensityRatioReweighter(ridge=ridge, folds=folds, permutations=copies, clip=None)
    draws = reweighter.generator()
    rows = ((x - x.mean(0)) / (x.std(0, correction=0) + 1e-5)).numpy()

    def features(a):  # their products are (1 + a.b / d)^2
        return np.concatenate([np.ones((len(a), 1)), np.sqrt(2 / 4) * a,
                               (a[:, :, None] * a[:, None] / 4).reshape(len(a), -1)], axis=1)
    part, score = torch.randperm(23, generator=draws).numpy() % folds, np.empty(23)
    for fold in range(folds):
        seen = rows[part != fold]
        order = np.argsort(torch.rand(copies * len(seen), 4, generator=draws).numpy().reshape(copies, -1, 4), axis=1)
        shuffled = np.concatenate([np.stack([seen[columns[:, j], j] for j in range(4)], axis=1) for columns in order])
        phi, label = features(np.concatenate([seen, shuffled])), np.repeat([1.0, -1.0], [len(seen), copies * len(seen)])
        trust = np.repeat([1 / ridge, 1 / (ridge * copies)], [len(seen), copies * len(seen)])
        weights = np.linalg.solve(phi.T * trust @ phi + np.eye(phi.shape[1]), phi.T * trust @ label)
        score[part == fold] = features(rows[part == fold]) @ weights
    joint = np.clip((1 + score) / 2, 0.05, 0.95)
    ratio = (1 - joint) / joint
    assert reweighter(x).tolist() == pytest.approx((ratio / ratio.sum()).tolist(), rel=1e-6)
    assert ratio.max() > 2 * ratio.min()


def test_samples_that_break_the_correlation_get_more_weight():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(120, 1, generator=generator).repeat(1, 2) + 0.1 * torch.randn(120, 2, generator=generator)
    x[100:, 1] *= -1
    weights = DensityRatioReweighter(clip=None)(x)
    assert weights[100:].mean() > 2 * weights[:100].mean()

    def correlation(w):
        centred = x - w @ x
        covariance = (w[:, None] * centred).T @ centred
        return covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]).sqrt()

    assert correlation(weights) < 0.7 * correlation(torch.full((120,), 1 / 120))


def test_independent_dimensions_stay_near_uniform():
    x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    reweighter = DensityRatioReweighter()
    reweighter(x)
    assert reweighter.log['ess'] > 0.95 * 400


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 20), d=st.integers(1, 24), seed=st.integers(0, 99), constant=st.booleans())
def test_weights_are_positive_and_sum_to_one(n, d, seed, constant):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * (0 if constant else 1e3)
    weights = DensityRatioReweighter(seed=seed)(x)
    assert weights.shape == (n,)
    assert (weights > 0).all()
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.equal(DensityRatioReweighter(seed=seed)(x), weights)


@pytest.mark.parametrize('options, message', [({'ridge': 0}, 'ridge must be positive'),
                                              ({'folds': 1}, 'folds must be at least 2')])
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        DensityRatioReweighter(**options)
