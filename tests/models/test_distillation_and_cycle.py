"""Distillation, and training without pairs."""

import pytest
import torch
from torch import nn

from restorekit.checkpoint import atomic_save, network_json
from restorekit.degradations.haze import scatter
from restorekit.messages import InputError
from restorekit.models import CycleRestorer, DistillationRestorer, GridDehazeNet
from restorekit.structures import RestoreSample

TEACHER = dict(type='GridDehazeNet', channels=4, growth=4, layers=1)


def batch(with_truth=True):
    images = torch.randint(256, (2, 2, 3, 10, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = [RestoreSample(metainfo=dict(img_path='x')) for _ in images[0]]
    for sample, gt in zip(samples, images[1], strict=True):
        if with_truth:
            sample.gt = gt
    return dict(inputs=list(images[0]), data_samples=samples), images.float() / 255


def save_teacher(path, description=True):
    torch.manual_seed(1)
    network = GridDehazeNet(channels=4, growth=4, layers=1)
    meta = dict(restorekit=dict(format=1, network=network_json(TEACHER))) if description else {}
    atomic_save(dict(meta=meta, state_dict={f'network.{k}': v for k, v in network.state_dict().items()}), str(path))
    return network.eval()


def test_the_teacher_sees_the_image_in_its_own_range_and_size(tmp_path):
    network = save_teacher(tmp_path / 'teacher.pth')
    restorer = DistillationRestorer(
        dict(type='UNet', channels=(4, 8, 8, 8)), dict(checkpoint=str(tmp_path / 'teacher.pth')),
        losses=dict(pixel=dict(type='L1Loss'), like=dict(type='TeacherLoss'),
                    features=dict(type='TeacherLoss', of='embedding', loss_weight=0.1)))
    data, (hazy, clear) = batch()  # padded to 16 for the student; the teacher needs 12
    losses = restorer(**restorer.data_preprocessor(data, True), mode='loss')
    padded = nn.functional.pad(hazy, (0, 0, 1, 1), mode='reflect')
    wanted = network(2 * padded - 1)[..., 1:-1, :].clamp(0, 1)
    assert losses['loss_like'].item() == pytest.approx((hazy - wanted).abs().mean().item(), abs=1e-5)  # starts as x
    assert losses['loss_pixel'].item() == pytest.approx((hazy - clear).abs().mean().item(), abs=1e-5)
    assert losses['loss_features'] > 0
    restorer.parse_losses(losses)[0].backward()
    assert all(p.grad is None for p in restorer.teacher.parameters())
    assert all(name.startswith('network.') for name in restorer.state_dict())


def test_without_truth_the_teachers_image_stands_for_it(tmp_path):
    save_teacher(tmp_path / 'teacher.pth', description=False)
    teacher = dict(network=TEACHER, checkpoint=str(tmp_path / 'teacher.pth'))
    restorer = DistillationRestorer(dict(type='AODNet'), teacher, losses=dict(like=dict(type='TeacherLoss')))
    losses = restorer(**restorer.data_preprocessor(batch(with_truth=False)[0], True), mode='loss')
    assert set(losses) == {'loss_like'} and losses['loss_like'] > 0
    restorer = DistillationRestorer(dict(type='AODNet'), teacher, losses=dict(
        like=dict(type='TeacherLoss'), pixel=dict(type='L1Loss')))
    with pytest.raises(InputError, match='no ground truth'):
        restorer(**restorer.data_preprocessor(batch(with_truth=False)[0], True), mode='loss')


def test_teachers_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match='needs a network, a checkpoint, or both'):
        DistillationRestorer(dict(type='AODNet'), {})
    with pytest.raises(InputError, match='the teacher AODNet has no embedding'):
        DistillationRestorer(dict(type='UNet', channels=(4, 8)), dict(network=dict(type='AODNet')),
                             losses=dict(features=dict(type='TeacherLoss', of='embedding')))


def cycle(**kwargs):
    torch.manual_seed(0)
    return CycleRestorer(dict(type='AODNet'), dict(type='PatchDiscriminator', channels=4, layers=1), channels=4,
                         losses=dict(pixel=dict(type='L1Loss')), **kwargs)


def test_a_cycle_hazes_what_it_restored_by_density_and_depth():
    restorer = cycle()
    hazy, clear = torch.rand(2, 2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    losses = restorer(hazy, [None, None], mode='loss', target=clear)
    assert set(losses) == {'loss_pixel_hazy', 'loss_pixel_clear', 'loss_consistency', 'loss_gan_clear', 'loss_gan_hazy',
                           'loss_discriminator_clear', 'loss_discriminator_hazy'}
    restored = restorer.network(hazy)
    beta, airlight = restorer.scattering(hazy)
    rehazed = scatter(restored, restorer.depth(restored), airlight, beta)
    assert losses['loss_pixel_hazy'].item() == pytest.approx((rehazed - hazy).abs().mean().item(), abs=1e-6)
    sum(value for name, value in losses.items() if 'discriminator' not in name).backward()
    assert all(p.grad is None for p in restorer.discriminator.parameters())
    for part in (restorer.network, restorer.scattering, restorer.depth):
        assert all(p.grad is not None for p in part.parameters())


def test_a_cycle_learns_the_density_that_it_draws():
    restorer = cycle(consistency_weight=1.0)
    optimizer = torch.optim.Adam([*restorer.scattering.parameters(), *restorer.depth.parameters()], lr=3e-3)
    generator = torch.Generator().manual_seed(2)
    values = []
    for _ in range(40):
        hazy, clear = torch.rand(2, 4, 3, 16, 16, generator=generator)
        loss = restorer.loss(0.4 * hazy + 0.5, [None] * 4, target=clear)['loss_consistency']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert sum(values[-10:]) < 0.8 * sum(values[:10])


def test_a_cycle_needs_clear_images_and_plain_losses():
    with pytest.raises(InputError, match='UnpairedDataset'):
        cycle().loss(torch.rand(1, 3, 16, 16), [None])
    with pytest.raises(InputError, match='gan ask for more'):
        CycleRestorer(dict(type='AODNet'), dict(type='PatchDiscriminator', channels=4, layers=1),
                      losses=dict(gan=dict(type='AdversarialLoss')))
