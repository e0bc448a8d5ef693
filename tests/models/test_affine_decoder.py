import pytest
import torch

from restorekit.models import AffineDecoder

torch.set_num_threads(1)


def features_of(channels, strides, size=64):
    return [torch.rand(2, c, size // s, size // s) for c, s in zip(channels, strides, strict=True)]


@pytest.mark.parametrize('channels, strides', [
    ((64, 128, 256), (4, 8, 16)),
    ((32, 40), (2, 16)),
    ((8, 12, 16, 24, 32), (1, 2, 4, 8, 32)),
])
def test_it_starts_as_the_identity_and_every_parameter_learns(channels, strides):
    torch.manual_seed(0)
    decoder = AffineDecoder(channels, strides, embedding_channels=24)
    features, image = features_of(channels, strides), torch.rand(2, 3, 64, 64)
    out, embedding = decoder.forward_features(features, image)
    assert torch.equal(out, image)
    assert embedding.shape == (2, 24, 64 // strides[-1], 64 // strides[-1])
    assert torch.equal(embedding, decoder.embed(features))
    assert (decoder.size_divisor, decoder.min_size) == (strides[-1], 2 * strides[-1])
    for layer in (decoder.head[-1], *(block.conv2 for block in (decoder.mid_block, *decoder.blocks))):
        torch.nn.init.normal_(layer.weight, std=0.1)  # zero weights pass no gradient on the first step
    (decoder(features, image) - 0.5 * image).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())


def test_it_expresses_the_inverse_of_the_scattering_model():
    decoder = AffineDecoder((16, 16), (4, 8))
    airlight, transmission, clear = torch.tensor([0.9, 0.8, 0.7]), 0.4, torch.rand(1, 3, 16, 16)
    hazy = clear * transmission + airlight.view(1, 3, 1, 1) * (1 - transmission)
    with torch.no_grad():
        decoder.head[-1].bias[:3] = 1 / transmission - 1
        decoder.head[-1].bias[3:] = airlight * (1 - 1 / transmission)
        maps = [torch.rand(1, 16, 4, 4), torch.rand(1, 16, 2, 2)]
        assert torch.allclose(decoder(maps, hazy), clear, atol=1e-5)


@pytest.mark.parametrize('channels, strides, message', [
    ((64,), (4,), 'AffineDecoder needs at least 2 feature maps'),
    ((64, 128), (4, 6), 'powers of two'),
])
def test_maps_that_do_not_fit_are_refused(channels, strides, message):
    with pytest.raises(ValueError, match=message):
        AffineDecoder(channels, strides)
