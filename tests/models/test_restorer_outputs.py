"""Networks with several outputs, and losses that look at more than two images."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from restorekit.messages import InputError
from restorekit.models import CIDRestorer, RestorationNetwork, Restorer
from restorekit.registry import MODELS
from restorekit.structures import RestoreSample


class TwoOutputs(RestorationNetwork):
    """Half the size and whole, in [-1, 1]; the input must be a multiple of 8."""

    size_divisor = 8
    input_range = output_range = (-1.0, 1.0)

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor([0.5, 2.0]))
        self.calls = []

    def forward_all(self, x):
        self.calls.append('all')
        return self.gain[0] * F.avg_pool2d(x, 2), self.gain[1] * x

    def forward(self, x):
        self.calls.append('last')
        return self.gain[1] * x


class Asks(nn.Module):
    """Remembers what it was handed."""

    def forward(self, pred, target, weight=None, *, input, embedding):
        self.got = dict(pred=pred, input=input, embedding=embedding)
        return (pred - target).abs().mean()


class WeighsTheFirst(nn.Module):
    """A reweighter that puts all weight on the first sample."""

    log = {}

    def forward(self, embedding):
        return torch.eye(len(embedding))[0]


def batch(height=12, width=16):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (2, 2, 3, height, width), dtype=torch.uint8, generator=generator)
    samples = []
    for gt in images[1]:
        sample = RestoreSample(metainfo=dict(img_path='x'))
        sample.gt = gt
        samples.append(sample)
    return dict(inputs=list(images[0]), data_samples=samples), images.float() / 255


def test_every_output_is_trained_and_the_last_is_predicted():
    restorer = Restorer(TwoOutputs(), losses=dict(pixel=dict(type='L1Loss'), mse=dict(type='MSELoss')))
    data, (hazy, clear) = batch(16, 16)
    data = restorer.data_preprocessor(data, True)
    losses = restorer(**data, mode='loss')
    assert restorer.network.calls == ['all']
    assert set(losses) == {'loss_pixel', 'loss_mse', 'loss_pixel_0', 'loss_mse_0'}
    small = (0.5 * F.avg_pool2d(2 * hazy - 1, 2) + 1) / 2
    assert torch.allclose(losses['loss_pixel_0'], (small - F.avg_pool2d(clear, 2)).abs().mean())
    assert torch.allclose(losses['loss_mse'], ((2 * (2 * hazy - 1) + 1) / 2 - clear).square().mean())
    total, _ = restorer.parse_losses(losses)
    total.backward()
    assert restorer.network.gain.grad.ne(0).all()
    restorer.eval().test_step(batch(16, 16)[0])
    assert restorer.network.calls == ['all', 'last']


def test_padded_outputs_meet_a_truth_that_is_padded_alike():
    restorer = Restorer(TwoOutputs(), losses=dict(pixel=dict(type='L1Loss')))
    nn.init.constant_(restorer.network.gain, 1.0)
    data, (hazy, _) = batch(12, 16)  # padded to 16 x 16
    for sample, image in zip(data['data_samples'], data['inputs'], strict=True):
        sample.gt = image  # with a gain of one, everything equals the truth, the padding too
    losses = restorer(**restorer.data_preprocessor(data, True), mode='loss')
    assert losses['loss_pixel'].item() == pytest.approx(0, abs=1e-6)
    assert losses['loss_pixel_0'].item() == pytest.approx(0, abs=1e-6)


def test_a_loss_gets_what_it_names():
    network = TwoOutputs()
    network.embedding_dim = 4
    network.embed = lambda x: x.new_ones(len(x), 4, 1, 1)
    with pytest.raises(InputError, match='TwoOutputs has no embedding, which a loss asks for'):
        Restorer(TwoOutputs(), losses=dict(feature=dict(type='AsksForTests')))
    restorer = Restorer(network, losses=dict(feature=dict(type='AsksForTests')))
    data, (hazy, _) = batch()
    losses = restorer(**restorer.data_preprocessor(data, True), mode='loss')
    got = restorer.losses.feature.got
    assert torch.allclose(got['input'], hazy, atol=1e-6) and got['pred'].shape == hazy.shape
    assert got['embedding'].shape == (2, 4, 1, 1) and set(losses) == {'loss_feature'}


def test_cid_weights_every_output_and_aligns_beside_them():
    network = TwoOutputs()
    network.embedding_dim = 3
    network.embed = lambda x: network.gain[0] * F.avg_pool2d(x, 4)
    restorer = CIDRestorer(network, losses=dict(pixel=dict(type='L1Loss')), share_interval=1,
                           alignment=dict(type='CORALLoss', loss_weight=0.1))
    restorer.reweighter, restorer.anchor = WeighsTheFirst(), 0.0
    data, (hazy, clear) = batch(16, 16)
    data['target'] = dict(inputs=[image // 2 for image in data['inputs']], data_samples=data['data_samples'])
    losses = restorer(**restorer.data_preprocessor(data, True), mode='loss')
    assert {'loss_pixel', 'loss_pixel_0', 'loss_align'} <= set(losses) and restorer.network.calls == ['all']
    small = (0.5 * F.avg_pool2d(2 * hazy - 1, 2) + 1) / 2
    expected = (small - F.avg_pool2d(clear, 2)).abs()[0].mean()  # all weight on the first sample
    assert torch.allclose(losses['loss_pixel_0'], expected)
    restorer.parse_losses(losses)[0].backward()
    assert network.gain.grad.ne(0).all() and 0 < losses['align_grad_share'] < 1


@pytest.fixture(autouse=True)
def registered():
    MODELS.register_module('AsksForTests', module=Asks, force=True)
    yield
    MODELS._module_dict.pop('AsksForTests')
