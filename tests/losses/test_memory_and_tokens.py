"""Projected dimensions, tokens, and the target queue."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.models.losses import CORALLoss, DecorrelationReweighter, coral_loss
from restorekit.registry import MODELS


def _rows(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.relu(torch.randn(n, 4, generator=generator) @ torch.randn(4, d, generator=generator))


def test_projection_is_orthonormal_and_the_same_at_every_call_and_after_a_restart():
    x = _rows(8, 24).double()
    reweighter = DecorrelationReweighter(dims=5, reduction='projection', seed=3)
    projected = reweighter._reduced(x)
    identity = DecorrelationReweighter(dims=5, reduction='projection', seed=3)._reduced(torch.eye(24).double())
    torch.testing.assert_close(identity.mT @ identity, torch.eye(5).double())
    torch.testing.assert_close(x @ identity, projected)
    reweighter(x)
    assert torch.equal(reweighter._reduced(x), projected)
    assert not any('basis' in key for key in reweighter.state_dict())
    other = DecorrelationReweighter(dims=5, reduction='projection', seed=4)._reduced(x)
    assert not torch.allclose(other, projected)


@settings(max_examples=10, deadline=None)
@given(n=st.integers(3, 16), d=st.integers(6, 40), dims=st.integers(2, 5), seed=st.integers(0, 99),
       reduction=st.sampled_from(['subset', 'projection']))
def test_reduced_weights_are_those_of_the_reduced_rows(n, d, dims, seed, reduction):
    x = _rows(n, d, seed).double()
    options = dict(num_maps=2, penalty=0.05, seed=seed)
    reduced = DecorrelationReweighter(dims=dims, reduction=reduction, **options)
    expected = DecorrelationReweighter(**options)(reduced._reduced(x))
    torch.testing.assert_close(reduced(x), expected)


@settings(max_examples=10, deadline=None)
@given(n=st.integers(2, 16), seed=st.integers(0, 99))
def test_projected_weights_permute_with_the_rows_and_sum_to_one(n, seed):
    x = _rows(n, 20, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    options = dict(dims=6, reduction='projection', penalty=0.05)
    weights = DecorrelationReweighter(**options)(x)
    torch.testing.assert_close(DecorrelationReweighter(**options)(x[order]), weights[order], atol=1e-5, rtol=0)
    assert weights.sum().item() == pytest.approx(1, abs=1e-5)


def test_an_unknown_reduction():
    with pytest.raises(ValueError, match="reduction must be 'subset' or 'projection', but got 'pca'"):
        DecorrelationReweighter(reduction='pca')


def test_pooled_rows_are_means_over_positions():
    maps = torch.randn(3, 4, 5, 6)
    torch.testing.assert_close(CORALLoss().rows(maps), maps.mean((2, 3)))


def test_tokens_are_positions_of_each_image_without_replacement():
    maps = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    loss = CORALLoss(samples='tokens', tokens_per_image=7)
    torch.manual_seed(0)
    rows = loss.rows(maps)
    assert rows.shape == (14, 3)
    for image, part in zip(maps, rows.chunk(2), strict=True):
        positions = {tuple(column.tolist()) for column in image.flatten(1).mT}
        assert len({tuple(row.tolist()) for row in part}) == 7 and {tuple(r.tolist()) for r in part} <= positions
    torch.manual_seed(0)
    assert torch.equal(loss.rows(maps), rows)
    everything = CORALLoss(samples='tokens', tokens_per_image=99).rows(maps)
    assert sorted(everything.tolist()) == sorted(maps.permute(0, 2, 3, 1).reshape(-1, 3).tolist())


def test_gradients_reach_the_map_through_tokens():
    maps = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = CORALLoss(samples='tokens', tokens_per_image=5)
    loss(loss.rows(maps), loss.rows(torch.randn(2, 3, 4, 4))).backward()
    assert (maps.grad.abs().sum(1) > 0).flatten(1).sum(1).tolist() == [5, 5]


def test_tokens_have_full_rank_where_pooled_rows_have_not():
    torch.manual_seed(0)
    maps = torch.randn(3, 16, 8, 8)
    for samples, rank in (('pooled', 2), ('tokens', 16)):
        assert torch.linalg.matrix_rank(CORALLoss(samples=samples).rows(maps).T.cov()).item() == rank


@pytest.mark.parametrize('name', ['CORALLoss', 'MeanCovarianceLoss', 'MMDLoss'])
def test_queue_holds_former_targets_first_in_first_out(name):
    loss, plain = (MODELS.build(dict(type=name, **options)) for options in (dict(queue_size=7, embedding_dim=3), {}))
    batches = [(torch.randn(4, 3), torch.randn(4, 3)) for _ in range(4)]
    seen = torch.zeros(0, 3)
    for source, target in batches:
        target = target.requires_grad_()
        value = loss(source, target)
        torch.testing.assert_close(value, plain(source, torch.cat([seen, target])))
        value.backward()
        assert target.grad.abs().sum() > 0  # through the present batch
        seen = torch.cat([seen, target.detach()])[-7:]
        assert torch.equal(loss.queue[7 - len(seen):], seen) and loss.queue_count == len(seen)


def test_queue_is_saved_and_left_alone_by_evaluation_and_by_what_is_not_finite():
    loss = CORALLoss(queue_size=6, embedding_dim=3)
    loss(torch.randn(4, 3), torch.randn(4, 3))
    before = copy.deepcopy(loss.state_dict())
    loss(torch.randn(4, 3), torch.full((4, 3), float('nan')))
    loss.eval()
    loss(torch.randn(4, 3), torch.randn(4, 3))
    assert all(torch.equal(before[key], value) for key, value in loss.state_dict().items())
    other = CORALLoss(queue_size=6, embedding_dim=3)
    other.load_state_dict(before)
    source, target = torch.randn(4, 3), torch.randn(4, 3)
    assert torch.equal(other(source, target), loss.train()(source, target))


def test_queue_lowers_the_noise_floor():
    generator = torch.Generator().manual_seed(0)
    plain, queued = CORALLoss(bounded=False), CORALLoss(bounded=False, queue_size=256, embedding_dim=32)
    values = [(plain(*pair).item(), queued(*pair).item()) for pair in torch.randn(60, 2, 8, 32, generator=generator)]
    noise = torch.tensor(values[32:]).mean(0)
    assert noise[1] < 0.6 * noise[0]  # the target's half of it is gone


@pytest.mark.parametrize(('options', 'message'), [
    (dict(samples='pixels'), "samples must be one of 'pooled', 'tokens', but got 'pixels'"),
    (dict(samples='tokens', tokens_per_image=0), 'tokens_per_image must be at least 1, but got 0'),
    (dict(tokens_per_image=4), "tokens_per_image is for samples='tokens', but got samples='pooled'"),
    (dict(queue_size=4),
     'a queue needs queue_size >= 0 and embedding_dim, but got queue_size=4 and embedding_dim=None')])
def test_options_out_of_range(options, message):
    for name in ('CORALLoss', 'MeanCovarianceLoss', 'MMDLoss'):
        with pytest.raises(ValueError, match=f'{name}: {message}'):
            MODELS.build(dict(type=name, **options))


def test_queue_of_another_embedding():
    with pytest.raises(ValueError, match='embedding_dim=4, the embedding has 3 dimensions'):
        CORALLoss(queue_size=4, embedding_dim=4)(torch.randn(4, 3), torch.randn(4, 3))


def test_the_numbers_of_the_docs():
    """E[u] is about 1 / (2 (n - 1)) for two batches of one law, whatever d."""
    generator = torch.Generator().manual_seed(0)
    for d in (16, 64):
        values = [coral_loss(*pair, bounded=False).item() for pair in torch.randn(100, 2, 8, d, generator=generator)]
        assert sum(values) / 100 == pytest.approx(1 / 14, rel=0.15)
