import copy
import math
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.models.losses import DecorrelationReweighter, DensityRatioReweighter
from restorekit.models.losses.decorrelation import DecorrelationObjective
from restorekit.random import derive_seed
from restorekit.registry import MODELS

torch.set_num_threads(1)


def _correlated(n, d, seed=0, rank=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.relu(torch.randn(n, rank, generator=generator) @ torch.randn(rank, d, generator=generator))


def _reference_maps(x, mapping, num_maps, generator):
    """The maps, written out one by one in float64; the draws are those of the reweighter."""
    n, d = x.shape
    omega = torch.randn(num_maps, 1, d if mapping == 'rff' else 1, generator=generator).double()
    phi = torch.rand(num_maps, 1, d, generator=generator).mul(2 * math.pi).double()
    maps = []
    for f in range(num_maps):
        if mapping == 'rff':
            standardised = (x - x.mean(0)) / (x.std(0, correction=0) + 1e-5)
            maps.append(2 ** 0.5 * torch.cos(omega[f] * standardised + phi[f]))
        else:
            mid = omega[f] * x + phi[f]
            mid = mid - mid.min(dim=1, keepdim=True).values
            mid = mid / mid.max(dim=1, keepdim=True).values.clamp_min(1e-12) * (math.pi / 2)
            maps += [(2 / num_maps) ** 0.5 * mid.cos(), (2 / num_maps) ** 0.5 * mid.sin()]
    return maps


def _reference_objective(maps, a):
    """Mean squared off-diagonal entry of the d x d weighted covariances."""
    total = 0
    for z in maps:
        mean = a @ z
        covariance = (a[:, None] * z).T @ z - mean[:, None] * mean
        total = total + (covariance - torch.diag(covariance.diagonal())).square().sum()
    d = maps[0].shape[1]
    return total / (len(maps) * d * (d - 1))


def _reference_weights(batch, bank, mapping, num_maps, penalty, resample, steps=20, seed=0, call=0):
    x = torch.cat([batch, bank]).double()
    theta = torch.zeros(len(batch), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=1.0, momentum=0.9)
    for step in range(steps):
        drawn = step if resample == 'step' else 0
        generator = torch.Generator().manual_seed(derive_seed(seed, call, drawn))
        maps = _reference_maps(x, mapping, num_maps, generator)
        optimizer.param_groups[0]['lr'] = 1.0 * 0.1 ** (step // (steps / 2))
        a = torch.cat([theta, torch.zeros(len(bank), dtype=torch.float64)]).softmax(0)
        loss = _reference_objective(maps, a) / penalty + theta.softmax(0).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return theta.detach().softmax(0)


def _both(n, d, bank, num_maps, mapping, resample, seed, dtype):
    """Weights of the reweighter and of the reference, at a penalty that moves them."""
    batch, former = _correlated(n, d, seed), _correlated(bank, d, seed + 1)
    maps = _reference_maps(torch.cat([batch, former]).double(), mapping, num_maps,
                           torch.Generator().manual_seed(derive_seed(seed, 0, 0)))
    uniform = torch.full((n + bank,), 1 / (n + bank), dtype=torch.float64)
    penalty = max(8 * _reference_objective(maps, uniform).item(), 1e-6)
    reweighter = DecorrelationReweighter(mapping, num_maps, penalty=penalty, bank_size=bank, embedding_dim=d,
                                         resample=resample, clip=None, seed=seed)
    if bank:
        reweighter.remember(former)
    return (reweighter(batch.to(dtype)).double(),
            _reference_weights(batch, former, mapping, num_maps, penalty, resample, seed=seed))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 20), d=st.integers(3, 40), bank=st.sampled_from([0, 0, 13]), num_maps=st.integers(1, 4),
       mapping=st.sampled_from(['rff', 'stablenet']), resample=st.sampled_from(['call', 'step']),
       seed=st.integers(0, 999))
def test_weights_equal_dense_covariances_with_autograd(n, d, bank, num_maps, mapping, resample, seed):
    ours, expected = _both(n, d, bank, num_maps, mapping, resample, seed, torch.float64)
    torch.testing.assert_close(ours, expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize('n, d, bank', [(3, 20, 0), (8, 64, 16), (16, 40, 0), (20, 9, 13)])
@pytest.mark.parametrize('mapping', ['rff', 'stablenet'])
@pytest.mark.parametrize('resample', ['call', 'step'])
def test_float32_is_as_good_as_float64(n, d, bank, mapping, resample):
    ours, expected = _both(n, d, bank, 2, mapping, resample, n, torch.float32)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
    assert (expected * n - 1).abs().max() > 0.02


def test_the_reference_moves_its_weights():
    weights = _reference_weights(_correlated(16, 32), torch.zeros(0, 32), 'rff', 3, 0.1, 'call')
    assert weights.max() * 16 > 1.2
    assert weights.min() * 16 < 0.8


def test_objective_and_gradient_equal_the_dense_form():
    maps = torch.randn(3, 9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = torch.rand(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    a = (a / a.sum(1, keepdim=True)).requires_grad_()
    objective = DecorrelationObjective(maps)
    dense = torch.stack([_reference_objective(list(maps), row) for row in a])
    torch.testing.assert_close(objective.value(a), dense)
    expected = torch.autograd.grad(dense.sum(), a)[0]
    ours = objective.gradient(a.detach())
    torch.testing.assert_close(ours - ours.mean(1, keepdim=True), expected - expected.mean(1, keepdim=True))


@settings(max_examples=10, deadline=None)
@given(n=st.integers(2, 16), d=st.integers(1, 30), mapping=st.sampled_from(['rff', 'stablenet']),
       dims=st.sampled_from([None, 3]), seed=st.integers(0, 99))
def test_permuted_rows_get_permuted_weights_that_sum_to_one(n, d, mapping, dims, seed):
    x = _correlated(n, d, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    options = {'mapping': mapping, 'dims': dims, 'penalty': 0.05 if mapping == 'rff' else 1e-4}
    weights = DecorrelationReweighter(**options)(x)
    torch.testing.assert_close(DecorrelationReweighter(**options)(x[order]), weights[order], atol=1e-5, rtol=0)
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)
    assert (weights > 0).all()


@pytest.mark.parametrize('penalty', [0.1, 0.02])
def test_the_objective_falls_and_is_logged(penalty):
    reweighter = DecorrelationReweighter(penalty=penalty)
    weights = reweighter(_correlated(16, 32))
    log = reweighter.log
    assert log['objective_after'] < log['objective_before']
    assert log['ess'] == pytest.approx(1 / weights.square().sum().item(), rel=1e-5)
    assert log['weight_min'] == pytest.approx(16 * weights.min().item(), rel=1e-5)
    assert log['weight_max'] == pytest.approx(16 * weights.max().item(), rel=1e-5)


def test_weights_are_nearly_uniform_for_independent_features():
    generator = torch.Generator().manual_seed(0)
    independent = DecorrelationReweighter()
    independent(torch.randn(256, 16, generator=generator))
    assert independent.log['ess'] > 0.999 * 256
    correlated = DecorrelationReweighter(target_ess=0.8)
    correlated(_correlated(256, 16, rank=1))
    assert correlated.log['objective_before'] > 10 * independent.log['objective_before']


@settings(max_examples=10, deadline=None)
@given(n=st.integers(6, 32), d=st.integers(8, 64), target=st.sampled_from([0.6, 0.8, 0.9]),
       mapping=st.sampled_from(['rff', 'stablenet']), resample=st.sampled_from(['call', 'step']))
def test_target_ess_is_reached(n, d, target, mapping, resample):
    reweighter = DecorrelationReweighter(mapping, target_ess=target, resample=resample)
    reweighter(_correlated(n, d, n))
    assert reweighter.log['ess'] / n == pytest.approx(target, abs=0.02)


@pytest.mark.parametrize('mapping', ['rff', 'stablenet'])
@pytest.mark.parametrize('options', [{}, {'target_ess': 0.5}, {'penalty': 1e-6}])
@pytest.mark.parametrize('value', [0.0, 0.1, -3e4])
def test_constant_features_get_finite_weights(mapping, options, value):
    reweighter = DecorrelationReweighter(mapping, **options)
    weights = reweighter(torch.full((8, 6), value))
    torch.testing.assert_close(weights, torch.full((8,), 1 / 8))
    assert all(math.isfinite(number) for number in reweighter.log.values())
    one_of_them = _correlated(8, 6)
    one_of_them[:, 2] = value
    assert reweighter(one_of_them).isfinite().all()


def test_a_batch_of_one_or_two_and_a_single_dimension():
    for reweighter in (DecorrelationReweighter(), DecorrelationReweighter(bank_size=4, embedding_dim=5)):
        assert reweighter(torch.randn(1, 5)).tolist() == [1.0]
        assert reweighter(torch.randn(1, 5)).tolist() == [1.0]
    for x in (torch.randn(2, 8), torch.randn(4, 1)):
        assert DecorrelationReweighter(target_ess=0.6)(x).tolist() == [1 / len(x)] * len(x)


def test_embeddings_that_are_not_finite_get_uniform_weights_and_stay_out_of_the_bank():
    reweighter = DecorrelationReweighter(bank_size=4, embedding_dim=3)
    assert reweighter(torch.tensor([[0.0, 1.0, float('nan')], [1.0, 2.0, 3.0]])).tolist() == [0.5, 0.5]
    assert reweighter.bank_count.item() == 0


def test_clip_bounds_the_weights():
    loose, tight = (DecorrelationReweighter(penalty=1e-3, clip=clip) for clip in (None, (0.5, 2.0)))
    for reweighter in (loose, tight):
        assert reweighter(_correlated(16, 32)).sum().item() == pytest.approx(1, abs=1e-5)
    assert loose.log['weight_max'] > 4
    assert tight.log['weight_max'] / tight.log['weight_min'] <= 4 + 1e-4


def test_bank_is_first_in_first_out():
    reweighter = DecorrelationReweighter(bank_size=5, embedding_dim=2, warmup_iters=9)
    batches = torch.arange(24.0).view(3, 4, 2)
    reweighter(batches[0])
    assert reweighter.bank_count.item() == 4
    assert torch.equal(reweighter.bank[1:], batches[0])
    reweighter(batches[1])
    assert torch.equal(reweighter.bank, torch.cat([batches[0, -1:], batches[1]]))
    reweighter(torch.arange(14.0).view(7, 2))
    assert torch.equal(reweighter.bank, torch.arange(14.0).view(7, 2)[2:])
    assert reweighter.bank_count.item() == 5


def test_warm_up_is_uniform():
    reweighter = DecorrelationReweighter(warmup_iters=2)
    x = _correlated(8, 16)
    for _ in range(2):
        assert reweighter(x).tolist() == [1 / 8] * 8
    assert reweighter(x).std() > 1e-3


def test_state_continues_where_it_stopped():
    options = {'bank_size': 6, 'embedding_dim': 10, 'dims': 5, 'seed': 3}
    whole, first = DecorrelationReweighter(**options), DecorrelationReweighter(**options)
    batches = [_correlated(4, 10, seed) for seed in range(4)]
    expected = [whole(batch) for batch in batches]
    for batch in batches[:2]:
        first(batch)
    resumed = DecorrelationReweighter(**options)
    resumed.load_state_dict(copy.deepcopy(first.state_dict()))
    assert all(torch.equal(resumed(batch), weights) for batch, weights in zip(batches[2:], expected[2:], strict=True))
    assert set(first.state_dict()) == {'num_calls', 'bank', 'bank_count'}


def test_draws_differ_from_call_to_call_and_leave_the_global_generator_alone():
    reweighter, x = DecorrelationReweighter(dims=4), _correlated(8, 16)
    before = torch.get_rng_state()
    assert not torch.equal(reweighter(x), reweighter(x))
    assert torch.equal(torch.get_rng_state(), before)
    reweighter.eval()
    assert torch.equal(reweighter(x), reweighter(x))
    assert reweighter.num_calls.item() == 2


def test_no_gradient_and_no_half_precision():
    x = _correlated(8, 16).requires_grad_()
    plain = DecorrelationReweighter()(x)
    assert not plain.requires_grad
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(DecorrelationReweighter()(x), plain)
    assert DecorrelationReweighter()(x.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize('options, message', [
    ({'mapping': 'rf'}, "'rf' is not in the list of mappings; did you mean 'rff'"),
    ({'resample': 'epoch'}, "resample must be 'call' or 'step', but got 'epoch'"),
    ({'steps': 0}, 'steps must be at least 1'), ({'dims': 0}, 'dims must be at least 1'),
    ({'lr': 0}, 'lr must be positive'), ({'penalty': 0}, 'penalty must be positive'),
    ({'penalty': 1, 'target_ess': 0.5}, 'give penalty or target_ess, not both'),
    ({'target_ess': 12}, r'fraction of the batch in \(0, 1\), but got 12'),
    ({'bank_size': 8}, 'embedding_dim is the network'), ({'clip': (2, 1)}, r'clip must be \(low, high\)'),
    ({'warmup_iters': -1}, 'warmup_iters must not be negative')])
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build({'type': 'DecorrelationReweighter', **options})


def test_embeddings_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r'got \(2, 3, 4, 4\); pool a map'):
        DecorrelationReweighter()(torch.rand(2, 3, 4, 4))
    with pytest.raises(ValueError, match='embedding_dim=4, the embedding has 3 dimensions'):
        DecorrelationReweighter(embedding_dim=4)(torch.rand(2, 3))


@pytest.mark.slow
@settings(max_examples=int(os.environ.get('RESTOREKIT_EXAMPLES', 150)), deadline=None)
@given(seed=st.integers(0, 2**31), n=st.sampled_from([1, 2, 2, 3, 4, 16]), d=st.integers(1, 12),
       bank=st.sampled_from([0, 2, 8, 32]), exponent=st.floats(-30, 38),
       spread=st.sampled_from(['normal', 'constant', 'copies', 'spike']),
       target=st.sampled_from([None, 0.1, 0.8, 0.99]), penalty=st.floats(-12, 3),
       clip=st.sampled_from([None, (0.2, 5.0), (0.0, 1.5)]), mapping=st.sampled_from(['rff', 'stablenet']),
       density_ratio=st.booleans())
def test_weights_are_finite_and_sum_to_one_for_any_finite_embedding(seed, n, d, bank, exponent, spread, target, penalty,
                                                                    clip, mapping, density_ratio):
    generator = torch.Generator().manual_seed(seed)
    strength = dict(penalty=10 ** penalty) if target is None else dict(target_ess=target)
    reweighter = DensityRatioReweighter(ridge=10 ** (penalty / 4), clip=clip, seed=seed) if density_ratio else \
        DecorrelationReweighter(mapping, bank_size=bank, embedding_dim=d, clip=clip, seed=seed, num_maps=2, **strength)
    for _ in range(3):
        x = torch.randn(n, d, generator=generator)
        if spread == 'constant':
            x = torch.ones(n, d)
        elif spread == 'copies':
            x = x[:1].expand(n, d)
        elif spread == 'spike':
            x = torch.cat([x[:1], 1e-6 * x[1:]])
        weights = reweighter((x * 10 ** exponent).clamp(-3e38, 3e38))
        assert weights.isfinite().all() and (weights >= 0).all()
        assert abs(weights.sum().item() - 1) < 1e-4
        assert all(math.isfinite(value) for value in reweighter.log.values())
