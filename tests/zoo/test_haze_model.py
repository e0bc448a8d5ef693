import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

import restorekit
from restorekit.degradations import AtmosphericScattering
from restorekit.scenes import render_scene
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
