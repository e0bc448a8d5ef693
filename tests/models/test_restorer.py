import pytest
import torch
from torch import nn

from restorekit.messages import InputError
from restorekit.models import NonFiniteLossError, Restorer
from restorekit.models.networks import RestorationNetwork
from restorekit.registry import MODELS
from restorekit.structures import RestoreSample


class Shift(RestorationNetwork):
    """Adds its image's mean, so that a padded neighbour or a wrong size would show; declares odd sizes and ranges."""

    size_divisor, min_size, input_range, output_range = 8, 16, (-1.0, 1.0), (0.0, 2.0)

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        assert x.shape[-1] % 8 == x.shape[-2] % 8 == 0 and min(x.shape[-2:]) >= 16
        return (x + 1) * self.gain + 0 * self.head(x).mean()


def image(height, width, seed=0):
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed)).byte()


def batch(*sizes, gt=True):
    inputs = [image(*size, seed) for seed, size in enumerate(sizes)]
    samples = [RestoreSample(metainfo=dict(img_path=f'{i}.png', ori_shape=size)) for i, size in enumerate(sizes)]
    for sample, x in zip(samples, inputs, strict=True):
        if gt:
            sample.gt = 255 - x
    return dict(inputs=inputs, data_samples=samples)


def restorer(**kwargs):
    return Restorer(Shift(), **{'losses': dict(pixel=dict(type='L1Loss'), other=dict(type='MSELoss', loss_weight=0.5)),
                                **kwargs})


def test_loss_is_the_named_losses_in_unit_range():
    model, data = restorer(), batch((16, 16), (16, 16))
    data = model.data_preprocessor(data, training=True)
    losses = model(**data, mode='loss')
    x = torch.stack([image(16, 16, 0), image(16, 16, 1)]).float() / 255  # what the network returns, in [0, 1]
    error = x - (1 - x)
    assert losses['loss_pixel'].item() == pytest.approx(error.abs().mean().item(), abs=1e-5)
    assert losses['loss_other'].item() == pytest.approx(0.5 * (error ** 2).mean().item(), abs=1e-5)


def test_loss_looks_at_the_image_without_its_padding():
    model = restorer(losses=dict(pixel=dict(type='L1Loss')))
    x = image(5, 9)
    losses = model(**model.data_preprocessor(batch((5, 9)), training=True), mode='loss')
    assert losses['loss_pixel'].item() == pytest.approx((x.float() / 255 * 2 - 1).abs().mean().item(), abs=1e-5)


@pytest.mark.parametrize('sizes', [[(1, 1)], [(3, 17), (3, 17)], [(5, 9), (16, 16), (31, 2), (1, 50)], [(33, 47)]])
def test_predict_returns_each_image_at_its_own_size_exactly(sizes):
    model = restorer().eval()
    data = batch(*sizes)
    for x, sample in zip(data['inputs'], model.test_step(data), strict=True):
        assert torch.allclose(sample.pred, x.float() / 255, atol=1e-6)  # gain 1: the identity, unpadded exactly
        assert not sample.pred.requires_grad and 'gt' in sample


def test_predict_clamps_and_leaves_the_given_samples_alone():
    model = restorer().eval()
    model.network.gain.data.fill_(3)
    data = batch((16, 16))
    pred = model.test_step(data)[0].pred
    assert pred.max() == 1 and pred.min() >= 0 and 'pred' not in data['data_samples'][0]


def test_tensor_mode_is_the_raw_output_and_unknown_modes_are_named():
    model = restorer()
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    assert torch.equal(model(x), model.network(x))
    with pytest.raises(ValueError, match="mode must be 'loss', 'predict' or 'tensor', but got 'los'"):
        model(x, mode='los')


def test_frozen_modules_have_no_gradient_and_stay_in_eval_mode():
    model = restorer(frozen=['network.head'])
    assert not any(p.requires_grad for p in model.network.head.parameters()) and model.network.gain.requires_grad
    for mode in (True, False, True):
        model.train(mode)
        assert not model.network.head.training and model.network.training is mode
    before = {k: v.clone() for k, v in model.network.head.state_dict().items()}
    total, _ = model.parse_losses(model(**model.data_preprocessor(batch((16, 16)), training=True), mode='loss'))
    total.backward()
    assert model.network.gain.grad.abs() > 0
    assert all(torch.equal(v, before[k]) for k, v in model.network.head.state_dict().items())


def test_unknown_frozen_module_names_the_nearest():
    with pytest.raises(ValueError, match=r"frozen names 'network.haed', .* nearest are \['network.head'"):
        restorer(frozen=['network.haed'])
    for wrong in (float('nan'), 'network.head', {'network.head': True}):
        with pytest.raises(ValueError, match='frozen must be a list of names of modules, but got'):
            restorer(frozen=wrong)


def test_only_what_starts_with_loss_is_summed():
    total, logged = restorer().parse_losses(dict(
        loss_a=torch.tensor([1.0, 3.0]), loss_b=torch.tensor(0.5), no_loss_here=torch.tensor(100.0),
        align_loss_share=torch.tensor(50.0)))
    assert total.item() == 2.5 == logged['loss'].item()
    assert logged['no_loss_here'].item() == 100 and logged['loss_a'].item() == 2


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_a_loss_that_is_not_finite_is_named(value):
    good, bad = torch.tensor(1.0), torch.tensor(value)
    with pytest.raises(NonFiniteLossError, match=f'^loss_bad is {value}$'):
        restorer().parse_losses(dict(loss_good=good, loss_bad=bad))
    with pytest.raises(NonFiniteLossError, match='loss_bad is .* and loss_worse is'):
        restorer().parse_losses(dict(loss_bad=bad, loss_good=good, loss_worse=bad))


def test_opposite_infinities_and_overflow_are_found():
    inf = torch.tensor(float('inf'))
    with pytest.raises(NonFiniteLossError, match='loss_a is inf and loss_b is -inf'):
        restorer().parse_losses(dict(loss_a=inf, loss_b=-inf))
    with pytest.raises(NonFiniteLossError, match='the sum of loss_a, loss_b is inf'):
        restorer().parse_losses(dict(loss_a=torch.tensor(3e38), loss_b=torch.tensor(3e38)))


def test_missing_ground_truth_names_the_image():
    model = restorer()
    data = batch((16, 16), (16, 16))
    del data['data_samples'][1].gt
    with pytest.raises(ValueError, match=r'1 samples of the training batch have no ground truth \(first: 1.png\)'):
        model(**model.data_preprocessor(data, training=True), mode='loss')


def test_training_without_losses_says_so():
    model = MODELS.build(dict(type='Restorer', network=Shift()))
    with pytest.raises(ValueError, match='training needs losses'):
        model(**model.data_preprocessor(batch((16, 16)), training=True), mode='loss')


def test_losses_may_be_dropped_or_listed():
    one, two = dict(type='L1Loss'), dict(type='SSIMLoss', loss_weight=0.1)
    assert list(restorer(losses=dict(pixel=one, ssim=None)).losses) == ['pixel']
    assert list(restorer(losses=[one, None, two]).losses) == ['l1', 'ssim']
    with pytest.raises(ValueError, match='losses has L1Loss twice; give them names'):
        restorer(losses=[one, one])
    with pytest.raises(ValueError, match='Restorer needs a network: model.network is None'):
        Restorer(network=None)


@pytest.mark.parametrize('preprocessor', ['mmengine.ImgDataPreprocessor', 'BaseDataPreprocessor'])
def test_a_preprocessor_of_mmengine_is_refused(preprocessor):
    name = preprocessor.split('.')[-1]
    with pytest.raises(InputError, match=f"{name} is MMEngine's, which leaves images in 0 to 255"):
        restorer(data_preprocessor=dict(type=preprocessor))
