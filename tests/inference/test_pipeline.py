import concurrent.futures
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import config

import restorekit
from restorekit import RestorationPipeline, load_network
from restorekit.checkpoint import CheckpointError, atomic_save, network_json
from restorekit.files.image_io import read_image
from restorekit.inference.pipeline import NotANumberError
from restorekit.inference.torch_backend import TorchBackend
from restorekit.models import AODNet
from restorekit.models.networks import RestorationNetwork
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


@pytest.fixture(scope='module')
def model(checkpoint):
    return RestorationPipeline(checkpoint, device='cpu')


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


@pytest.mark.parametrize('bad', [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.int32), torch.zeros(4, 4),
                                 np.zeros((0, 4, 3), np.uint8), torch.zeros(1, 4, 4), 3, None])
def test_other_objects_are_refused(model, bad):
    with pytest.raises(TypeError, match='an image is a file, a PIL image, an array .*, but got'):
        model(bad)


def test_every_kind_of_image_gives_the_same(model, tmp_path):
    image = picture()
    expected = model(image)
    Image.fromarray(image).save(tmp_path / 'a.png')
    assert np.array_equal(model(tmp_path / 'a.png'), expected)
    assert np.array_equal(np.array(model(Image.fromarray(image))), expected)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    assert np.array_equal(model(tensor).permute(1, 2, 0).numpy(), expected)
    batch = model(torch.stack([tensor, tensor]))
    assert batch.shape == (2, 3, 20, 30) and torch.equal(batch[1], batch[0])
    floats = model(image.astype(np.float32) / 255)
    assert floats.dtype == np.float32 and np.array_equal(np.rint(floats * 255).astype(np.uint8), expected)
    assert model(image / 255).dtype == np.float64
    deep = model(image.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16 and np.abs(deep / 257 - floats * 255).max() < 0.01
    one, two = model([image, tmp_path / 'a.png'])
    assert np.array_equal(one, expected) and np.array_equal(two, expected)


def test_grey_and_alpha_keep_their_shape(model):
    grey = picture()[..., 0]
    assert model(grey).shape == grey.shape and model(grey[..., None]).shape == (*grey.shape, 1)
    assert model(Image.fromarray(grey)).mode == 'L'
    alpha = np.dstack([picture(), grey])
    assert np.array_equal(model(alpha)[..., 3], grey)


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGBA', 'CMYK', 'LAB', 'I;16', 'I;16B', 'I', 'F'])
def test_pil_images_of_every_mode(model, mode):
    grey = np.random.default_rng(0).integers(0, 256, (12, 9), dtype=np.uint8)
    deep = grey.astype(np.uint16) * 257
    image = Image.fromarray(grey).convert('RGB')
    if mode == 'I;16B':
        image = Image.frombytes('I;16B', (9, 12), deep.astype('>u2').tobytes())
    elif mode in ('I;16', 'I', 'F'):
        image = Image.fromarray({'I;16': deep, 'I': deep.astype(np.int32), 'F': deep / np.float32(65535)}[mode])
    else:
        image = image.convert(mode)
    if mode == 'P':
        image.info['transparency'] = 3
    restored = model(image)
    kept = {'1': 'L', 'P': 'RGBA', 'CMYK': 'RGB', 'LAB': 'RGB', 'I;16B': 'I;16'}
    assert restored.mode == kept.get(mode, mode) and restored.size == image.size and 'transparency' not in restored.info
    if mode in ('I;16', 'I;16B', 'I'):
        assert np.array_equal(np.array(restored), model(deep)), 'of 16 bits'
    elif mode == 'F':
        assert np.allclose(np.array(restored), model(deep / np.float32(65535)))
    with pytest.raises(ValueError, match='0 to 65535, but got -1'):
        model(Image.fromarray(np.array([[-1, 5]], np.int32)))


def test_hidden_colours_do_not_bleed(model):
    image = np.full((32, 32, 3), 180, np.uint8)
    alpha = np.full((32, 32), 255, np.uint8)
    alpha[:, 16:] = 0
    dirty = image.copy()
    dirty[:, 16:] = 0  # what paint programs leave where nothing is seen
    clean, bled = (model(np.dstack([x, alpha])) for x in (image, dirty))
    assert np.array_equal(clean[:, :16], bled[:, :16])
    assert not bled[:, 16:, :3].any(), 'what nobody sees stays as it was'


def test_strength_mixes_in_linear_light(model):
    image, full = picture(), model(picture())
    assert np.array_equal(model(image, strength=0), image) and np.array_equal(model(image, strength=1), full)
    half = model(image, strength=0.5)

    def linear(x):
        x = x / 255
        return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    assert np.abs(linear(half) - (linear(image) + linear(full)) / 2).max() < 0.005
    with pytest.raises(ValueError, match='strength must be a number from 0 .* but got 1.5'):
        model(image, strength=1.5)


def test_mask_restores_where_it_is_white(model):
    image, mask = picture(), np.zeros((20, 30), np.uint8)
    mask[:, :15] = 255
    restored = model(image, mask=mask)
    assert np.array_equal(restored[:, 15:], image[:, 15:])
    assert np.array_equal(restored[:, :14], model(image)[:, :14])


def test_pickled_and_in_threads(model):
    images = [picture(16 + 3 * i, 20, seed=i) for i in range(6)]
    expected = [model(image) for image in images]
    copied = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copied(images[0]), expected[0])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(model, images), expected, strict=True):
            assert np.array_equal(got, wanted)


def test_floats_that_are_no_image_are_refused(model):
    bad = np.full((4, 4, 3), 0.5, np.float32)
    bad[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match='holds NaN or infinite values'):
        model(bad)
    with pytest.raises(ValueError, match='holds floats from -1 to'):
        model(np.full((4, 4, 3), -1.0))


def test_the_scale_of_floats_is_kept(model):
    image = picture().astype(np.float32)
    assert np.allclose(model(image) / 255, model(image / 255), atol=1e-5)


def test_load_and_info(checkpoint):
    model = restorekit.load(checkpoint)
    assert np.array_equal(model(picture()), RestorationPipeline(checkpoint)(picture()))
    info = model.info()
    assert info['network'] == 'EncoderDecoder' and info['tiling'] == 'approximate' and info['parameters'] > 1000


def test_it_says_what_it_is(checkpoint):
    name = Path(checkpoint).name
    assert repr(RestorationPipeline(checkpoint, device='cpu')) == \
        f'RestorationPipeline({name!r}: EncoderDecoder, torch, cpu, fp32)'
    assert repr(RestorationPipeline(checkpoint, device='cpu', precision='bf16')).endswith('cpu, bf16)')
    assert repr(restorekit.load('haze', device='cpu')).startswith(
        "RestorationPipeline('haze.safetensors': LowResolutionAffine, torch")


def test_folder(model, make_images, tmp_path):
    make_images(tmp_path / 'in', ['a.png', 'b.png'])
    report = model.restore_folder(tmp_path / 'in', tmp_path / 'out')
    assert len(report.results) == 2 and not report.failed
    assert np.array_equal(read_image(tmp_path / 'out' / 'b.png'), model(tmp_path / 'in' / 'b.png'))


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


@pytest.mark.parametrize('tiling', ['exact', 'coefficients'])
def test_a_network_that_gives_nan_is_named_and_makes_no_black_pixels(tiling):
    class Broken(RestorationNetwork):
        """Gives NaN at one pixel, or as one coefficient."""

        receptive_field = 1

        def coefficients(self, x):
            return torch.tensor([[1.0, float('nan')]]),

        def apply_coefficients(self, x, gain, rows=None, height=None):
            return x * gain[0, 1]

        def forward(self, x):
            return torch.where(x == x.amax(), torch.nan, x)
    Broken.tiling = tiling
    made = object.__new__(RestorationPipeline)
    made.checkpoint, made.backend = 'weights.pth', TorchBackend(Broken().eval(), 'cpu')
    made.tile, made.strength, made.protect_highlights = 'auto', 1.0, False
    with pytest.raises(NotANumberError, match='weights.pth gives values that are not numbers'):
        made.restore_pixels(picture(), name='a.png')
