import sys

import pytest
import torch

from restorekit.models import TimmEncoder
from restorekit.registry import MODELS

torch.set_num_threads(1)


@pytest.mark.parametrize('name, size, levels, channels, strides', [
    ('resnet18', 64, (1, 2, 3), (64, 128, 256), (4, 8, 16)),
    ('swin_tiny_patch4_window7_224', 224, (0, 1), (96, 192), (4, 8)),  # a model whose maps come channels last
])
def test_maps_have_the_declared_channels_and_strides(name, size, levels, channels, strides):
    pytest.importorskip('timm')
    encoder = TimmEncoder(name, out_indices=levels).eval()
    assert (encoder.channels, encoder.strides) == (channels, strides)
    with torch.no_grad():
        shapes = [tuple(m.shape) for m in encoder(torch.rand(1, 3, size, size))]
    assert shapes == [(1, c, size // s, size // s) for c, s in zip(channels, strides, strict=True)]


def test_it_fits_a_decoder():
    pytest.importorskip('timm')
    network = MODELS.build(dict(type='EncoderDecoder', decoder=dict(type='AffineDecoder'),
                                encoder=dict(type='TimmEncoder', name='resnet18')))
    assert network.size_divisor == 32
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(network(x), x)


def test_wrong_names_and_levels():
    pytest.importorskip('timm')
    with pytest.raises(ValueError, match="no model 'resnet81'; did you mean .*'resnet18'"):
        TimmEncoder('resnet81')
    with pytest.raises(ValueError, match=r'no feature levels out_indices=\(9,\)'):
        TimmEncoder('resnet18', out_indices=(9,))


def test_absence_of_timm_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='pip install timm'):
        TimmEncoder('resnet18')


def test_pretrained_weights_are_loaded_by_init_weights(monkeypatch):
    timm = pytest.importorskip('timm')
    donor = timm.create_model('resnet18', features_only=True, out_indices=(1, 2))
    encoder = TimmEncoder('resnet18', pretrained=True, out_indices=(1, 2))
    monkeypatch.setattr(timm, 'create_model', lambda name, pretrained, **options: donor if pretrained else None)
    encoder.init_weights()
    assert torch.equal(encoder.backbone.conv1.weight, donor.conv1.weight)
