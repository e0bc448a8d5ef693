import pytest
import torch

from restorekit.models import CIDDecoder, PyramidEnhancer

torch.set_num_threads(1)


def maps(channels, strides, size=32, batch=2):
    return [torch.rand(batch, c, size // s, size // s) for c, s in zip(channels, strides, strict=True)]


@pytest.mark.parametrize('channels, strides', [
    ((64, 128, 256), (4, 8, 16)),
    ((64, 256), (4, 8)),
    ((32, 128), (2, 8)),      # a map skipped: shuffled twice before the block
    ((16, 40, 64, 128), (1, 2, 4, 8)),
])
def test_any_maps_that_divide(channels, strides):
    decoder = CIDDecoder(channels, strides, pool_sizes=(8, 4))
    features, image = maps(channels, strides), torch.rand(2, 3, 32, 32)
    out, embedding = decoder.forward_features(features, image)
    assert out.shape == image.shape and out.abs().max() <= 1
    assert embedding.shape == (2, channels[-1], 32 // strides[-1], 32 // strides[-1])
    assert torch.equal(embedding, decoder.embed(features))
    assert torch.equal(out, decoder(features, None)), 'the image is not used'
    assert decoder.embedding_dim == channels[-1]


def test_declarations_of_the_published_shape():
    with torch.device('meta'):
        decoder = CIDDecoder((256, 512, 1024), (4, 8, 16))
    assert (decoder.size_divisor, decoder.min_size) == (32, 32)
    assert (decoder.input_range, decoder.output_range) == ((-1.0, 1.0), (0.0, 1.0))


@pytest.mark.parametrize('channels, strides, message', [
    ((64, 128, 250), (4, 8, 16), '250 channels are to be pixel-shuffled by 2, so they must divide by 4'),
    ((60, 128, 256), (4, 8, 16), '108 channels are to be pixel-shuffled by 4, so they must divide by 16'),
    ((64,), (4,), 'at least 2 feature maps'),
    ((64, 128), (4,), 'one stride per feature map'),
    ((64, 128), (4, 12), 'powers of two'),
    ((64, 128), (8, 4), 'grow from map to map'),
])
def test_maps_that_do_not_fit_are_refused(channels, strides, message):
    with pytest.raises(ValueError, match=message):
        CIDDecoder(channels, strides)


def test_every_parameter_learns_but_the_unused_norm():
    decoder = CIDDecoder((64, 128), (4, 8))
    decoder(maps((64, 128), (4, 8)), None).square().mean().backward()
    idle = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == ['enhancer.unused_norm.weight', 'enhancer.unused_norm.bias']
    assert not any(decoder.get_parameter(name).requires_grad for name in idle)


def test_pyramid_enhancer_is_blind_to_detail_inside_a_square_but_for_its_convolutions():
    enhancer = PyramidEnhancer(4, hidden_channels=4, pool_sizes=(8,)).eval()
    with torch.no_grad():
        for conv in (enhancer.refine1, enhancer.refine2):  # identities, so that f is the input
            conv.weight.zero_()
            conv.bias.zero_()
            for i in range(4):
                conv.weight[i, i, 1, 1] = 1
        enhancer.refine3.weight[:, 1:].zero_()  # look at the pooled channel alone
        x = torch.rand(1, 4, 16, 16)
        shuffled = x.clone()
        shuffled[..., :8, :8] = shuffled[..., :8, :8].flip(-1)
        assert torch.allclose(enhancer(x), enhancer(shuffled), atol=1e-6)
