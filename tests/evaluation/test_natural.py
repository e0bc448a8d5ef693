"""NIQE and BRISQUE of our own, and fitting them."""

import json

import cv2
import numpy as np
import pytest
import torch

from restorekit.cli.main import main
from restorekit.evaluation import BRISQUE, NIQE
from restorekit.messages import InputError, MissingFileError
from restorekit.registry import METRICS
from restorekit.scenes.renderer import render_scene
from restorekit.tasks.fit_quality import fit_quality
from restorekit.testing import check_metric


@pytest.fixture(scope='module')
def scene():
    return torch.from_numpy(render_scene(1, 256, 320, 'city')[0]).permute(2, 0, 1)


@pytest.mark.parametrize('name', ['NIQE', 'BRISQUE'])
def test_contract(name):
    check_metric(dict(type=name))
    assert METRICS.build(dict(type=name)).label == f'{name}@restorekit'


@pytest.mark.slow
@pytest.mark.parametrize('kind', [NIQE, BRISQUE])
def test_worse_images_score_higher(kind, scene):
    random = torch.Generator().manual_seed(0)
    pixels = scene.permute(1, 2, 0).numpy()

    def rate(image):
        metric = kind()
        metric.update(image)
        return metric.compute()

    noisy = [rate((scene + sigma * torch.randn(scene.shape, generator=random)).clamp(0, 255).byte())
             for sigma in (10, 40)]
    blurred = [rate(torch.from_numpy(cv2.GaussianBlur(pixels, (0, 0), sigma)).permute(2, 0, 1)) for sigma in (1.5, 4)]
    jpeg = [rate(torch.from_numpy(cv2.imdecode(cv2.imencode('.jpg', pixels, [1, quality])[1], 1)).permute(2, 0, 1))
            for quality in (20, 5)]
    assert rate(scene) < min(noisy[1], blurred[1], jpeg[1])
    assert noisy[0] < noisy[1] and blurred[0] < blurred[1] and jpeg[0] < jpeg[1]


def test_small_images_are_not_measured():
    metric = NIQE()
    metric.update(torch.rand(3, 191, 300))
    with pytest.raises(InputError, match='images of at least 192 pixels'):
        metric.compute()


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    for i in range(3):  # textures that are sharp everywhere
        noise = np.random.default_rng(i).standard_normal((400, 500, 3))
        image = 128 + 90 * cv2.GaussianBlur(noise, (0, 0), 1.5 + i / 4) + 3 * noise
        cv2.imwrite(str(folder / f'{i}.png'), image.clip(0, 255).astype(np.uint8))
    return folder


def test_parameters_are_fitted_by_the_command_and_read_back(photos, tmp_path, capsys, scene):
    file = tmp_path / 'out' / 'mine.npz'
    assert main(['fit-quality', str(photos), str(file)]) == 0
    assert f'{file}: fitted to ' in capsys.readouterr().out
    metric = NIQE(parameters=str(file))
    assert metric.label == 'NIQE@mine' and metric.options['parameters'] != NIQE().options['parameters']
    with np.load(file) as found:
        mean, covariance = found['mean'], found['covariance']
    np.savez(tmp_path / 'other.npz', mu_pris_param=mean[None], cov_pris_param=covariance, gaussian_window=np.ones(7))
    other = NIQE(parameters=str(tmp_path / 'other.npz'))
    for one in (metric, other):
        one.update(scene)
    assert metric.compute() == other.compute()
    json.dumps(metric.options)


@pytest.mark.slow
def test_brisque_is_fitted(photos, tmp_path, scene):
    found = fit_quality(photos, tmp_path / 'b.npz', metric='brisque')
    assert (found['photos'], found['rows']) == (3, 48) and 0.3 < found['correlation'] <= 1
    metric = BRISQUE(parameters=str(tmp_path / 'b.npz'))
    metric.update(scene)
    clean = metric.compute()
    metric.reset()
    metric.update((scene + 50 * torch.randn(scene.shape)).clamp(0, 255).byte())
    assert metric.compute() > clean + 10


def test_mistakes_are_explained(photos, tmp_path):
    with pytest.raises(InputError, match="NIQE: library must be one of 'restorekit', 'pyiqa', but got 'piq'"):
        NIQE(library='piq')
    with pytest.raises(InputError, match="parameters are for library='restorekit', but got 'pyiqa'"):
        NIQE(library='pyiqa', parameters='x.npz')
    with pytest.raises(MissingFileError, match='no file of parameters gone.npz; restorekit fit-quality makes one'):
        BRISQUE(parameters='gone.npz')
    for content in (b'no archive', b''):
        (tmp_path / 'bad.npz').write_bytes(content)
        with pytest.raises(InputError, match='bad.npz is not a file of parameters for NIQE'):
            NIQE(parameters=str(tmp_path / 'bad.npz'))
    for arrays in (dict(mean=np.zeros(36)), dict(mean=np.zeros(36), covariance=np.zeros((36, 35))),
                   dict(mean=np.full(36, np.nan), covariance=np.eye(36)),
                   dict(mean=np.array([{}]), covariance=np.eye(36))):
        np.savez(tmp_path / 'bad.npz', **arrays)
        with pytest.raises(InputError, match='bad.npz is not a file of parameters for NIQE'):
            NIQE(parameters=str(tmp_path / 'bad.npz'))
    with pytest.raises(InputError, match="metric must be 'niqe' or 'brisque', but got 'fade'"):
        fit_quality(photos, tmp_path / 'x.npz', metric='fade')
    with pytest.raises(InputError, match='must end in .npz, but got x.mat'):
        fit_quality(photos, 'x.mat')
    (tmp_path / 'small').mkdir()
    cv2.imwrite(str(tmp_path / 'small' / 'a.png'), np.zeros((100, 300, 3), np.uint8))
    with pytest.raises(InputError, match='a.png is 300x100; photos must have at least 192 pixels'):
        fit_quality(tmp_path / 'small', tmp_path / 'x.npz')
