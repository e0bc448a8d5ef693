"""Adversarial training and distillation in two processes have the gradients of one."""

import pytest
import torch
from tiny import fork
from torch import nn

from restorekit.models import AdversarialRestorer, DistillationRestorer
from restorekit.structures import RestoreSample

UNET = dict(type='UNet', channels=(4, 8))


def build(name):
    torch.manual_seed(0)
    pixel = dict(type='L1Loss')
    if name == 'adversarial':
        return AdversarialRestorer(UNET, dict(type='UNetDiscriminator', channels=4), losses=dict(
            pixel=pixel, gan=dict(type='AdversarialLoss', kind='lsgan', r1_weight=1.0)))
    return DistillationRestorer(UNET, dict(network=UNET), losses=dict(pixel=pixel, like=dict(type='TeacherLoss')))


def gradients(name, part, wrap=lambda model: model):
    model = build(name)
    wrapped = wrap(model)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 4, 3, 16, 16, generator=generator)
    samples = [RestoreSample() for _ in range(4)]
    for sample, gt in zip(samples, images[1], strict=True):
        sample.gt = (gt * 255).byte()
    losses = wrapped(images[0, part], samples[part], mode='loss')
    model.parse_losses(losses)[0].backward()
    return {key: p.grad for key, p in model.named_parameters() if p.requires_grad}


def _rank(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    results = {name: gradients(name, slice(2 * rank, 2 * rank + 2), nn.parallel.DistributedDataParallel)
               for name in ('adversarial', 'distillation')}
    torch.save(results, f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
def test_halves_give_the_gradients_of_the_whole(tmp_path):
    assert fork(_rank, tmp_path, ranks=2) == [0, 0]
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    for name in ('adversarial', 'distillation'):
        expected = gradients(name, slice(0, 4))
        assert any(grad.abs().max() > 1e-4 for key, grad in expected.items() if key.startswith('network'))
        for got in ranks:
            assert set(got[name]) == set(expected)
            for key, grad in expected.items():
                torch.testing.assert_close(got[name][key], grad, atol=1e-5, rtol=1e-4, msg=f'{name}: {key}')
