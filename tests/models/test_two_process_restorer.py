"""Two processes with half of the batch each have the gradients of one process with the whole."""

import pytest
import torch
from tiny import fork
from torch import nn

from restorekit.models import CIDRestorer
from restorekit.models.networks import RestorationNetwork
from restorekit.structures import RestoreSample

INGREDIENTS = dict(
    plain={},
    reweighting=dict(reweighter=dict(type='DecorrelationReweighter', penalty=0.02, bank_size=8)),
    density_ratio=dict(reweighter=dict(type='DensityRatioReweighter')),
    coral=dict(alignment=dict(type='CORALLoss', bounded=False, loss_weight=200.0)),
    tokens_and_queue=dict(alignment=dict(type='CORALLoss', loss_weight=200.0, samples='tokens', tokens_per_image=99,
                                         queue_size=240)),
    everything=dict(reweighter=dict(type='DecorrelationReweighter', penalty=0.02), anchor=0.5,
                    alignment=dict(type='MeanCovarianceLoss', loss_weight=5.0)))


class Small(RestorationNetwork):
    """Two convolutions without BatchNorm."""

    embedding_dim = 6

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 3, 1)

    def forward(self, x):
        return self.last(self.embed(x))

    def embed(self, x):
        return self.first(x).relu()


def gradients(ingredients, part, wrap=lambda model: model):
    """Gradients of two steps' losses, the second with what the first left in memory, on a slice of the batches."""
    torch.manual_seed(0)
    model = CIDRestorer(Small(), losses=dict(pixel=dict(type='L1Loss')), share_interval=1, **ingredients)
    with torch.no_grad():
        model.network.first.weight *= 5  # covariances far from zero
    wrapped = wrap(model)
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        images = torch.rand(3, 8, 3, 6, 5, generator=generator) * torch.rand(3, 8, 1, 1, 1, generator=generator)
        samples = [RestoreSample() for _ in range(8)]
        for sample, gt in zip(samples, images[1], strict=True):
            sample.gt = (gt * 255).byte()
        model.zero_grad()
        losses = wrapped(images[0, part], samples[part], mode='loss', target=images[2, part] ** 2)
        model.parse_losses(losses)[0].backward()
    return [p.grad for p in model.network.parameters()]


def _rank(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2)
    results = {name: gradients(ingredients, slice(4 * rank, 4 * rank + 4), nn.parallel.DistributedDataParallel)
               for name, ingredients in INGREDIENTS.items()}
    torch.save(results, f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
def test_halves_give_the_gradients_of_the_whole(tmp_path):
    assert fork(_rank, tmp_path, ranks=2) == [0, 0]
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    plain = gradients({}, slice(0, 8))
    for name, ingredients in INGREDIENTS.items():
        expected = gradients(ingredients, slice(0, 8))
        for got in ranks:
            for a, b in zip(got[name], expected, strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5, msg=name)
        if ingredients:
            assert any((a - b).abs().max() > 1e-4 for a, b in zip(plain, expected, strict=True)), name  # it matters
