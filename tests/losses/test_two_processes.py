"""Two gloo processes with parts of the batch equal one process with the whole."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from restorekit.distributed import gather_rows
from restorekit.evaluation import MAE, PSNR, SSIM
from restorekit.models.losses import CORALLoss, DecorrelationReweighter, DensityRatioReweighter

torch.set_num_threads(1)
SPLIT = (slice(0, 5), slice(5, 8))


def _data():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 8, 6, generator=generator), torch.randn(6, 12, generator=generator)


def _images():
    """Five images, the second without ground truth; interleaved over processes as mmengine's sampler does."""
    generator = torch.Generator().manual_seed(1)
    gt = torch.randint(0, 256, (5, 3, 6, 6), generator=generator, dtype=torch.uint8)
    return [{'img_path': str(i), 'domain': 'ab'[i % 2], 'pred': gt[i] / 255 * (0.5 + 0.1 * i),
             'gt': None if i == 1 else gt[i]} for i in range(5)]


def _learn(part):
    """Weights of three calls, and the gradient of a layer before CORAL, of the rows in ``part``."""
    inputs, layer = _data()
    reweighters = DecorrelationReweighter(penalty=0.05, bank_size=10, embedding_dim=12), DensityRatioReweighter()
    weights = [reweighter(x[part] @ layer) for x in inputs for reweighter in reweighters]
    layer.requires_grad_()
    source, target = inputs[0, part] @ layer, inputs[1, part] @ layer * 1.5
    (CORALLoss(bounded=True)(source, target) + gather_rows(source)[0].square().sum()).backward()
    return torch.stack(weights), layer.grad


def _evaluate(samples, folder=None, batch=1):
    means = {}
    for metric in (PSNR(collect_dir=folder), SSIM('ffa', collect_dir=folder), MAE('y-matlab', collect_dir=folder)):
        for start in range(0, len(samples), batch):
            metric.process(None, samples[start:start + batch])
        means |= metric.evaluate(5)
    return means


def _worker(rank, port_file, folder):
    dist.init_process_group('gloo', init_method=f'file://{port_file}', rank=rank, world_size=2)
    weights, gradient = _learn(SPLIT[rank])
    dist.all_reduce(gradient)  # DistributedDataParallel averages
    samples = _images()
    metrics = _evaluate((samples[0::2], samples[1::2] + samples[:1])[rank], f'{folder}/gathered', batch=2)
    torch.save((weights, gradient / 2, metrics), f'{folder}/result{rank}.pt')
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    (tmp_path / 'parts').mkdir()
    mp.spawn(_worker, (str(tmp_path / 'rendezvous'), str(tmp_path / 'parts')), nprocs=2)
    expected_weights, expected_gradient = _learn(slice(0, 8))
    parts = [tmp_path / 'parts' / f'result{rank}.pt' for rank in range(2)]
    if not all(part.exists() for part in parts):
        pytest.fail('a process ended without a result')
    (first, gradient, metrics), (second, same_gradient, same_metrics) = (torch.load(part) for part in parts)
    torch.testing.assert_close(torch.cat([first, second], dim=1), expected_weights, atol=1e-6, rtol=0)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-6, rtol=1e-5)
    assert torch.equal(gradient, same_gradient)
    assert metrics == same_metrics == _evaluate(_images())
    labels = ('PSNR@rgb', 'SSIM@ffa', 'MAE@y-matlab')
    assert set(metrics) == {f'{domain}/{label}' for domain in 'ab' for label in labels}
