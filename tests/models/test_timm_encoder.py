import sys

import pytest
import torch

from restorekit.messages import InputError
from restorekit.models import Restorer, TimmEncoder
from restorekit.registry import MODELS
from restorekit.structures import RestoreSample

torch.set_num_threads(1)


@pytest.mark.parametrize('name, size, levels, channels, strides', [
    ('resnet18', 64, (1, 2, 3), (64, 128, 256), (4, 8, 16)),
    ('swin_tiny_patch4_window7_224', 64, (0, 1), (96, 192), (4, 8)),  # maps come channels last, made for 224x224
    ('test_vit', 96, (0, 1), (64, 64), (16, 16)),
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


def test_arguments_of_timms_models_pass_through():
    timm = pytest.importorskip('timm')
    encoder = TimmEncoder('test_vit', out_indices=(0,), img_size=64)
    plain = timm.create_model('test_vit', features_only=True, out_indices=(0,))
    assert encoder.backbone.model.pos_embed.shape[1] == 17 != plain.model.pos_embed.shape[1]
    with pytest.raises(InputError, match='resnet18 of timm does not take these arguments.*no_such'):
        TimmEncoder('resnet18', no_such=1)


def test_an_older_timm_is_told_otherwise_to_take_any_size(monkeypatch):
    timm, asked = pytest.importorskip('timm'), []
    real = timm.create_model

    def older(name, strict_img_size=True, **kwargs):
        asked.append(kwargs.pop('dynamic_img_size', None))
        if asked[-1] is not None:
            raise TypeError("got an unexpected keyword argument 'dynamic_img_size'")
        return real(name, **kwargs, strict_img_size=strict_img_size)
    monkeypatch.setattr(timm, 'create_model', older)
    name = 'swin_tiny_patch4_window7_224'
    encoder = TimmEncoder(name, out_indices=(0, 1))
    assert asked == [None, True, None] and encoder.kwargs == dict(strict_img_size=False)
    with pytest.raises(InputError, match='swin_tiny.*of timm cannot be an encoder.*match model'):
        TimmEncoder(name, out_indices=(0, 1), strict_img_size=True)


@pytest.mark.parametrize(('name', 'reason'), [
    ('inception_v3', r'at 96x64 .*(Calculated (padded input|output)|level 0 is \(64, 45)'),
    ('deit_tiny_distilled_patch16_224', None), ('cait_xxs24_224', "doesn't match model"), ('levit_128s', 'at 192x128')])
def test_a_model_that_does_not_take_any_size_is_refused_by_the_reason(name, reason):
    pytest.importorskip('timm')
    if reason is None:
        assert TimmEncoder(name, out_indices=(0,)).strides == (16,)
        return
    with pytest.raises(InputError, match=f'{name} of timm cannot be an encoder.*any size: .*{reason}'):
        TimmEncoder(name)


@pytest.mark.slow
def test_sizes_that_windows_must_fill_become_the_networks_divisor():
    pytest.importorskip('timm')
    network = MODELS.build(dict(type='EncoderDecoder', decoder=dict(type='FPNDecoder', channels=8),
                                encoder=dict(type='TimmEncoder', name='mobilevitv2_050')))
    assert network.encoder.strides[-1] == 32 and network.size_divisor == 64


FAMILIES = [
    'convmixer_768_32', 'convnext_atto', 'convnextv2_atto', 'densenet121', 'dla34', 'edgenext_xx_small',
    'efficientnet_lite0', 'efficientvit_b0', 'ese_vovnet19b_dw', 'fastvit_t8', 'gernet_s', 'ghostnet_050',
    'hgnetv2_b0', 'hrnet_w18_small', 'mambaout_femto', 'mnasnet_small', 'mobilenetv3_small_050',
    'mobilenetv4_conv_small_035', 'mobilevit_xxs', 'poolformer_s12', 'pvt_v2_b0', 'regnety_002', 'repvgg_a0',
    'resnet10t', 'selecsls42', 'starnet_s1', 'swin_tiny_patch4_window7_224', 'tinynet_e', 'twins_svt_small',
    'vgg11', 'vit_tiny_patch16_224', 'vit_small_patch14_dinov2',
]


#: Versions of timm that give their maps, or know torch's meta device.
SINCE = dict(convmixer_768_32=(1, 0, 31), efficientvit_b0=(1, 0, 31))


@pytest.mark.slow
@pytest.mark.parametrize('name', FAMILIES)
def test_a_family_of_timm_trains_and_restores_any_size(name):
    timm = pytest.importorskip('timm')
    if name in SINCE and tuple(map(int, timm.__version__.split('.')[:3])) < SINCE[name]:
        pytest.skip(f'timm {timm.__version__} cannot: {name} needs {".".join(map(str, SINCE[name]))}')
    torch.manual_seed(0)
    network = MODELS.build(dict(
        type='EncoderDecoder', encoder=dict(type='TimmEncoder', name=name),
        decoder=dict(type='FPNDecoder', channels=8, head_channels=4)))
    torch.nn.init.normal_(network.decoder.head.convs[-1].weight, std=0.1)
    restorer = Restorer(network, losses=dict(pixel=dict(type='L1Loss')))
    image = torch.randint(256, (2, 3, 70, 50), dtype=torch.uint8)
    samples = [RestoreSample(metainfo=dict(img_path='x')) for _ in image]
    for sample in samples:
        sample.gt = image[0]
    data = restorer.data_preprocessor(dict(inputs=list(image), data_samples=samples), True)
    restorer.parse_losses(restorer(**data, mode='loss'))[0].backward()
    without = [key for key, p in restorer.named_parameters() if p.requires_grad and p.grad is None]
    assert not without
    assert sum(bool(p.grad.any()) for p in network.encoder.parameters() if p.grad is not None) > 3
    assert restorer.eval().test_step(dict(inputs=[image[0]], data_samples=samples[:1]))[0].pred.shape == (3, 70, 50)
