"""Perceptual, spectral, colour, adversarial and physics losses against values computed by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from restorekit.checkpoint import CheckpointError
from restorekit.functional.image_quality import ms_ssim
from restorekit.messages import InputError
from restorekit.models import losses
from restorekit.models.losses import TeacherOutput, VGGFeatures
from restorekit.registry import MODELS

torch.set_num_threads(1)


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.slow
def test_vgg_features_are_those_of_torchvision(tmp_path):
    from torchvision.models import vgg16
    torch.manual_seed(0)
    whole = vgg16(weights=None).eval()
    path = tmp_path / 'vgg.pth'
    torch.save(whole.state_dict(), path)
    features = VGGFeatures('vgg16', ('relu1_2', 'relu3_1'), pretrained=str(path))
    image = images(1, 3, 16, 16)
    maps = features(image)
    x = (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    assert torch.allclose(maps[0], whole.features[:4](x), atol=1e-6)
    assert torch.allclose(maps[1], whole.features[:12](x), atol=1e-6)
    save_file({'features.0.weight': torch.zeros(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(CheckpointError, match='does not hold the weights of vgg16'):
        VGGFeatures('vgg16', ('relu1_1',), pretrained=str(tmp_path / 'other.safetensors')).load()
    with pytest.raises(InputError, match="relu1_2"):
        VGGFeatures('vgg16', ('relu1_3',), pretrained=None)


def test_frozen_networks_stay_out_of_checkpoints_and_do_not_learn():
    loss = losses.PerceptualLoss({'relu1_1': 1.0}, pretrained=None)
    holder = torch.nn.ModuleDict(dict(loss=loss, conv=torch.nn.Conv2d(3, 3, 1)))
    assert set(holder.state_dict()) == {'conv.weight', 'conv.bias'}
    holder.load_state_dict(holder.state_dict(), strict=True)
    assert not loss.train().features.training and not any(p.requires_grad for p in loss.parameters())
    assert holder.double().loss.features.mean.dtype == torch.double


def test_perceptual_loss_is_the_weighted_distance_of_maps():
    loss = losses.PerceptualLoss({'relu1_1': 2.0, 'relu2_1': 0.5}, pretrained=None, distance='l2', loss_weight=3.0)
    pred, target = images(2, 2, 3, 16, 16)
    a, b = loss.features(pred), loss.features(target)
    expected = 3 * (2 * (a[0] - b[0]).square().mean() + 0.5 * (a[1] - b[1]).square().mean())
    assert torch.allclose(loss(pred, target), expected)
    weight = torch.zeros(2, 1, 16, 16)
    weight[:, :, :8] = 2  # area means at half the size: rows of 2, then of 0
    expected = 3 * (2 * ((a[0] - b[0]).square() * weight).mean()
                    + 0.5 * ((a[1] - b[1]).square() * weight[..., ::2, ::2]).mean())
    assert torch.allclose(loss(pred, target, weight), expected)


def test_contrastive_loss_by_hand():
    loss = losses.ContrastiveLoss({'relu1_1': 0.5}, pretrained=None, loss_weight=2.0)
    pred, target, hazy = images(3, 2, 3, 8, 8)
    a, b, c = (loss.features(x)[0] for x in (pred, target, hazy))
    ratios = [(a[i] - b[i]).abs().mean() / ((a[i] - c[i]).abs().mean() + 1e-7) for i in range(2)]
    assert torch.allclose(loss(pred, target, input=hazy), 2 * 0.5 * (ratios[0] + ratios[1]) / 2)
    assert torch.allclose(loss(pred, target, torch.tensor([0.0, 4.0]), input=hazy), 2 * 0.5 * 4 * ratios[1] / 2)


def test_lpips_loss_by_hand_and_its_heads_from_a_file(tmp_path):
    heads = {f'lin{i}.model.1.weight': images(1, c, 1, 1, seed=i) for i, c in enumerate((64, 128, 256, 512, 512))}
    save_file(heads, tmp_path / 'heads.safetensors')
    loss = losses.LPIPSLoss(pretrained=None, heads=str(tmp_path / 'heads.safetensors'))
    pred, target = images(2, 1, 3, 32, 32)
    total = 0
    for a, b, head in zip(loss.features(pred), loss.features(target), heads.values(), strict=True):
        a, b = F.normalize(a, dim=1, eps=1e-10), F.normalize(b, dim=1, eps=1e-10)
        total += (head * (a - b) ** 2).sum(1).mean()
    assert torch.allclose(loss(pred, target), total, rtol=1e-4)


def test_ms_ssim_loss_is_one_minus_ms_ssim():
    clear = F.interpolate(images(1, 3, 23, 25), (184, 200), mode='bilinear')
    noisy = (clear + 0.1 * (images(1, 3, 184, 200, seed=1) - 0.5)).clamp(0, 1)
    noisy = torch.cat([noisy, clear])
    clear = torch.cat([clear, clear])
    values = 1 - ms_ssim(noisy, clear)
    assert values[0] > 0.005
    assert torch.allclose(losses.MSSSIMLoss()(noisy, clear), values.mean(), atol=1e-4)
    assert torch.allclose(losses.MSSSIMLoss()(noisy, clear, torch.tensor([3.0, 1.0])), 1.5 * values[0], atol=1e-4)
    with pytest.raises(InputError, match='at least 176 pixels on each side, but got 64x64'):
        losses.MSSSIMLoss()(images(1, 3, 64, 64), images(1, 3, 64, 64))


def test_edge_loss_by_hand():
    target, pred = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    pred[..., 1, 1] = 8.0
    # a point of 8: Sobel / 8 sees 1 2 1 on both sides in each direction; corners 1, sides 2
    assert losses.EdgeLoss()(pred, target).item() == pytest.approx((8 + 8) / 18)
    # Laplace: -32 in the middle, 8 at four sides
    assert losses.EdgeLoss('laplacian')(pred, target).item() == pytest.approx((32 + 4 * 8) / 9)
    charbonnier = losses.EdgeLoss('laplacian', eps=6.0)(pred, target)
    assert charbonnier.item() == pytest.approx((math.hypot(32, 6) + 4 * 10 + 4 * 6) / 9)


def test_frequency_losses_are_those_of_numpys_transform():
    pred, target = images(2, 1, 2, 6, 5).double()
    p, t = (np.fft.fft2(x.numpy()) for x in (pred, target))
    d = p - t
    expected = dict(complex=(abs(d.real) + abs(d.imag)).mean() / 2, amplitude=abs(abs(p) - abs(t)).mean(),
                    focal=(abs(d) ** 2 * abs(d) / abs(d).max(axis=(2, 3), keepdims=True)).mean())
    for kind, value in expected.items():
        assert losses.FrequencyLoss(kind)(pred, target).item() == pytest.approx(value)
    hole = torch.ones(1, 1, 6, 5).double()
    hole[..., 0, 0] = 0
    masked = np.fft.fft2(((pred - target) * hole).numpy())
    assert losses.FrequencyLoss()(pred, target, hole).item() == pytest.approx(
        (abs(masked.real) + abs(masked.imag)).mean() / 2)


def test_total_variation_by_hand():
    image = torch.tensor([[[[0.0, 1.0], [3.0, 3.0]]]])
    assert losses.TVLoss()(image, image).item() == pytest.approx((1 + 0 + 3 + 2) / 4)
    weight = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert losses.TVLoss()(image, image, weight).item() == pytest.approx((1 + 3) / 4)


def test_colour_losses_by_hand():
    a, b = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1), torch.tensor([1.0, 1.0, 0]).view(1, 3, 1, 1)
    assert losses.ColourLoss()(a, b).item() == pytest.approx(1 - 1 / math.sqrt(2), abs=1e-5)
    assert losses.ColourLoss()(a, 0.3 * a).item() == pytest.approx(0, abs=1e-4)
    black, white = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    assert losses.ColourLoss('ciede2000')(black, white).item() == pytest.approx(1.0, abs=1e-3)
    half = torch.cat([black, white], dim=3), torch.cat([black, black], dim=3)
    pred = half[0].requires_grad_()
    value = losses.ColourLoss('ciede2000')(pred, half[1])
    value.backward()
    assert value.item() == pytest.approx(0.5, abs=1e-3) and torch.isfinite(pred.grad).all()


def test_psnr_loss_counts_decibels():
    pred = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    target = torch.zeros(2, 3, 4, 4)
    assert losses.PSNRLoss()(pred, target).item() == pytest.approx((60 + 40) / 2, abs=1e-3)
    assert losses.PSNRLoss()(pred, target, torch.tensor([2.0, 0.0])).item() == pytest.approx(60, abs=1e-3)


def test_adversarial_losses_by_hand():
    fake, real = torch.tensor([-2.0, 0.5]).view(2, 1, 1, 1), torch.tensor([0.25, 3.0]).view(2, 1, 1, 1)

    def softplus(x):
        return math.log1p(math.exp(x))
    g, d = losses.generator_loss, losses.discriminator_loss
    assert g(fake).item() == pytest.approx(0.75)
    assert d(fake, real).item() == pytest.approx(((0 + 1.5) / 2 + (0.75 + 0) / 2) / 2)
    assert g(fake, kind='lsgan').item() == pytest.approx((9 + 0.25) / 2)
    assert d(fake, real, 'lsgan').item() == pytest.approx(((4 + 0.25) / 2 + (0.5625 + 4) / 2) / 2)
    assert g(fake, kind='vanilla').item() == pytest.approx((softplus(2) + softplus(-0.5)) / 2)
    assert d(fake, real, 'vanilla').item() == pytest.approx(
        ((softplus(-2) + softplus(0.5)) / 2 + (softplus(-0.25) + softplus(-3)) / 2) / 2)
    mf, mr = -0.75, 1.625
    both = [(softplus(-2 - mr) + softplus(0.5 - mr)) / 2, (softplus(mf - 0.25) + softplus(mf - 3)) / 2]
    assert d(fake, real, 'relativistic').item() == pytest.approx(sum(both) / 2)
    both = [(softplus(mr + 2) + softplus(mr - 0.5)) / 2, (softplus(0.25 - mf) + softplus(3 - mf)) / 2]
    assert g(fake, real, 'relativistic').item() == pytest.approx(sum(both) / 2)


def test_r1_is_part_of_the_discriminators_loss_and_reaches_its_weights():
    conv = torch.nn.Conv2d(3, 1, 1, bias=False)
    torch.nn.init.constant_(conv.weight, 0.5)
    loss = losses.AdversarialLoss('lsgan', r1_weight=10.0)
    named = loss.discriminator_loss(*images(2, 2, 3, 2, 2), conv)
    # each of 4 pixels has 3 channels of gradient 0.5
    assert named['loss_r1'].item() == pytest.approx(10 / 2 * 4 * 3 * 0.25)
    named['loss_r1'].backward()
    assert conv.weight.grad.flatten().tolist() == pytest.approx([20.0] * 3)


def test_teacher_loss_by_hand():
    pred, teacher = torch.full((1, 3, 2, 2), 0.25), torch.ones(1, 3, 2, 2)
    assert losses.TeacherLoss()(pred, pred, teacher=TeacherOutput(teacher)).item() == 0.75
    mine, other = torch.zeros(1, 2, 1, 2), torch.zeros(1, 5, 1, 2)
    mine[0, :, 0, 0], other[0, :, 0, 1] = 3.0, 1.0  # all energy at one of two places each
    loss = losses.TeacherLoss(of='embedding')
    assert loss(pred, pred, teacher=TeacherOutput(teacher, other), embedding=mine).item() == pytest.approx(2.0)
    assert loss(pred, pred, teacher=TeacherOutput(teacher, 7 * mine), embedding=mine).item() == pytest.approx(0.0)
    with pytest.raises(InputError, match='teacher with an embedding'):
        loss(pred, pred, teacher=TeacherOutput(teacher), embedding=mine)


def test_rehaze_loss_is_small_for_what_haze_explains():
    clear, airlight = images(1, 3, 40, 40), torch.tensor([0.9, 0.85, 0.8]).view(1, 3, 1, 1)
    clear[..., :6, :6] = airlight  # the sky, from which A is estimated
    clear[..., 6:, :] *= 0.6
    hazy = 0.6 * clear + 0.4 * airlight
    loss = losses.RehazeLoss(patch_size=3)
    right = loss(clear, clear, input=hazy).item()
    wrong = loss(clear.flip(1), clear, input=hazy).item()
    assert right < 0.002 < 5 * right + 0.02 < wrong
    dark = losses.RehazeLoss('dark_channel', patch_size=3)
    assert dark(hazy, clear, input=hazy) > dark(clear, clear, input=hazy) + 0.2


def test_a_loss_that_asks_for_what_the_restorer_lacks_is_refused_by_name():
    with pytest.raises(InputError, match=r"gan \(AdversarialLoss\) asks for 'discriminator'.*AdversarialRestorer"):
        MODELS.build(dict(type='Restorer', network=dict(type='AODNet'), losses=dict(gan=dict(type='AdversarialLoss'))))
