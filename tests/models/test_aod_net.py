import pytest
import torch
import torch.nn.functional as F

from restorekit.models import AODNet

torch.set_num_threads(1)


def test_it_is_the_k_formula():
    torch.manual_seed(0)
    network, x = AODNet(channels=5, b=0.8), torch.rand(2, 3, 20, 13)
    with torch.no_grad():
        def conv(i, padding, *maps):
            layer = getattr(network, f'conv{i}')
            return F.conv2d(torch.cat(maps, 1), layer.weight, layer.bias, padding=padding).clamp(min=0)
        x1 = conv(1, 0, x)
        x2 = conv(2, 1, x1)
        x3 = conv(3, 2, x1, x2)
        x4 = conv(4, 3, x2, x3)
        k = conv(5, 1, x1, x2, x3, x4)
        expected = (k * (x - 1) + 0.8).clamp(min=0)
        assert torch.allclose(network(x), expected, atol=1e-6) and expected.std() > 0.05


def test_it_is_nearly_the_identity_at_start_and_learns():
    torch.manual_seed(0)
    network, x = AODNet(), torch.rand(1, 3, 32, 32)
    out = network(x)
    assert (out - x).abs().mean() < 0.25
    out.mean().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_it_has_no_embedding_and_says_so():
    assert AODNet.embedding_dim is None
    with pytest.raises(TypeError, match='AODNet has no embedding'):
        AODNet().embed(torch.rand(1, 3, 8, 8))


def test_channels_must_be_positive():
    with pytest.raises(ValueError, match='positive integer, but got 0'):
        AODNet(channels=0)
