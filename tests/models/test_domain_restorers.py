"""Domain weights, alignment between sources, adaptation at test time."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from restorekit.datasets import MixDensity
from restorekit.degradations import AtmosphericScattering
from restorekit.engine import AdaptiveBatchNormHook
from restorekit.messages import InputError
from restorekit.models import CIDRestorer
from restorekit.models.losses import coral_loss
from restorekit.models.restorers import TestTimeRestorer
from restorekit.random import derive_seed
from restorekit.registry import MODELS
from restorekit.structures import RestoreSample

NETWORK = dict(type='EncoderDecoder',
               encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16),
               decoder=dict(type='AffineDecoder', channels=8, head_channels=4))
LOSSES = dict(pixel=dict(type='L1Loss'), ssim=dict(type='SSIMLoss', loss_weight=0.1))


def batch_of(domains, size=32):
    rng, items = np.random.default_rng(0), []
    for name in domains:
        sample = RestoreSample(metainfo=dict(domain=name, img_path=f'{name}.png'))
        sample.gt = torch.from_numpy(rng.integers(0, 256, (3, size, size), dtype=np.uint8))
        items.append(dict(inputs=torch.from_numpy(rng.integers(0, 256, (3, size, size), dtype=np.uint8)),
                          data_samples=sample))
    return pseudo_collate(items)


def losses_of(model, batch, training=True):
    data = model.data_preprocessor(batch, training=training)
    return model(**data, mode='loss'), data


def test_group_weighting_trains_on_the_robust_loss():
    torch.manual_seed(0)
    domains = ['a', 'a', 'a', 'b', 'c', 'c']
    dro = dict(type='GroupDRO', domains=['a', 'b', 'c'], step=2.0)
    model = CIDRestorer(NETWORK, losses=LOSSES, group_weighting=dro)
    model.eval()  # BatchNorm would mix the samples; q does not move then
    model.group_weighting.q.copy_(torch.tensor([0.2, 0.7, 0.1]))
    found, data = losses_of(model, batch_of(domains))
    with torch.no_grad():
        pred = model.network(data['inputs'])
        gt = model.ground_truth(data['data_samples'])
        each = [sum(model.supervised_losses(pred[i:i + 1], gt[i:i + 1]).values()).item() for i in range(6)]
    expected = 0.2 * np.mean(each[:3]) + 0.7 * each[3] + 0.1 * np.mean(each[4:])
    total, logged = model.parse_losses(found)
    assert total.item() == pytest.approx(expected, rel=1e-5)
    assert logged['group_weight_max'].item() == pytest.approx(0.7 * 6, rel=1e-5)
    model.train()
    losses_of(model, batch_of(domains))
    assert not torch.allclose(model.group_weighting.q, torch.tensor([0.2, 0.7, 0.1]))
    with pytest.raises(InputError, match='both set the weights of the samples'):
        CIDRestorer(NETWORK, reweighter=dict(type='DecorrelationReweighter'),
                    group_weighting=dict(type='GroupDRO', domains=['a']))


class Asking(nn.Module):
    """A loss that asks for the input and the embedding."""

    def forward(self, pred, target, weight=None, *, input, embedding):
        error = ((pred - input) ** 2).mean(dim=(1, 2, 3)) + embedding.mean(dim=(1, 2, 3))
        return (error if weight is None else error * weight).mean()


@pytest.mark.parametrize('ingredients', [{}, dict(reweighter=dict(type='DecorrelationReweighter')),
                                         dict(group_weighting=dict(type='GroupDRO', domains=['a', 'b']))])
def test_losses_get_what_they_ask_for(ingredients):
    torch.manual_seed(0)
    MODELS.register_module(module=Asking, force=True)
    model = CIDRestorer(NETWORK, losses=dict(asking=dict(type='Asking')), **ingredients).eval()
    found, data = losses_of(model, batch_of(['a', 'b', 'a', 'b']))
    with torch.no_grad():
        pred, embedding = model.network.forward_features(data['inputs'])
        each = ((pred - data['inputs']) ** 2).mean(dim=(1, 2, 3)) + embedding.mean(dim=(1, 2, 3))
    if 'reweighter' in ingredients:
        assert found['loss_asking'].item() != pytest.approx(each.mean().item(), rel=1e-3)  # weights and the anchor
    else:
        assert found['loss_asking'].item() == pytest.approx(each.mean().item(), rel=1e-4)


def test_alignment_between_sources_is_the_mean_over_pairs_of_domains():
    torch.manual_seed(0)
    model = CIDRestorer(NETWORK, losses=LOSSES, align='sources', alignment=dict(type='CORALLoss', bounded=False)).eval()
    found, data = losses_of(model, batch_of(['a', 'b', 'a', 'c', 'b', 'c', 'b', 'd']))  # one of d is too few
    with torch.no_grad():
        rows = model.network.embed(data['inputs']).mean(dim=(2, 3))
    parts = [rows[[0, 2]], rows[[1, 4, 6]], rows[[3, 5]]]
    expected = np.mean([coral_loss(parts[i], parts[j], bounded=False).item() for i, j in ((0, 1), (0, 2), (1, 2))])
    assert found['loss_align'].item() == pytest.approx(expected, rel=1e-4) and expected > 0
    alone, _ = losses_of(model, batch_of(['a', 'a', 'b']))
    assert alone['loss_align'].item() == 0
    with pytest.raises(InputError, match="align must be 'target' or 'sources', but got 'all'"):
        CIDRestorer(NETWORK, align='all')


@pytest.mark.parametrize('alignment', [dict(type='DomainAdversarialLoss', warmup_iters=10),
                                       dict(type='DensityConditionalCORAL', edges=[0.02])])
def test_new_alignments_train_in_the_restorer(alignment):
    torch.manual_seed(0)
    model = CIDRestorer(NETWORK, losses=LOSSES, alignment=alignment, share_interval=1).train()
    batch = batch_of(['a'] * 4)
    batch['target'] = {key: value for key, value in batch_of(['t'] * 4).items() if key == 'inputs'}
    batch['target']['inputs'] = [255 - image for image in batch['target']['inputs']]
    if alignment['type'] == 'DomainAdversarialLoss':
        model.alignment.num_calls.fill_(5)
        nn.init.normal_(model.alignment.classifier[-1].weight)
    found, _ = losses_of(model, batch)
    assert found['loss_align'].item() > 0 and found['align_grad_share'].item() > 0
    model.parse_losses(found)[0].backward()


def test_test_time_adaptation_is_gradient_descent_on_the_consistency_of_more_haze():
    torch.manual_seed(0)
    haze = dict(type='AtmosphericScattering', beta=(0.5, 1.0))
    model = TestTimeRestorer(NETWORK, haze, steps=2, step_size=0.3, seed=4).eval()
    for parameter in model.network.decoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    image = torch.rand(3, 32, 32)
    before = copy.deepcopy(model.state_dict())
    found = model.predict([image])[0]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(p.requires_grad is False for p in model.network.parameters())

    network, operator = copy.deepcopy(model.network), AtmosphericScattering(beta=(0.5, 1.0))
    goal = network(image[None]).detach().clamp(0, 1)
    optimizer = torch.optim.SGD(network.decoder.parameters(), lr=0.3)
    for step in range(2):
        hazier = operator.apply(image[None], None, operator.sample([derive_seed(4, step)], 32, 32))
        optimizer.zero_grad()
        (network(hazier) - goal).abs().mean().backward()
        optimizer.step()
    expected = network(image[None])[0].detach().clamp(0, 1)
    assert torch.allclose(found, expected, atol=1e-5)
    plain = TestTimeRestorer(NETWORK, haze, steps=0).eval()
    plain.load_state_dict(before)
    assert (plain.predict([image])[0] - found).abs().max() > 1e-3
    both = model.predict([torch.rand(3, 32, 48), image])  # the next image starts anew
    assert torch.equal(both[1], found)
    with pytest.raises(InputError, match="adapted names 'network.decod', which is not a module"):
        TestTimeRestorer(NETWORK, haze, adapted=['network.decod'])


class Plain(nn.Module):
    """A network of one BatchNorm."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3, affine=False)

    def forward(self, x):
        return self.norm(x)


class Shifted(torch.utils.data.Dataset):
    """Images of a domain with its own colours."""

    def __len__(self):
        return 5

    def __getitem__(self, key):
        image = np.random.default_rng(key[1] % 2**32).normal([60, 120, 200], [5, 10, 20], (8, 8, 3))
        return dict(inputs=torch.from_numpy(image.clip(0, 255).astype(np.uint8)).permute(2, 0, 1))


class Runner:
    def __init__(self, network):
        self.model = nn.Module()
        self.model.network = network
        self.model.data_preprocessor = lambda batch: dict(inputs=torch.stack(batch['inputs']).float() / 255)


@pytest.mark.parametrize('share', [1.0, 0.25])
def test_batch_norm_gets_the_statistics_of_the_images_and_its_own_back(share):
    network = Plain().eval()
    network.norm.running_mean.fill_(0.5)
    runner = Runner(network)
    runner.train_dataloader = SimpleNamespace(dataset=SimpleNamespace(target=Shifted()))
    hook = AdaptiveBatchNormHook(batches=6, batch_size=4, share=share)
    hook.before_val_epoch(runner)
    batches = [torch.stack(batch['inputs']).double() / 255 for batch in hook._images()]
    mean = torch.stack([batch.mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    var = torch.stack([batch.transpose(0, 1).flatten(1).var(dim=1) for batch in batches]).mean(dim=0)
    assert network.norm.running_mean.tolist() == pytest.approx((share * mean + (1 - share) * 0.5).tolist(), rel=1e-4)
    assert network.norm.running_var.tolist() == pytest.approx((share * var + (1 - share)).tolist(), rel=1e-4)
    assert not network.norm.training
    hook.after_val_epoch(runner)
    assert network.norm.running_mean.tolist() == [0.5] * 3 and network.norm.running_var.tolist() == [1] * 3
    assert network.norm.momentum == 0.1
    runner.train_dataloader = SimpleNamespace(dataset=SimpleNamespace())
    with pytest.raises(InputError, match="dataset='target' needs a DomainPairDataset with a target"):
        AdaptiveBatchNormHook().before_val_epoch(runner)


def test_without_images_each_image_is_normalised_by_its_own_statistics():
    network = Plain().eval()
    hook, runner = AdaptiveBatchNormHook(dataset=None), Runner(network)
    x = 3 * torch.randn(1, 3, 16, 16) + 2
    hook.before_val_epoch(runner)
    network.eval()  # as MMEngine's loops do after the hook
    out = network(x)
    mean, var = x.mean(dim=(0, 2, 3), keepdim=True), x.var(dim=(0, 2, 3), keepdim=True, correction=0)
    expected = (x - mean) / (var + 1e-5).sqrt()
    assert torch.allclose(out, expected, atol=1e-5)
    hook.after_val_epoch(runner)
    assert torch.allclose(network(x), x / (1 + 1e-5) ** 0.5) and not network.training
    runner.model.network = nn.Conv2d(3, 3, 1)
    with pytest.raises(InputError, match='Conv2d has no BatchNorm layer'):
        hook.before_val_epoch(runner)
    with pytest.raises(InputError, match='share in'):
        AdaptiveBatchNormHook(None, share=0.5)


def test_a_mixed_pair_is_the_scene_in_thinner_haze():
    rng = np.random.default_rng(0)
    clear, t, airlight = rng.random((6, 8, 3)), rng.random((6, 8, 1)), 0.9
    hazy = clear * t + airlight * (1 - t)
    pair = dict(inputs=np.rint(255 * hazy).astype(np.uint8), gt=np.rint(255 * clear).astype(np.uint8), img_path='x')
    np.random.seed(3)
    share = np.random.beta(2.0, 2.0)
    share = max(share, 1 - share)
    np.random.seed(3)
    mixed = MixDensity(alpha=2.0)(dict(pair))
    thinner = 1 - share * (1 - t)
    assert np.abs(mixed['inputs'] / 255 - (clear * thinner + airlight * (1 - thinner))).max() < 1.01 / 255
    assert np.array_equal(mixed['gt'], pair['gt']) and mixed['inputs'].dtype == np.uint8
    assert np.array_equal(MixDensity(prob=0)(dict(pair))['inputs'], pair['inputs'])
    np.random.seed(5)
    means = [MixDensity(full=True)(dict(pair))['inputs'].mean() for _ in range(200)]
    assert min(means) < pair['gt'].mean() + 5 and max(means) > pair['inputs'].mean() - 5
    with pytest.raises(InputError, match='MixDensity needs a pair, but the sample of x has .*gt'):
        MixDensity()(dict(gt=pair['gt'], img_path='x'))


def test_the_network_is_registered_for_configs():
    assert MODELS.get('TestTimeRestorer') is TestTimeRestorer
