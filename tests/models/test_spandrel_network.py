import sys

import pytest
import torch

from restorekit.checkpoint import (
    CheckpointError,
    atomic_save,
    build_described_network,
    network_config_from_json,
    network_json,
)
from restorekit.messages import InputError, MissingDependencyError
from restorekit.models import Restorer, SpandrelNetwork
from restorekit.structures import RestoreSample
from restorekit.testing import check_network

spandrel = pytest.importorskip('spandrel')
torch.set_num_threads(1)

SMALL = dict(
    NAFNet=dict(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]),
    SCUNet=dict(dim=64, config=[1] * 7), RetinexFormer=dict(n_feat=8, stage=1), MixDehazeNet=dict(
        embed_dims=[8, 16, 24, 16, 8], depths=[1, 1, 1, 1, 1]),
    HVICIDNet=dict(channels=[12, 12, 24, 48], heads=[1, 2, 4, 8]),
    Uformer=dict(embed_dim=8, depths=[1] * 9, num_heads=[1] * 9, img_size=128))


@pytest.mark.parametrize('name', SMALL)
def test_a_network_of_spandrel_restores_trains_and_describes_itself(name):
    torch.manual_seed(0)
    network = SpandrelNetwork(name, SMALL[name])
    size = network.min_size
    image = torch.randint(256, (3, size + 1, size - 3), dtype=torch.uint8)
    restorer = Restorer(network, losses=dict(pixel=dict(type='L1Loss'))).eval()
    with torch.no_grad():
        pred = restorer.test_step(dict(inputs=[image], data_samples=[RestoreSample()]))[0].pred
    assert pred.shape == image.shape and pred.std() > 0
    crops = torch.rand(1, 3, max(size, 32), max(size, 32))
    restorer.train()
    sum(restorer(crops, [sample(crops)], mode='loss').values()).backward()
    assert sum(bool(p.grad is not None and p.grad.any()) for p in network.parameters()) > 10
    cfg = network_config_from_json(network_json(network.description()))
    other = build_described_network(cfg, network.state_dict(), 'x.pth').state_dict()
    assert all(torch.equal(value, other[key]) for key, value in network.state_dict().items())


def sample(crops):
    made = RestoreSample()
    made.gt = (crops[0] * 255).byte()
    return made


def test_nafnet_keeps_the_contract_of_a_network():
    check_network(dict(type='SpandrelNetwork', architecture='NAFNet', hyperparameters=SMALL['NAFNet']))


@pytest.mark.parametrize('key', [None, 'params', 'params_ema', 'state_dict'])
def test_a_file_of_the_authors_says_what_network_it_holds(tmp_path, key):
    body = SpandrelNetwork('NAFNet', SMALL['NAFNet']).body
    torch.nn.init.normal_(body.ending.weight)
    state = {f'module.{name}': value for name, value in body.state_dict().items()}
    atomic_save(state if key is None else {key: state}, str(tmp_path / 'naf.pth'))
    network = SpandrelNetwork(pretrained=str(tmp_path / 'naf.pth'))
    assert network.architecture == 'NAFNet' and network.weights_licence == 'MIT'
    assert network.description()['hyperparameters'] == dict(SMALL['NAFNet'], img_channel=3)
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(network(x), body(x))
    with pytest.raises(CheckpointError, match='holds a NAFNet, not a SCUNet'):
        SpandrelNetwork('SCUNet', pretrained=str(tmp_path / 'naf.pth'))
    atomic_save({'a.weight': torch.zeros(3)}, str(tmp_path / 'other.pth'))
    with pytest.raises(CheckpointError, match='other.pth: spandrel .* knows no architecture'):
        SpandrelNetwork(pretrained=str(tmp_path / 'other.pth'))


def test_mixdehazenet_is_fed_the_range_it_was_trained_in():
    torch.manual_seed(0)
    network = SpandrelNetwork('MixDehazeNet', SMALL['MixDehazeNet']).eval()
    assert network.input_range == network.output_range == (-1, 1)
    image = torch.randint(256, (3, 40, 40), dtype=torch.uint8)
    restorer = Restorer(network).eval()
    pred = restorer.test_step(dict(inputs=[image], data_samples=[RestoreSample()]))[0].pred
    with torch.no_grad():
        right = (network.body(image[None].float() / 127.5 - 1)[0] + 1) / 2
    assert torch.allclose(pred, right.clamp(0, 1), atol=1e-5)


def test_what_does_not_fit_is_refused(monkeypatch):
    with pytest.raises(InputError, match='needs an architecture, such as'):
        SpandrelNetwork()
    with pytest.raises(InputError, match="no architecture 'NAFnett'; did you mean 'NAFNet'"):
        SpandrelNetwork('NAFnett')
    with pytest.raises(InputError, match='does not take these hyperparameters.*widht'):
        SpandrelNetwork('NAFNet', dict(widht=8))
    with pytest.raises(InputError, match='scale 4, which enlarges'):
        SpandrelNetwork('ESRGAN', dict(in_nc=3, out_nc=3, num_filters=8, num_blocks=1, scale=4, plus=False))
    monkeypatch.setitem(sys.modules, 'spandrel', None)
    with pytest.raises(MissingDependencyError, match=r'restorekit\[foreign\]'):
        SpandrelNetwork('NAFNet')
