"""The methods of domain generalisation, against independent implementations."""

import math

import numpy as np
import pytest
import torch

from restorekit.functional.haze_prior import haze_density
from restorekit.messages import InputError
from restorekit.models.losses import (
    CORALLoss,
    DensityConditionalCORAL,
    DomainAdversarialLoss,
    GroupDRO,
    reverse_gradient,
)


def numpy_coral(a, b):
    gap = np.cov(a, rowvar=False) - np.cov(b, rowvar=False)
    return (gap ** 2).sum() / (4 * a.shape[1] ** 2)


def numpy_dark(image, window):
    """The mean dark channel by loops."""
    low = image.min(axis=0)
    h, w = low.shape
    half = window // 2
    return np.mean([low[max(0, y - half):y + half + 1, max(0, x - half):x + half + 1].min()
                    for y in range(h) for x in range(w)])


def test_haze_density_is_the_mean_dark_channel():
    images = torch.rand(3, 3, 12, 17)
    expected = [numpy_dark(image.numpy(), 7) for image in images]
    assert haze_density(images).tolist() == pytest.approx(expected, rel=1e-6)


def images_of(densities):
    return torch.tensor(densities)[:, None, None, None].expand(-1, 3, 8, 8)


def test_conditional_coral_is_the_weighted_mean_of_corals_of_classes():
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randn(12, 5, generator=generator), 2 * torch.randn(9, 5, generator=generator)
    a = [0.1] * 5 + [0.3] * 4 + [0.9] * 3  # 5, 4, 3 in the three classes
    b = [0.1] * 2 + [0.4] * 6 + [0.9] * 1  # 2, 6, 1: the last class has too few
    expected = (2 * numpy_coral(source[:5].numpy(), target[:2].numpy())
                + 4 * numpy_coral(source[5:9].numpy(), target[2:8].numpy())) / 6
    loss = DensityConditionalCORAL(bounded=False, loss_weight=3.0)
    assert loss(source, target, images_of(a), images_of(b)).item() == pytest.approx(3 * expected, rel=1e-5)
    nothing = loss(source, target, images_of([0.1] * 12), images_of([0.9] * 9))
    assert nothing.item() == 0
    one = DensityConditionalCORAL(edges=[], bounded=False)
    assert one(source, target, images_of(a), images_of(b)).item() == pytest.approx(
        CORALLoss(bounded=False)(source, target).item(), rel=1e-6)


def test_conditional_coral_does_not_see_a_change_of_the_share_of_classes():
    generator = torch.Generator().manual_seed(1)
    thin, dense = (torch.randn(2000, 4, generator=generator) for _ in range(2))
    dense = dense * 0.2 + 1
    source = torch.cat([thin[:900], dense[:100]])
    target = torch.cat([thin[1000:1100], dense[1000:1900]])
    a, b = images_of([0.1] * 900 + [0.9] * 100), images_of([0.1] * 100 + [0.9] * 900)
    plain = CORALLoss(bounded=False)(source, target)
    assert DensityConditionalCORAL(bounded=False)(source, target, a, b) < plain / 20


def test_conditional_coral_keeps_the_densities_in_its_queue():
    loss = DensityConditionalCORAL(bounded=False, queue_size=8, embedding_dim=3)
    first, second, source = torch.randn(4, 3), torch.randn(4, 3), torch.randn(6, 3)
    densities = [0.1, 0.1, 0.9, 0.9]
    a = images_of([0.1] * 3 + [0.9] * 3)
    loss(source, first, a, images_of(densities))
    found = loss(source, second, a, images_of(densities))
    both = torch.cat([first, second])
    expected = DensityConditionalCORAL(bounded=False)(source, both, a, images_of(densities * 2))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_adversarial_loss_is_cross_entropy_whose_gradient_is_reversed_for_the_features():
    torch.manual_seed(0)
    loss = DomainAdversarialLoss(embedding_dim=6, hidden=5, loss_weight=0.7).double()
    torch.nn.init.normal_(loss.classifier[-1].weight)
    source = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    target = torch.randn(7, 6, dtype=torch.float64, requires_grad=True)
    # an independent network and loss with the same weights
    weights = [p.detach().clone().requires_grad_(True) for p in loss.classifier.parameters()]

    def logit(x):
        return (x @ weights[0].T + weights[1]).clamp(min=0) @ weights[2].T + weights[3]
    own = [x.detach().clone().requires_grad_(True) for x in (source, target)]
    probabilities = [torch.sigmoid(logit(x)) for x in own]
    expected = 0.7 * (-probabilities[0].log().mean() - (1 - probabilities[1]).log().mean()) / 2
    found = loss.float()(source.float(), target.float())
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    expected.backward()
    found.backward()
    for parameter, reference in zip(loss.classifier.parameters(), weights, strict=True):
        assert torch.allclose(parameter.grad.double(), reference.grad, atol=1e-6)
    for x, reference in zip((source, target), own, strict=True):
        assert torch.allclose(x.grad, -reference.grad, atol=1e-6)


def test_the_normalised_loss_does_not_see_scale():
    torch.manual_seed(0)
    loss = DomainAdversarialLoss(embedding_dim=4, normalise=True)
    torch.nn.init.normal_(loss.classifier[-1].weight)
    source, target = torch.randn(8, 4), torch.randn(6, 4) + 1
    scale = torch.tensor([1.0, 10.0, 0.1, 3.0])
    assert loss(source * scale, target * scale).item() == pytest.approx(loss(source, target).item(), rel=1e-4)
    both = torch.cat([source, target])
    plain = DomainAdversarialLoss(embedding_dim=4)
    plain.load_state_dict(loss.state_dict())
    deviation = both.std(dim=0, correction=0)
    assert loss(source, target).item() == pytest.approx(plain(source / deviation, target / deviation).item(), rel=1e-5)
    assert torch.isfinite(loss(torch.zeros(2, 4), torch.zeros(2, 4)))  # a constant embedding


def test_the_reversal_grows_as_in_the_paper():
    loss = DomainAdversarialLoss(embedding_dim=2, warmup_iters=10)
    rows = torch.randn(3, 2)
    strengths = []
    for _ in range(12):
        strengths.append(loss.strength)
        loss(rows, rows)
    assert strengths[:11] == pytest.approx([2 / (1 + math.exp(-k)) - 1 for k in range(11)])
    assert strengths[11] == strengths[10] and strengths[0] == 0
    x = torch.ones(2, requires_grad=True)
    reverse_gradient(x, 3.0).sum().backward()
    assert x.grad.tolist() == [-3, -3]
    with pytest.raises(InputError, match='embedding_dim and hidden must be at least 1'):
        DomainAdversarialLoss(embedding_dim=2, hidden=0)


def reference_dro(batches, groups, step):
    """Algorithm 1 of Sagawa et al. in plain Python: the robust loss of each batch."""
    q, robust = {g: 1 / len(groups) for g in groups}, []
    for batch in batches:
        means = {g: float(np.mean([loss for loss, name in batch if name == g] or [0.0])) for g in groups}
        q = {g: q[g] * math.exp(step * means[g]) for g in groups}
        total = sum(q.values())
        q = {g: value / total for g, value in q.items()}
        robust.append(sum(q[g] * means[g] for g in groups))
    return robust, q


def test_group_dro_is_algorithm_1_of_its_paper():
    rng = np.random.default_rng(0)
    groups = ['haze', 'dust', 'night']
    batches = [[(float(rng.random()), str(rng.choice(groups[:2 + k % 2]))) for _ in range(7)] for k in range(12)]
    expected, q = reference_dro(batches, groups, 0.5)
    dro = GroupDRO(groups, step=0.5)
    for batch, robust in zip(batches, expected, strict=True):
        losses = torch.tensor([loss for loss, _ in batch], dtype=torch.float64)
        weights = dro(losses, [name for _, name in batch])
        assert (weights * losses).mean().item() == pytest.approx(robust, rel=1e-5)
    assert dro.q.tolist() == pytest.approx([q[g] for g in groups], rel=1e-5)
    before = dro.q.clone()
    dro.eval()(losses, [name for _, name in batches[-1]])
    assert torch.equal(dro.q, before)


def test_group_dro_names_an_unknown_domain():
    with pytest.raises(InputError, match="'hase' is not in the list of its domains; did you mean 'haze'"):
        GroupDRO(['haze', 'dust'])(torch.ones(1), ['hase'])
    with pytest.raises(InputError, match='different names and step positive'):
        GroupDRO(['a', 'a'])
