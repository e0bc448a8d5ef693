import re
from importlib.metadata import version

import torch

from restorekit.cli.main import main
from restorekit.tasks.env import env, problems


def test_versions_with_known_faults_are_named():
    found = problems({'torch': '2.5.1+cu124', 'numpy': '2.4.6', 'mmengine': '0.9', 'opencv-python': '4.11.0.86',
                      'opencv-python-headless': '4.11.0.86'})
    assert len(found) == 3
    assert found[0].startswith('torch 2.5.1+cu124 is older than 2.6: torch.load(weights_only=True) can be made to run')
    assert found[1].startswith('mmengine 0.9 is older than 0.10.7')
    assert 'opencv-python and opencv-python-headless are both installed' in found[2]
    assert problems({'torch': '2.10.0', 'numpy': None}) == []


def test_the_command_shows_what_is_installed(capsys, monkeypatch):
    assert main(['env']) == 0
    text = capsys.readouterr().out
    assert re.search(rf'^torch +{re.escape(version("torch"))}$', text, re.MULTILINE) and 'cores' in text
    monkeypatch.setattr('restorekit.tasks.env.version', lambda name: '1.0' if name == 'torch' else None)
    assert main(['env', '--check']) == 1
    assert 'problem: torch 1.0 is older than 2.6' in capsys.readouterr().err
    assert env(hardware=False).versions['safetensors'] is None


def test_a_gpu_that_torch_cannot_use_is_none(monkeypatch):
    def too_old(index):
        raise RuntimeError('The NVIDIA driver on your system is too old')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)  # as the driver itself says
    monkeypatch.setattr(torch.cuda, 'get_device_properties', too_old)
    assert env().hardware['cuda'] == 'none'
