import copy

import pytest
import torch
from torch import nn

from restorekit.models import CIDRestorer, MeanTeacherConsistency
from restorekit.models.losses import Reweighter, coral_loss
from restorekit.models.networks import AODNet, RestorationNetwork
from restorekit.structures import RestoreSample

HAZE = dict(type='AtmosphericScattering', beta=(0.3, 1.0))


class Tiny(RestorationNetwork):
    """Two convolutions; the embedding is what the first returns."""

    embedding_dim = 4

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.last(self.embed(x))

    def embed(self, x):
        return self.norm(self.first(x))


class Fixed(Reweighter):
    """Weights that are known."""

    def solve(self, rows):
        assert not rows.requires_grad
        return torch.tensor([0.5, 0.25, 0.25]), dict(answer=42.0)


def tiny(seed=0):
    torch.manual_seed(seed)
    return Tiny()


def batch(n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.randint(0, 256, (n, 3, 6, 5), generator=generator).byte() for _ in range(2))
    samples = [RestoreSample() for _ in range(n)]
    for sample, gt in zip(samples, y, strict=True):
        sample.gt = gt
    return x.float() / 255, samples, y.float() / 255


def restorer(network=None, **kwargs):
    return CIDRestorer(network or tiny(), **{'losses': dict(pixel=dict(type='L1Loss')), **kwargs})


@pytest.mark.parametrize('anchor', [0.0, 1.0, 0.5])
def test_loss_is_the_weighted_sum_plus_the_anchor(anchor):
    model = restorer(anchor=anchor, reweighter=dict(type='DecorrelationReweighter'))
    model.reweighter = Fixed(clip=None)
    x, samples, y = batch()
    losses = model.loss(x, samples)
    per_sample = (model.network(x) - y).abs().mean((1, 2, 3))
    expected = (torch.tensor([0.5, 0.25, 0.25]) * per_sample).sum() + anchor * per_sample.mean()
    assert losses['loss_pixel'].item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses['reweight_answer'] == 42 and losses['reweight_ess'].item() == pytest.approx(1 / 0.375)
    assert model.parse_losses(losses)[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_uniform_weights_without_anchor_are_the_plain_loss():
    x, samples, _ = batch()
    plain = restorer().loss(x, samples)
    assert list(plain) == ['loss_pixel']
    uniform = restorer(anchor=0.0, reweighter=dict(type='DecorrelationReweighter', warmup_iters=5)).loss(x, samples)
    assert uniform['loss_pixel'].item() == pytest.approx(plain['loss_pixel'].item(), rel=1e-5)


def test_weights_are_solved_on_detached_embeddings():
    model = restorer(reweighter=dict(type='DecorrelationReweighter'))
    x, samples, _ = batch()
    total, _ = model.parse_losses(model.loss(x, samples))
    total.backward()
    assert all(p.grad is not None for p in model.network.parameters())
    assert not list(model.reweighter.parameters())  # nothing of it learns


def test_alignment_compares_pooled_embeddings_of_both_domains():
    model = restorer(alignment=dict(type='CORALLoss', loss_weight=0.3)).eval()
    x, samples, _ = batch()
    target = batch(4, seed=1)[0]
    losses = model.loss(x, samples, target)
    pooled = [model.network.embed(images).mean((2, 3)) for images in (x, target)]
    assert losses['loss_align'].item() == pytest.approx(0.3 * coral_loss(*pooled).item(), rel=1e-4)


def test_gradient_share_is_that_of_the_layers_alignment_reaches():
    model = restorer(alignment=dict(type='CORALLoss', loss_weight=0.3), share_interval=1)
    x, samples, y = batch()
    target = batch(4, seed=1)[0]
    share = copy.deepcopy(model).loss(x, samples, target)['align_grad_share']
    network = model.network
    image, embedding = network.forward_features(x)
    reached = [*network.first.parameters(), *network.norm.parameters()]  # not network.last
    align = torch.autograd.grad(0.3 * coral_loss(embedding.mean((2, 3)), network.embed(target).mean((2, 3))), reached,
                                retain_graph=True)
    other = torch.autograd.grad((image - y).abs().mean(), reached)
    norms = [torch.cat([g.flatten() for g in gradient]).norm() for gradient in (align, other)]
    assert share.item() == pytest.approx((norms[0] / sum(norms)).item(), rel=1e-4)
    assert not share.requires_grad


def test_share_is_measured_every_interval_and_changes_no_gradient():
    x, samples, _ = batch()
    target = batch(4, seed=1)[0]
    gradients = []
    for interval in (1, 3):
        model = restorer(tiny(), alignment=dict(type='CORALLoss'), share_interval=interval)
        measured = []
        for _ in range(4):
            losses = model.loss(x, samples, target)
            measured.append('align_grad_share' in losses)
        assert measured == ([True] * 4 if interval == 1 else [True, False, False, True])
        model.parse_losses(losses)[0].backward()
        gradients.append([p.grad for p in model.network.parameters()])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-7)


def test_the_share_is_logged_and_never_trained_on():
    model = restorer(alignment=dict(type='CORALLoss'), share_interval=1)
    losses = model.loss(*batch()[:2], batch(4, seed=1)[0])
    total, logged = model.parse_losses(losses)
    assert total.item() == pytest.approx((losses['loss_pixel'] + losses['loss_align']).item())
    assert 0 < logged['align_grad_share'] < 1


def test_alignment_that_reaches_nothing_trainable_is_an_error():
    model = restorer(alignment=dict(type='CORALLoss'), frozen=['network.first', 'network.norm'])
    with pytest.raises(ValueError, match='every layer before the embedding is frozen'):
        model.loss(*batch()[:2], batch(4, seed=1)[0])


@pytest.mark.parametrize('ingredient', [
    dict(alignment=dict(type='CORALLoss')),
    dict(consistency=dict(type='MeanTeacherConsistency', perturbation=HAZE))])
def test_a_batch_without_target_images_is_an_error(ingredient):
    with pytest.raises(ValueError, match='the batch has none; make train_dataloader.dataset a DomainPairDataset'):
        restorer(**ingredient).loss(*batch()[:2])


@pytest.mark.parametrize('ingredient', [dict(alignment=dict(type='CORALLoss')),
                                        dict(reweighter=dict(type='DecorrelationReweighter')),
                                        dict(reweighter=dict(type='DecorrelationReweighter', bank_size=8))])
def test_a_network_without_embedding_is_an_error(ingredient):
    with pytest.raises(ValueError, match='AODNet has no embedding, so it cannot be reweighted or aligned'):
        restorer(AODNet(), **ingredient)
    restorer(AODNet(), consistency=dict(type='MeanTeacherConsistency', perturbation=HAZE))  # needs none


def test_negative_anchor_is_an_error():
    with pytest.raises(ValueError, match='anchor must be at least 0, but got -1'):
        restorer(anchor=-1)


def teacher(momentum=0.999):
    student, consistency = tiny(), MeanTeacherConsistency(HAZE, momentum=momentum)
    consistency.bind(student)
    return student, consistency


def test_teacher_follows_by_the_rule():
    student, consistency = teacher(momentum=0.15)
    images = batch()[0]
    expected = student.first.weight.detach().clone()
    for count in range(4):
        with torch.no_grad():
            student.first.weight += 1
            student.norm.running_mean += 1
        consistency(student, images)
        keep = min(0.15, count / (count + 10))
        expected = keep * expected + (1 - keep) * student.first.weight.detach()
        assert torch.allclose(consistency.teacher.first.weight, expected, atol=1e-6)
    assert consistency.updates == 4


def test_loss_is_the_distance_to_the_clipped_restoration_of_the_teacher():
    student, consistency = teacher()
    student.eval()
    images = batch()[0]
    torch.manual_seed(7)
    value = consistency(student, images)
    torch.manual_seed(7)
    seeds = torch.randint(2**62, (3,)).tolist()
    hazier = consistency.perturbation.apply(images, None, consistency.perturbation.sample(seeds, 6, 5))
    expected = (student(hazier) - student(images).clamp(0, 1)).abs().mean()  # the first update copies the student
    assert value.item() == pytest.approx(expected.item(), rel=1e-4)


def test_teacher_gets_no_gradient_and_stays_in_eval_mode():
    student, consistency = teacher()
    consistency.train()
    assert not consistency.teacher.training and not consistency.teacher.norm.training
    consistency(student, batch()[0]).backward()
    assert all(p.grad is None and not p.requires_grad for p in consistency.teacher.parameters())
    assert all(p.grad is not None for p in student.parameters())


def test_teacher_round_trips_with_the_training_state():
    model = restorer(consistency=dict(type='MeanTeacherConsistency', perturbation=HAZE))
    for step in range(2):
        with torch.no_grad():
            model.network.first.weight += step
        model.loss(*batch()[:2], batch(seed=1)[0])
    other = restorer(tiny(5), consistency=dict(type='MeanTeacherConsistency', perturbation=HAZE))
    other.load_state_dict(model.state_dict(), strict=True)
    assert other.consistency.updates == 2
    assert torch.equal(other.consistency.teacher.first.weight, model.consistency.teacher.first.weight)
    assert not torch.equal(other.consistency.teacher.first.weight, other.network.first.weight)


def test_momentum_out_of_range_is_an_error():
    with pytest.raises(ValueError, match=r'momentum must be in \[0, 1\), but got 1'):
        MeanTeacherConsistency(HAZE, momentum=1)
