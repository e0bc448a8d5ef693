import json

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

import restorekit
from restorekit.degradations import AtmosphericScattering
from restorekit.scenes import SKY_DEPTH, render_scene
from restorekit.zoo.index import find_model


def psnr(a, b):
    return -10 * np.log10(((a.astype(float) - b) ** 2).mean() / 255 ** 2)


def scores(beta, seeds=(901, 902, 903), size=(144, 192)):
    """PSNR of rooms that were not trained on: as they are, by ``haze``, by ``dcp``."""
    networks = [restorekit.load_network(name) for name in ('haze', 'dcp')]
    rows = []
    for seed in seeds:
        clear, depth = render_scene(seed, *size, 'room')
        tensor = torch.from_numpy(clear).permute(2, 0, 1)[None].float() / 255
        degraded, _ = AtmosphericScattering(beta=beta, airlight=1.0)(
            tensor, torch.from_numpy(depth)[None, None], seeds=[seed])
        with torch.no_grad():
            images = [degraded, *(network(degraded) for network in networks)]
        rows.append([psnr((x[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy(), clear) for x in images])
    return np.mean(rows, axis=0)


def test_the_shipped_model_removes_haze_better_than_the_prior_and_changes_clear_rooms_less():
    hazy, ours, prior = scores(beta=1.2)
    assert ours > hazy + 4 and ours > prior + 4
    hazy, ours, prior = scores(beta=0.5)
    assert ours > hazy + 1
    _, ours, prior = scores(beta=0.01)
    assert ours > prior + 5


def test_the_worst_of_clear_rooms_and_streets_comes_back_nearly_as_it_was():
    model = restorekit.load('haze', device='cpu')
    values = {style: [psnr(model(clear), clear) for clear, _ in (
        render_scene(seed, 144, 192, style) for seed in range(901, 907))] for style in ('room', 'city', 'city_night')}
    # weights of 2026-11-26: rooms 20.9, streets 24.7, by night 40.2; all 33.5 in the mean
    assert min(values['room']) > 18 and min(values['city']) > 21.5 and min(values['city_night']) > 34
    assert np.mean(list(values.values())) > 29


@pytest.mark.parametrize('dtype, top', [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_strength_0_is_the_identity(dtype, top):
    image = (np.random.default_rng(0).random((50, 70, 3)) * top).astype(dtype)
    image[:20] = top  # highlights, which are kept by a way of their own
    model = restorekit.load('haze', device='cpu')
    off = restorekit.load('haze', device='cpu', strength=0)
    for result in (model(image, strength=0), off(image)):
        assert result.dtype == dtype and np.array_equal(result, image)
    assert not np.array_equal(model(image), image)


@pytest.mark.parametrize('style', ['city', 'highland', 'city_night'])
def test_clipped_skies_and_lamps_stay(style):
    clear, depth = render_scene(902, 144, 192, style)
    tensor = torch.from_numpy(clear).permute(2, 0, 1)[None].float() / 255
    hazy, _ = AtmosphericScattering(beta=1.2, airlight=0.8)(tensor, torch.from_numpy(depth)[None, None], seeds=[0])
    image = (hazy[0] * 255).round().byte().permute(1, 2, 0).numpy().copy()
    lamp = cv2.circle(np.zeros(depth.shape, np.uint8), (96, 100), 5, 1, -1) > 0
    image[lamp | (depth >= SKY_DEPTH)] = 255
    sky = cv2.erode((depth >= SKY_DEPTH).astype(np.uint8), np.ones((5, 5))) > 0
    result = restorekit.load('haze', device='cpu')(image)
    assert sky.mean() > 0.1 and result[sky].min() >= 254
    assert result[lamp].mean() > 250 and result[lamp].min() > 240
    assert np.abs(result.astype(float) - image)[~sky & ~lamp].mean() > 5  # the rest is restored


def test_the_file_says_the_licence_that_the_index_says():
    with safe_open(find_model('haze').path, framework='pt') as file:
        record = json.loads(file.metadata()['restorekit'])
    assert record['licence'] == find_model('haze').licence and 'research' in record['licence']


def test_a_network_is_loaded_by_name_too_and_a_wrong_name_is_told_the_nearest():
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    by_file = restorekit.load_network(find_model('dcp').path)
    assert torch.equal(restorekit.load_network('dcp')(image), by_file(image))
    with pytest.raises(KeyError, match='haze'):
        restorekit.load_network('hase')
    with pytest.raises(FileNotFoundError):
        restorekit.load_network('folder/hase')
