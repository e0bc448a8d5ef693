import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.models.losses import charbonnier_loss, l1_loss, mse_loss, ssim_loss
from restorekit.registry import MODELS

torch.set_num_threads(1)
NAMES = ['L1Loss', 'MSELoss', 'CharbonnierLoss', 'SSIMLoss']
ELEMENTWISE = {'L1Loss': lambda e: e.abs(), 'MSELoss': lambda e: e ** 2,
               'CharbonnierLoss': lambda e: (e ** 2 + 1e-6) ** 0.5}


def _images(shape=(3, 3, 14, 17), seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(shape, generator=generator, dtype=dtype) for _ in range(2))


@pytest.mark.parametrize('name', ELEMENTWISE)
def test_value_is_the_mean_of_the_weighted_error(name):
    pred, target = _images()
    error = ELEMENTWISE[name](pred - target)
    loss = MODELS.build({'type': name, 'loss_weight': 0.5})
    assert loss(pred, target).item() == pytest.approx(0.5 * error.mean().item())
    per_sample, per_pixel = torch.tensor([0.1, 0.0, 2.0]), torch.rand(3, 1, 14, 17)
    expected = sum(w * error[i].mean().item() for i, w in enumerate(per_sample.tolist())) / 3
    assert loss(pred, target, per_sample).item() == pytest.approx(0.5 * expected)
    assert loss(pred, target, per_pixel).item() == pytest.approx(0.5 * (error * per_pixel).mean().item())


@pytest.mark.parametrize('padding', ['valid', 'zero'])
def test_ssim_loss_weighs_the_image_or_the_map(padding):
    pred, target = _images()
    per_image = ssim_loss(pred, target, padding=padding, reduction='sample')
    loss = MODELS.build({'type': 'SSIMLoss', 'padding': padding})
    weight = torch.tensor([0.0, 3.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(loss(pred, target, weight), (weight * per_image).mean())
    mask = torch.zeros(3, 1, 14, 17, dtype=torch.float64)
    mask[:, :, 7, 8] = 1
    full = ssim_loss(pred, target, padding='zero', reduction='none')
    expected = full[:, :, 7, 8].sum() / ssim_loss(pred, target, padding=padding, reduction='none').numel()
    torch.testing.assert_close(loss(pred, target, mask), expected)


@settings(max_examples=20, deadline=None)
@given(name=st.sampled_from(NAMES), n=st.integers(1, 3), height=st.integers(1, 14), width=st.integers(1, 14),
       seed=st.integers(0, 99))
def test_weights_of_one_change_nothing_and_losses_are_finite(name, n, height, width, seed):
    pred, target = _images((n, 3, height, width), seed, torch.float32)
    pred.requires_grad_()
    loss = MODELS.build({'type': name})
    plain = loss(pred, target)
    for weight in (torch.ones(n), torch.ones(n, 1, height, width), torch.ones(n, 3, height, width)):
        torch.testing.assert_close(loss(pred, target, weight), plain, atol=1e-6, rtol=1e-6)
    assert loss(target, target).item() == pytest.approx(1e-3 if name == 'CharbonnierLoss' else 0, abs=1e-6)
    plain.backward()
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize('name', ['MSELoss', 'CharbonnierLoss', 'SSIMLoss'])
def test_gradients(name):
    pred, target = _images((2, 2, 5, 6))
    loss = MODELS.build({'type': name} | ({'window': 3} if name == 'SSIMLoss' else {}))
    weight = torch.tensor([0.3, 1.7], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight), pred.requires_grad_())


@pytest.mark.parametrize('function', [l1_loss, mse_loss, charbonnier_loss, ssim_loss])
def test_reductions_agree(function):
    pred, target = _images()
    none, sample = (function(pred, target, reduction=reduction) for reduction in ('none', 'sample'))
    torch.testing.assert_close(none.mean(dim=(1, 2, 3)), sample)
    torch.testing.assert_close(sample.mean(), function(pred, target))
    with pytest.raises(ValueError, match="reduction must be one of 'mean', 'sample', 'none', but got 'sum'"):
        function(pred, target, reduction='sum')


@pytest.mark.parametrize('name', NAMES)
def test_shapes_that_do_not_fit(name):
    pred, target = _images()
    loss = MODELS.build({'type': name})
    with pytest.raises(ValueError, match='must have the same shape'):
        loss(pred, target[..., 1:])
    with pytest.raises(ValueError, match=r'weight is \(2,\) for images \(3, 3, 14, 17\); give one number per sample'):
        loss(pred, target, torch.ones(2))
    with pytest.raises(ValueError, match='per pixel'):
        loss(pred, target, torch.ones(3, 1, 1, 17))


def test_half_precision_predictions_are_compared_in_float32():
    pred, target = _images((1, 3, 12, 12), dtype=torch.float32)
    for name in NAMES:
        loss = MODELS.build({'type': name})
        with torch.autocast('cpu', dtype=torch.bfloat16):
            value = loss(pred.bfloat16(), target.bfloat16())
        torch.testing.assert_close(value, loss(pred.bfloat16().float(), target.bfloat16().float()))


def test_charbonnier_needs_a_positive_eps():
    with pytest.raises(ValueError, match='eps must be positive, but got 0; for eps=0 use L1Loss'):
        MODELS.build({'type': 'CharbonnierLoss', 'eps': 0})
