import math

import pytest
import torch

from restorekit.models import AffineRestorer, log_gain_loss
from restorekit.structures import RestoreSample

NETWORK = dict(type='LowResolutionAffine', size=[32, 16], encoder=dict(
    type='PriorEncoder', features=dict(type='EfficientNetLite', out_stages=[3])),
    decoder=dict(type='GridAffineDecoder', channels=8, blocks=1))


def batch(transmission):
    generator = torch.Generator().manual_seed(0)
    samples = []
    for t in transmission:
        sample = RestoreSample(gt=(torch.rand(3, 16, 32, generator=generator) * 255).byte())
        if t is not None:
            sample.transmission = torch.full((1, 16, 32), t)
        samples.append(sample)
    return torch.rand(len(samples), 3, 16, 32, generator=generator), samples


def test_the_loss_on_the_gain_by_hand():
    gain = torch.tensor([2.0, 4.0]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    t = torch.tensor([0.25, math.nan]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    assert float(log_gain_loss(gain, t)) == pytest.approx(math.log(2))
    assert float(log_gain_loss(gain, t * math.nan)) == 0
    per_colour = torch.tensor([0.5, 0.5, 0.25]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert float(log_gain_loss(gain[:1], per_colour)) == pytest.approx(math.log(2) / 3)


def test_only_samples_with_a_known_transmission_count():
    torch.manual_seed(0)
    restorer = AffineRestorer(NETWORK, losses=dict(pixel=dict(type='L1Loss')))
    with_one = restorer.loss(*batch([0.5, None, math.nan]))
    gain = restorer.network.coefficients(batch([0.5, None, None])[0])[0]
    expected = 0.1 * (torch.log(gain[0]) + math.log(0.5)).abs().mean()
    assert torch.allclose(with_one['loss_gain'], expected)
    assert float(restorer.loss(*batch([None, None]))['loss_gain']) == 0
    assert 'loss_gain' not in AffineRestorer(NETWORK, losses=dict(pixel=dict(type='L1Loss')), gain_weight=0).loss(
        *batch([0.5]))


def test_losses_on_a_smaller_image_compare_means_of_areas():
    torch.manual_seed(0)
    restorer = AffineRestorer(NETWORK, losses=dict(pixel=dict(type='L1Loss')), gain_weight=0, loss_stride=2)
    inputs, samples = batch([None, None])
    small = torch.nn.functional.avg_pool2d(inputs, 2)
    pred = restorer.network.apply_coefficients(small, *restorer.network.coefficients(inputs))
    gt = torch.nn.functional.avg_pool2d(torch.stack([sample.gt for sample in samples]).float() / 255, 2)
    assert torch.allclose(restorer.loss(inputs, samples)['loss_pixel'], (pred - gt).abs().mean())


def test_batches_without_a_transmission_are_said_once(monkeypatch):
    said = []
    monkeypatch.setattr('restorekit.models.restorers.affine.log', said.append)
    restorer = AffineRestorer(NETWORK, losses=dict(pixel=dict(type='L1Loss')), gain_weight=0.25)
    restorer.loss(*batch([0.5, None]))
    assert said == []
    for _ in range(2):
        restorer.loss(*batch([None, None]))
    assert len(said) == 1 and 'gain_weight=0.25, but no sample of this batch has a transmission' in said[0]
    AffineRestorer(NETWORK, losses=dict(pixel=dict(type='L1Loss')), gain_weight=0).loss(*batch([None]))
    assert len(said) == 1
