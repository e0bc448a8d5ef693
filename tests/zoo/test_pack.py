import json

import pytest
import torch
from safetensors import safe_open

import restorekit
from restorekit.checkpoint import CheckpointError, network_json
from restorekit.cli.main import main
from restorekit.registry import MODELS
from restorekit.zoo import index
from restorekit.zoo.pack import pack_network

NETWORK = dict(type='AODNet', channels=4)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = MODELS.build(NETWORK)
    state = {f'network.{name}': value for name, value in network.state_dict().items()}
    meta = dict(restorekit=dict(format=1, network=network_json(NETWORK)))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'run.pth')
    return tmp_path / 'run.pth', network


def test_a_packed_network_says_what_it_is_and_does_nearly_the_same(checkpoint, tmp_path, capsys):
    path, network = checkpoint
    target = tmp_path / 'small.safetensors'
    assert main(['pack', str(path), str(target), '--licence', 'research use']) == 0
    with safe_open(target, framework='pt') as file:
        record = json.loads(file.metadata()['restorekit'])
        assert all(file.get_tensor(key).dtype == torch.float16 for key in file.keys())  # noqa: SIM118
    assert json.loads(record['network']) == NETWORK and record['dtype'] == 'float16'
    assert record['licence'] == 'research use'
    assert f'{target.stat().st_size:,} bytes' in capsys.readouterr().out
    loaded = restorekit.load_network(target)
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert 0 < (loaded(x) - network(x)).abs().max() < 2e-3
    exact = pack_network(path, tmp_path / 'exact.safetensors', dtype='float32')
    assert torch.equal(restorekit.load_network(tmp_path / 'exact.safetensors')(x), network(x)) and len(exact) == 64


def test_a_file_that_is_there_is_kept(checkpoint, tmp_path):
    target = tmp_path / 'a.safetensors'
    target.write_bytes(b'mine')
    with pytest.raises(FileExistsError, match='is there already'):
        pack_network(checkpoint[0], target)
    assert target.read_bytes() == b'mine'
    pack_network(checkpoint[0], target, overwrite=True)
    assert target.read_bytes() != b'mine'


def test_weights_that_are_not_finite_in_half_precision_are_refused(checkpoint, tmp_path):
    path, _ = checkpoint
    saved = torch.load(path, weights_only=True)
    saved['state_dict']['network.conv1.bias'][0] = 1e5
    torch.save(saved, path)
    with pytest.raises(CheckpointError, match=r'conv1\.bias is NaN or infinite in float16'):
        pack_network(path, tmp_path / 'a.safetensors')
    assert not (tmp_path / 'a.safetensors').exists()


def test_a_bare_state_dict_is_refused(tmp_path):
    torch.save({'weight': torch.ones(1)}, tmp_path / 'bare.pth')
    with pytest.raises(CheckpointError, match='does not say what network it holds'):
        pack_network(tmp_path / 'bare.pth', tmp_path / 'a.safetensors')


def test_the_models_of_the_index_have_a_file_inside_the_package_that_loads_and_fits_in_the_wheel():
    for name in index.list_models():
        model = index.find_model(name)
        network = restorekit.load_network(model.path)
        with torch.no_grad():
            out = network(torch.full((1, 3, 20, 30), 0.5))
        assert out.shape == (1, 3, 20, 30) and out.isfinite().all() and model.summary
        assert model.path.stat().st_size <= 4_000_000
        assert model.path.parent.parent.name == 'zoo'


def test_an_unknown_model_is_named_with_the_nearest():
    with pytest.raises(KeyError, match="'haze'"):
        index.find_model('hase')
    assert index.list_models('d*') == ['dcp'] and index.list_models() == ['cap', 'dcp', 'haze']
