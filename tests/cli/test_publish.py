"""``restorekit publish`` and models of others by URL and hub."""

import hashlib
import json
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open

import restorekit
from restorekit.checkpoint import atomic_save, network_json
from restorekit.cli.main import main
from restorekit.messages import InputError, MissingDependencyError, UnavailableError
from restorekit.registry import MODELS
from restorekit.zoo.remote import fetch_model

NETWORK = dict(type='GUNet', depths=[1, 1, 1], base_channels=8)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = MODELS.build(NETWORK)
    meta = dict(restorekit=dict(format=1, network=network_json(NETWORK), config='{"seed": 3}'))
    path = tmp_path / 'iter_10.pth'
    atomic_save(dict(meta=meta, state_dict={f'network.{k}': v for k, v in network.state_dict().items()}), str(path))
    return path


def test_a_published_file_says_what_it_is_and_restores(checkpoint, tmp_path, capsys):
    (tmp_path / 'report').mkdir()
    (tmp_path / 'report/summary.json').write_text(json.dumps(dict(metrics={'sots/PSNR@rgb': 21.5})))
    assert not main(['publish', str(checkpoint), 'my-haze', '--licence', 'MIT', '--summary', 'For fog.',
                     '--report', str(tmp_path / 'report'), '-o', str(tmp_path / 'out'), '--dtype', 'float32'])
    file, = (tmp_path / 'out').glob('*.safetensors')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.name == f'my-haze-{digest[:8]}.safetensors' and digest in capsys.readouterr().out
    with safe_open(str(file), framework='pt') as content:
        record = json.loads(content.metadata()['restorekit'])
    assert json.loads(record['network']) == NETWORK and record['licence'] == 'MIT'
    assert record['input_range'] == [-1, 1] and record['results'] == {'sots/PSNR@rgb': 21.5}
    assert record['config_sha256'] == hashlib.sha256(json.dumps('{"seed": 3}').encode()).hexdigest()
    card = (tmp_path / 'out/my-haze.md').read_text()
    assert 'license: mit' in card and digest in card and '| sots | PSNR@rgb | 21.5000 |' in card and 'For fog.' in card
    photo = np.full((20, 24, 3), 90, np.uint8)
    published, trained = restorekit.load(str(file), device='cpu'), restorekit.load(str(checkpoint), device='cpu')
    assert np.array_equal(published(photo), trained(photo))
    with pytest.raises(restorekit.messages.ExistingFileError, match='my-haze.md is there already'):
        restorekit.publish(checkpoint, 'my-haze', licence='MIT', out=tmp_path / 'out')
    with pytest.raises(InputError, match="but got 'a/b'"):
        restorekit.publish(checkpoint, 'a/b', licence='MIT', out=tmp_path)


def test_models_of_the_hub_are_checked_and_cannot_hold_code(checkpoint, tmp_path, monkeypatch):
    pytest.importorskip('huggingface_hub')
    report = restorekit.publish(checkpoint, 'haze', licence='MIT', out=tmp_path / 'hub')
    files = {'me/haze': [report.file.name, 'README.md'], 'me/two': ['a.safetensors', 'b.safetensors']}
    monkeypatch.setattr('huggingface_hub.list_repo_files', files.__getitem__)
    monkeypatch.setattr('huggingface_hub.hf_hub_download', lambda repo, name: str(tmp_path / 'hub' / name))
    assert fetch_model('hf://me/haze') == report.file
    photo = np.full((20, 24, 3), 90, np.uint8)
    assert restorekit.load('hf://me/haze', device='cpu')(photo).shape == photo.shape
    with pytest.raises(InputError, match='holds 2 .safetensors files; name one'):
        fetch_model('hf://me/two')
    with pytest.raises(InputError, match='cannot hold code, but got model.pth'):
        fetch_model('hf://me/haze/model.pth')
    with pytest.raises(InputError, match='cannot hold code'):
        fetch_model('https://host/model-0123abcd.pth')
    with pytest.raises(InputError, match='is hf://user/repository, but got hf://me'):
        fetch_model('hf://me')
    report.file.write_bytes(report.file.read_bytes() + b' ')
    with pytest.raises(UnavailableError, match='not that in its name'):
        fetch_model('hf://me/haze')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(MissingDependencyError, match=r'restorekit\[hub\]'):
        fetch_model('hf://me/haze')
