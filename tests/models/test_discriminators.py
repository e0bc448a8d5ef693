import pytest
import torch

from restorekit.models import PatchDiscriminator, UNetDiscriminator


@pytest.mark.parametrize(('network', 'size'), [
    (PatchDiscriminator(channels=4, layers=3), (6, 8)), (PatchDiscriminator(channels=4, layers=1), (30, 38)),
    (UNetDiscriminator(channels=4), (64, 80))])
def test_scores_have_their_size_and_do_not_depend_on_the_batch(network, size):
    x = torch.rand(3, 3, 64, 80, generator=torch.Generator().manual_seed(0))
    scores = network(x)
    assert scores.shape == (3, 1, *size)
    network.eval()
    assert torch.allclose(network(x)[1:2], network(x[1:2]), atol=1e-5)
    scores.mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_patch_discriminator_of_three_layers_sees_70_pixels():
    network = PatchDiscriminator(channels=4).double().eval()
    x = torch.rand(1, 3, 128, 128, dtype=torch.double, requires_grad=True)
    network(x)[0, 0, 7, 7].backward()
    seen = x.grad.abs().sum((0, 1)).nonzero()
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [70, 70]


def test_spectral_norm_bounds_each_layer():
    torch.manual_seed(0)
    network = PatchDiscriminator(channels=4)
    for _ in range(30):
        network(torch.rand(1, 3, 32, 32))
    for layer in network.layers:
        if isinstance(layer, torch.nn.Conv2d):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)
