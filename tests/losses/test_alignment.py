import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.models.losses import CORALLoss, coral_loss
from restorekit.registry import MODELS

torch.set_num_threads(1)
NAMES = ['CORALLoss', 'MeanCovarianceLoss', 'MMDLoss']


def _batches(n=6, m=7, d=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(n, d, generator=generator, dtype=dtype),
            1.5 * torch.randn(m, d, generator=generator, dtype=dtype) + 0.3)


@pytest.mark.parametrize('n, d', [(6, 5), (4, 40)])
def test_coral_equals_numpy_cov(n, d):
    source, target = _batches(n, n + 1, d)
    cs, ct = (np.cov(rows.numpy(), rowvar=False) for rows in (source, target))
    u = ((cs - ct) ** 2).sum() / (4 * d * d)
    relative = ((cs - ct) ** 2).sum() / ((cs ** 2).sum() + (ct ** 2).sum())
    for options, expected in (({'bounded': False}, u), ({}, 1 - math.exp(-u)),
                              ({'loss_weight': 3}, 3 - 3 * math.exp(-u)),
                              ({'estimator': 'relative', 'bounded': False}, relative),
                              ({'estimator': 'relative'}, 1 - math.exp(-relative))):
        loss = MODELS.build({'type': 'CORALLoss', **options})
        assert loss(source, target).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_whitened_coral_equals_the_covariances_whitened_by_numpy():
    source, target = _batches(12, 15)
    cs, ct = (np.cov(rows.numpy(), rowvar=False) for rows in (source, target))
    pooled = (cs + ct) / 2
    values, vectors = np.linalg.eigh(pooled + 1e-3 * np.trace(pooled) / 5 * np.eye(5))
    whitening = vectors / np.sqrt(values) @ vectors.T
    expected = ((whitening @ (cs - ct) @ whitening) ** 2).sum() / (4 * 5)
    whitened = MODELS.build({'type': 'CORALLoss', 'estimator': 'whitened', 'bounded': False})
    assert whitened(source, target).item() == pytest.approx(expected, rel=1e-9)
    # a linear map of the embedding is not seen; one whole direction that only one domain varies in counts 1 / d
    mixed = torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 2 * torch.eye(5)
    torch.testing.assert_close(whitened(source @ mixed, target @ mixed), whitened(source, target), rtol=2e-2, atol=0)
    lost = torch.cat([source[:, :4], 0 * source[:, 4:]], dim=1)
    assert whitened(source, lost).item() == pytest.approx(1 / 5, rel=0.05)


def test_mean_covariance_equals_numpy():
    source, target = _batches()
    cs, ct = (np.cov(rows.numpy(), rowvar=False) for rows in (source, target))
    expected = ((source.mean(0) - target.mean(0)) ** 2).mean().item() + ((cs - ct) ** 2).mean()
    assert MODELS.build({'type': 'MeanCovarianceLoss'})(source, target).item() == pytest.approx(expected, rel=1e-9)


def test_mmd_equals_the_sum_over_pairs():
    source, target = _batches()
    rows = torch.cat([source, target]).tolist()
    squares = [[sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    pairs = sorted(squares[i][j] for i in range(13) for j in range(i))
    median = pairs[(len(pairs) - 1) // 2]
    sign = [1 / 6] * 6 + [-1 / 7] * 7
    expected = sum(sign[i] * sign[j] * math.exp(-squares[i][j] / (scale * median)) / 2
                   for i in range(13) for j in range(13) for scale in (0.5, 2.0))
    loss = MODELS.build({'type': 'MMDLoss', 'scales': [0.5, 2.0]})
    assert loss(source, target).item() == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(NAMES), n=st.integers(4, 12), d=st.integers(1, 40), seed=st.integers(0, 99))
def test_zero_for_equal_batches_blind_to_order_symmetric(name, n, d, seed):
    loss = MODELS.build({'type': name})
    source, target = _batches(n, n, d, seed, torch.float32)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert loss(source, source).item() == pytest.approx(0, abs=1e-6)
    assert loss(source, source[order]).item() == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(loss(source, target), loss(source[order], target), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(loss(source, target), loss(target, source), atol=1e-5, rtol=1e-4)


def test_a_shift_is_seen_by_all_but_true_coral():
    source, _ = _batches()
    build = MODELS.build
    assert build({'type': 'CORALLoss'})(source, source + 2).item() == pytest.approx(0, abs=1e-12)
    for config in ({'type': 'CORALLoss', 'center': 'upstream'}, {'type': 'MeanCovarianceLoss'}, {'type': 'MMDLoss'}):
        assert build(config)(source, source + 2).item() > 0.1


@pytest.mark.slow
def test_unbiased_coral_is_zero_on_average_for_one_law_and_biased_is_not():
    generator = torch.Generator().manual_seed(0)
    batches = torch.randn(2000, 2, 8, 32, generator=generator, dtype=torch.float64)
    biased, unbiased = (torch.stack([loss(source, target) for source, target in batches]) for loss in (
        MODELS.build({'type': 'CORALLoss', 'bounded': False, 'estimator': estimator})
        for estimator in ('biased', 'unbiased')))
    assert abs(unbiased.mean().item()) < 4 * unbiased.std().item() / 2000 ** 0.5
    assert biased.mean().item() == pytest.approx(1 / (2 * 7), rel=0.1)


def test_relative_coral_does_not_change_with_scale_and_bounded_stays_below_one():
    source, target = _batches()
    relative = MODELS.build({'type': 'CORALLoss', 'estimator': 'relative'})
    torch.testing.assert_close(relative(source, target), relative(1e-2 * source, 1e-2 * target))
    assert CORALLoss()(1e3 * source, target).item() <= 1
    tiny = MODELS.build({'type': 'CORALLoss'})(1e-3 * source.float(), 1e-3 * target.float()).item()
    plain = MODELS.build({'type': 'CORALLoss', 'bounded': False})(1e-3 * source.float(), 1e-3 * target.float()).item()
    assert tiny == pytest.approx(plain, rel=1e-5)
    assert tiny > 0


@pytest.mark.parametrize('config', [
    *({'type': 'CORALLoss', 'estimator': estimator, 'bounded': bounded}
      for estimator in ('biased', 'unbiased', 'relative', 'whitened') for bounded in (True, False)),
    {'type': 'CORALLoss', 'center': 'upstream'}, {'type': 'MeanCovarianceLoss'}])
@pytest.mark.parametrize('d', [3, 9])
def test_gradients(config, d):
    source, target = _batches(4, 5, d)
    loss = MODELS.build(config)
    assert torch.autograd.gradcheck(loss, (source.requires_grad_(), target.requires_grad_()))


@pytest.mark.parametrize('config', [*({'type': name} for name in NAMES), {'type': 'CORALLoss', 'estimator': 'relative'},
                                    {'type': 'CORALLoss', 'estimator': 'unbiased'},
                                    {'type': 'CORALLoss', 'estimator': 'whitened'}])
@pytest.mark.parametrize('value', [0.0, 0.1, 100.0])
def test_constant_embeddings_give_finite_losses_and_gradients(config, value):
    source, target = torch.full((5, 8), value, requires_grad=True), torch.full((5, 8), value)
    loss = MODELS.build(config)(source, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert source.grad.isfinite().all()


@pytest.mark.parametrize('name', NAMES)
def test_autocast_changes_nothing(name):
    source, target = _batches(dtype=torch.float32)
    loss = MODELS.build({'type': name})
    plain = loss(source, target)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(loss(source, target), plain)
    assert loss(source.bfloat16(), target.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize('name', NAMES)
def test_embeddings_that_do_not_fit(name):
    loss = MODELS.build({'type': name})
    with pytest.raises(ValueError, match=rf'{name} needs at least 2 samples of each domain.*got 1 source and 4 target'):
        loss(torch.rand(1, 3), torch.rand(4, 3))
    with pytest.raises(ValueError, match=r'got \(4, 3\) and \(4, 2\)'):
        loss(torch.rand(4, 3), torch.rand(4, 2))


@pytest.mark.parametrize('config, message', [
    ({'type': 'CORALLoss', 'center': 'mean'}, "center must be one of 'true', 'upstream', but got 'mean'"),
    ({'type': 'CORALLoss', 'estimator': 'fair'}, "estimator must be one of 'biased', 'unbiased', 'relative', "
                                                   "'whitened'"),
    ({'type': 'CORALLoss', 'estimator': 'unbiased', 'center': 'upstream'}, "defined for center='true' only"),
    ({'type': 'MMDLoss', 'scales': [0.0]}, 'scales must be positive')])
def test_options_out_of_range(config, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)


def test_unbiased_coral_needs_four():
    with pytest.raises(ValueError, match='CORALLoss needs at least 4 samples of each domain'):
        MODELS.build({'type': 'CORALLoss', 'estimator': 'unbiased'})(torch.rand(3, 5), torch.rand(8, 5))


def test_bounded_stays_bounded_where_the_unbiased_estimate_is_negative():
    generator = torch.Generator().manual_seed(0)
    seen = 0
    for _ in range(20):
        source, target = (30 * torch.randn(6, 12, generator=generator) for _ in range(2))
        if coral_loss(source, target, bounded=False, estimator='unbiased') < 0:
            seen += 1
            source.requires_grad_()
            value = coral_loss(source, target, bounded=True, estimator='unbiased')
            value.backward()
            assert value == 0 and (source.grad == 0).all()
    assert seen > 3
