import numpy as np
import pytest
import torch

import restorekit
from restorekit.functional.haze_prior import haze_prior
from restorekit.inference.torch_backend import TorchBackend
from restorekit.models import GridAffineDecoder, LowResolutionAffine, PriorEncoder
from restorekit.registry import MODELS

ENCODER = dict(type='PriorEncoder', features=dict(type='EfficientNetLite', out_stages=[3]))
DECODER = dict(type='GridAffineDecoder', channels=[8, 12], blocks=1)


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def trained_like(network):
    """Heads that are not zero, as after training."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for layer in (network.decoder.local_head, network.decoder.global_head[-1]):
            layer.weight.copy_(0.1 * torch.randn(layer.weight.shape, generator=generator))
    return network.eval()


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return trained_like(LowResolutionAffine(ENCODER, DECODER, size=(64, 48)))


def test_an_untrained_decoder_on_the_prior_is_a_dark_channel_prior():
    image = images(1, 3, 32, 48)
    features = PriorEncoder(dict(type='EfficientNetLite', out_stages=[3]))(image)
    decoder = GridAffineDecoder([f.shape[1] for f in features], (4, 8), channels=8, blocks=1)
    gain, bias, matrix = decoder.coefficients(features)
    prior = haze_prior(image)
    expected = torch.exp(prior.log_gains.mean(dim=1, keepdim=True))
    assert torch.allclose(gain, expected.expand_as(gain), rtol=1e-4)
    assert torch.allclose(bias, prior.airlight * (1 - gain), atol=1e-4)
    assert torch.equal(matrix, torch.eye(3)[None])


def test_what_the_decoder_predicts_is_bounded_for_any_weights():
    decoder = GridAffineDecoder((64, 16), (4, 8), channels=8, blocks=1)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(1e4)
    for scale in (1, 1e6):
        gain, bias, matrix = decoder.coefficients((scale * images(1, 64, 8, 8), scale * images(1, 16, 4, 4)))
        assert gain.isfinite().all() and gain.min() >= np.exp(-1) - 1e-5 and gain.max() <= np.exp(3) + 1e-3
        assert (matrix - torch.eye(3)).abs().max() <= 0.5
        if scale == 1:
            assert bias.abs().max() <= 1.6 + 20.1 * 1.6 + 0.5


def test_the_scale_of_deep_maps_does_not_matter():
    torch.manual_seed(0)
    decoder = GridAffineDecoder((64, 16), (4, 8), channels=8, blocks=1)
    torch.nn.init.normal_(decoder.local_head.weight, std=0.1)
    first, second = images(1, 64, 8, 8), images(1, 16, 4, 4)
    expected = decoder.coefficients((first, second))[0]
    assert torch.allclose(decoder.coefficients((first, 1000 * second))[0], expected, rtol=1e-2)
    assert (expected / expected.mean() - 1).abs().max() > 0.05  # the heads are not at their start


def test_strips_of_the_coefficients_equal_the_whole(network):
    x = images(2, 3, 51, 37)
    coefficients = network.coefficients(x)
    strips = [network.apply_coefficients(x, *coefficients, rows=slice(a, b)) for a, b in ((0, 7), (7, 50), (50, 51))]
    assert network.tiling == 'coefficients'
    assert torch.allclose(torch.cat(strips, dim=2), network(x), atol=1e-5)
    one = network.apply_coefficients(x[:, :, 7:50], *coefficients, rows=slice(7, 50), height=51)
    assert torch.equal(one, strips[1])


@pytest.mark.parametrize('size', [(200, 300), (48, 64), (40, 500), (1, 1), (3, 90)])
def test_the_array_form_equals_the_tensor_form(network, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    expected = expected[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert np.abs(network.restore_array(image) - expected).max() <= 1
    assert np.array_equal(network.restore_array(image, strength=0), image)


@pytest.mark.parametrize('strength', [1.0, 0.4])
def test_a_device_gives_the_bytes_that_the_cpu_gives(network, strength, monkeypatch):
    monkeypatch.setattr('restorekit.inference.torch_backend._DEVICE_STRIP', 1000)  # strips of three rows
    image = np.random.default_rng(0).integers(0, 256, (50, 301, 3), dtype=np.uint8)[:, :300]
    backend = TorchBackend(network, 'cpu')
    held = backend.coefficients(image.astype(np.float32) / 255)
    result = backend._apply_on_device(image, held, strength)
    expected = backend.apply_bytes(image, held, strength)
    assert result.shape == image.shape and np.abs(result.astype(int) - expected).max() <= 1
    assert np.mean(result != expected) < 0.01 and np.abs(result.astype(int) - image).mean() > 5


def test_gradients_reach_image_and_weights_through_the_small_copy():
    torch.manual_seed(0)
    network = LowResolutionAffine(ENCODER, DECODER, size=(32, 16))
    x = images(1, 3, 40, 50).requires_grad_()
    network(x).square().mean().backward()
    assert x.grad.abs().sum() > 0 and network.decoder.local_head.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_it_exports_whole_to_onnx_at_any_size(network, tmp_path):
    pytest.importorskip('onnxscript')
    onnxruntime = pytest.importorskip('onnxruntime')
    path = tmp_path / 'model.onnx'
    sizes = {2: torch.export.Dim('height', min=2, max=4096), 3: torch.export.Dim('width', min=2, max=4096)}
    torch.onnx.export(network, (images(1, 3, 80, 96),), path, dynamo=True, dynamic_shapes=(sizes,), verbose=False)
    session = onnxruntime.InferenceSession(path)
    for size in ((80, 96), (37, 150)):
        x = images(1, 3, *size)
        with torch.no_grad():
            expected = network(x).numpy()
        got, = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        assert np.abs(got - expected).max() < 2e-3


@pytest.mark.parametrize(('change', 'message'), [
    (dict(size=(60, 48)), 'multiples of 8'),
    (dict(decoder=dict(type='AffineDecoder')), 'needs a decoder that predicts coefficients')])
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(dict(type='LowResolutionAffine', encoder=ENCODER, decoder=DECODER, size=(64, 48)), **change))


def test_a_decoder_without_a_prior_map_is_refused():
    with pytest.raises(ValueError, match='holds no prior; use PriorEncoder, or prior=False'):
        GridAffineDecoder((4, 8), (4, 8), channels=8, blocks=1)
    with pytest.raises(ValueError, match='one entry for each of the 2 maps'):
        GridAffineDecoder((40, 8), (4, 8), channels=[8], blocks=1)


def test_features_with_small_strides_are_refused():
    with pytest.raises(ValueError, match='must be larger than 4'):
        PriorEncoder(dict(type='EfficientNetLite', out_stages=[2]))


@pytest.mark.parametrize('protect', [False, True])
@pytest.mark.parametrize('strength', [1.0, 0.4])
def test_the_pipeline_restores_bytes_as_it_restores_floats(tmp_path, network, strength, protect):
    """Bytes take the quick way, floats go through strips; both are the same picture."""
    from restorekit.checkpoint import network_json
    config = dict(type='LowResolutionAffine', encoder=ENCODER, decoder=DECODER, size=[64, 48])
    torch.save(dict(state_dict=network.state_dict(), meta=dict(restorekit=dict(
        format=1, network=network_json(config)))), tmp_path / 'model.pth')
    model = restorekit.load(checkpoint=tmp_path / 'model.pth', strength=strength, protect_highlights=protect)
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    image[10:40, 20:60] = 253
    quick, strips = model(image), model(image.astype(np.float32) / 255)
    assert quick.dtype == np.uint8 and np.abs(quick - 255 * strips).max() <= 2.5
    assert np.abs(quick - 255 * strips).mean() < 0.6
    kept = np.abs(quick[20:30, 30:50].astype(int) - 253).max() == 0
    assert kept == protect
