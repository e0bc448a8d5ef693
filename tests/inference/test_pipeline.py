import json

import numpy as np
import pytest
import torch
from tiny import config

from restorekit import RestorationPipeline, load_network
from restorekit.checkpoint import CheckpointError, atomic_save, network_json
from restorekit.files.image_io import read_image
from restorekit.models import AODNet
from restorekit.registry import MODELS

NETWORK = config('x')['model']['network']


def picture(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    built = MODELS.build(dict(NETWORK)).eval()
    for name, parameter in built.named_parameters():  # a head that starts at zero would make it the identity
        parameter.data.add_(0.02 * torch.randn(parameter.shape))
        assert name
    return built


@pytest.fixture(scope='module')
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'tiny.pth'
    state = {f'network.{key}': value for key, value in network.state_dict().items()}
    meta = dict(restorekit=dict(format=1, network=network_json(NETWORK)))
    atomic_save(dict(meta=meta, state_dict=state), path)
    return path


def test_two_lines_from_python(checkpoint, tmp_path):
    restored = RestorationPipeline(checkpoint)(picture(), tmp_path / 'out.png')
    assert restored.shape == (20, 30, 3) and restored.dtype == np.uint8
    assert np.array_equal(read_image(tmp_path / 'out.png'), restored)
    assert np.array_equal(RestorationPipeline(checkpoint)(tmp_path / 'out.png'),
                          RestorationPipeline(checkpoint)(restored))


def test_result_is_the_rounded_output_of_the_network(network, checkpoint):
    image = picture(32, 48)  # needs no padding
    with torch.no_grad():
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        expected = (network(x).clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()
    got = RestorationPipeline(checkpoint, device='cpu')(image)
    assert np.array_equal(got, expected) and not np.array_equal(got, image)


@pytest.mark.parametrize('size', [(1, 1), (2, 50), (50, 2), (17, 33), (64, 64)])
def test_output_has_the_size_of_the_input(checkpoint, size):
    assert RestorationPipeline(checkpoint)(picture(*size)).shape == (*size, 3)


@pytest.mark.parametrize('bad', [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8),
                                 np.zeros((0, 4, 3), np.uint8), torch.zeros(3, 4, 4)])
def test_other_arrays_are_refused(checkpoint, bad):
    with pytest.raises(ValueError, match=r'an image is a file or a uint8 array \(H, W, 3\) in RGB, but got'):
        RestorationPipeline(checkpoint)(bad)


def test_network_is_frozen_and_in_eval_mode(checkpoint):
    loaded = load_network(checkpoint)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())


def test_bare_state_dict_needs_a_config(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'bare.pth')
    with pytest.raises(CheckpointError, match='bare.pth does not say what network it holds .*--config'):
        RestorationPipeline(tmp_path / 'bare.pth')
    (tmp_path / 'tiny.py').write_text(f'model = dict(network={NETWORK!r})\n')
    assert RestorationPipeline(tmp_path / 'bare.pth', tmp_path / 'tiny.py')(picture()).shape == (20, 30, 3)


def test_config_without_a_network_is_named(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'bare.pth')
    (tmp_path / 'empty.py').write_text('lr = 1\n')
    with pytest.raises(ValueError, match=r'empty.py has no model.network'):
        RestorationPipeline(tmp_path / 'bare.pth', tmp_path / 'empty.py')


def test_other_networks_weights_are_refused(tmp_path):
    torch.save(AODNet().state_dict(), tmp_path / 'aod.pth')
    (tmp_path / 'tiny.py').write_text(f'model = dict(network={NETWORK!r})\n')
    with pytest.raises(CheckpointError, match='aod.pth is a checkpoint of another network than this EncoderDecoder'):
        RestorationPipeline(tmp_path / 'aod.pth', tmp_path / 'tiny.py')


@pytest.mark.parametrize('description', [
    dict(type='os.system'), dict(type='AODNet', init_cfg=dict(type='Pretrained', checkpoint='x')), dict(type='NoNet'),
    'import os', 3, '[1]'])
def test_a_description_that_is_no_data_of_a_registered_network_is_refused(checkpoint, tmp_path, description):
    loaded = torch.load(checkpoint, weights_only=True)
    text = description if isinstance(description, (str, int)) else json.dumps(description)
    loaded['meta']['restorekit']['network'] = text
    torch.save(loaded, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match='odd.pth: .*'):
        load_network(tmp_path / 'odd.pth')


def test_python_text_in_a_checkpoint_is_never_read(checkpoint, tmp_path):
    loaded = torch.load(checkpoint, weights_only=True)
    trap = tmp_path / 'trap'
    loaded['meta'].update(config=f'open({str(trap)!r}, "w")', cfg=f'open({str(trap)!r}, "w")')
    torch.save(loaded, tmp_path / 'evil.pth')
    load_network(tmp_path / 'evil.pth')
    assert not trap.exists()
