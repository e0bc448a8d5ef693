from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from restorekit.models import Decoder, EncoderDecoder
from restorekit.registry import MODELS
from restorekit.zoo import CID_NETWORK

torch.set_num_threads(1)
CONFIGS = Path(__file__).parents[2] / 'configs/_base_/networks'
TINY = dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=16)


@pytest.mark.parametrize('decoder, divisor, minimum, ranges', [
    (dict(type='CIDDecoder'), 32, 32, ((-1.0, 1.0), (0.0, 1.0))),
    (dict(type='AffineDecoder', embedding_channels=256), 16, 32, ((0.0, 1.0), (0.0, 1.0))),
])
def test_declarations_are_derived_and_embed_is_what_forward_features_returns(decoder, divisor, minimum, ranges):
    torch.manual_seed(0)
    network = EncoderDecoder(TINY, decoder).eval()
    assert (network.size_divisor, network.min_size, network.embedding_dim) == (divisor, minimum, 256)
    assert (network.input_range, network.output_range) == ranges
    x = torch.rand(2, 3, minimum, 2 * minimum)
    with torch.no_grad():
        image, embedding = network.forward_features(x)
        assert image.shape == x.shape and embedding.shape == (2, 256, minimum // 16, minimum // 8)
        assert torch.equal(network(x), image) and torch.equal(network.embed(x), embedding)


class ResidualDecoder(Decoder):
    """A stranger's decoder that says nothing of sizes but a minimum."""

    min_size = 20

    def __init__(self, in_channels, strides):
        super().__init__()
        self.embedding_dim = in_channels[0]

    def embed(self, features):
        return features[0]

    def decode(self, embedding, features, image):
        return image + embedding.mean()


@pytest.mark.parametrize('decoder, divisor, minimum', [
    (dict(type='CIDDecoder', pool_sizes=(12,)), 48, 48),
    (dict(type=ResidualDecoder), 16, 32),
])
def test_sizes_suit_both_the_encoder_and_the_decoder(decoder, divisor, minimum):
    network = EncoderDecoder(TINY, decoder)
    assert (network.size_divisor, network.min_size) == (divisor, minimum)
    assert network(torch.rand(2, 3, minimum, minimum)).shape == (2, 3, minimum, minimum)


def test_small_cid_learns_in_all_its_parameters():
    torch.manual_seed(0)
    network = MODELS.build(Config.fromfile(CONFIGS / 'cid_small.py').model.network)
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(network(x), x)
    decoder = network.decoder
    for layer in (decoder.head[-1], *(block.conv2 for block in (decoder.mid_block, *decoder.blocks))):
        torch.nn.init.normal_(layer.weight, std=0.1)
    (network(x) - 0.5 * x).abs().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_configs_name_the_published_networks():
    assert Config.fromfile(CONFIGS / 'cid_res2net101.py').model.network.to_dict() == CID_NETWORK
    aod_net = MODELS.build(Config.fromfile(CONFIGS / 'aod_net.py').model.network)
    assert sum(p.numel() for p in aod_net.parameters()) == 1761


@pytest.mark.parametrize('encoder, decoder, error, message', [
    (dict(TINY, out_indices=(2,)), dict(type='AffineDecoder'), ValueError, 'give the encoder more out_indices'),
    (TINY, dict(type='CIDDecoder', in_channels=(1, 2)), ValueError, 'gets in_channels from the encoder'),
    (TINY, 'CIDDecoder', TypeError, "decoder must be a config such as dict.*, but got 'CIDDecoder'"),
    (TINY, dict(type='CIDDecodr'), KeyError, "did you mean 'CIDDecoder'"),
    (dict(TINY, base_channels=10), dict(type='CIDDecoder'), ValueError, '70 channels .* must divide by 16'),
])
def test_wrong_combinations_are_refused_at_construction(encoder, decoder, error, message):
    with pytest.raises(error, match=message):
        EncoderDecoder(encoder, decoder)
