"""Hand-computed values of night, dust, light, noise, weather and water."""

import pathlib

import pytest
import torch
from mmengine import Config

from restorekit.degradations import (
    ColourCast,
    Dust,
    LowLight,
    NightHaze,
    PoissonGaussianNoise,
    Rain,
    Snow,
    Underwater,
)
from restorekit.degradations.weather import rain_field
from restorekit.functional.colour import linear_to_srgb, srgb_to_linear
from restorekit.registry import DEGRADATIONS

PRESETS = sorted((pathlib.Path(__file__).resolve().parents[2] / 'configs/_base_/degradations').glob('*.py'))


def test_dust_follows_the_colour_law():
    params = Dust(red=0.9, green=0.8, blue_power=3., wavelength_exponent=0.5, beta=1.).sample([0], 4, 4)
    torch.testing.assert_close(params['airlight'], torch.tensor([[0.9, 0.72, 0.9 * 0.512]]))
    torch.testing.assert_close(params['beta'], torch.tensor([[1., (0.62 / 0.54) ** 0.5, (0.62 / 0.46) ** 0.5]]))
    drawn = Dust().sample(range(200), 4, 4)
    for values in (drawn['airlight'].flip(1), drawn['beta']):
        assert (values[:, 1:] >= values[:, :-1]).all()


def test_low_light_by_hand():
    image = torch.tensor([0., 0.25, 1.]).reshape(1, 3, 1, 1)
    torch.testing.assert_close(LowLight(gamma=2., gain=0.5)(image, seeds=[0])[0].flatten(),
                               torch.tensor([0., 0.03125, 0.5]))
    flat = torch.full((1, 3, 16, 16), 0.5)
    torch.testing.assert_close(LowLight(gamma=3., mode='retinex')(flat, seeds=[0])[0], flat * 0.25)


def test_colour_cast_by_hand():
    image = torch.full((1, 3, 1, 1), 0.8)
    result = ColourCast(strength=0.25, hue=1 / 3)(image, seeds=[0])[0].flatten()
    torch.testing.assert_close(result, torch.tensor([0.6, 0.8, 0.6]))


@pytest.mark.parametrize('level', [0.2, 0.6])
def test_noise_variance_is_affine_in_the_signal(level):
    image = torch.full((1, 3, 128, 128), level)
    residual = PoissonGaussianNoise(sigma=5.1, shot=0.002)(image, seeds=[1])[0] - image
    assert abs(residual.mean()) < 1e-3
    assert abs(residual.var() / (0.002 * level + 0.02 ** 2) - 1) < 0.03


def test_grey_noise_is_shared_and_colour_noise_is_not():
    image = torch.full((1, 3, 64, 64), 0.5)
    grey = PoissonGaussianNoise(sigma=5., shot=0., grey=1.)(image, seeds=[1])[0]
    assert torch.equal(grey[:, 0], grey[:, 2])
    colour = PoissonGaussianNoise(sigma=5., shot=0.)(image, seeds=[1])[0] - image
    assert abs(torch.corrcoef(colour.reshape(3, -1))[0, 1]) < 0.05


def test_noise_in_linear_light():
    image = torch.full((1, 3, 128, 128), 0.5)
    noisy = PoissonGaussianNoise(sigma=2.55, shot=0., linear=True)(image, seeds=[1])[0]
    assert abs((srgb_to_linear(noisy) - srgb_to_linear(image)).std() - 0.01) < 5e-4
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(image)), image)


def test_night_without_lamps_is_dim_haze():
    image, depth = torch.full((1, 3, 8, 8), 0.64), torch.ones(1, 1, 8, 8)
    operator = NightHaze(beta=1., ambient=0.2, ambient_saturation=0., lamps=0, glow=0.)
    night, params = operator(image, depth, seeds=[0])
    transmission = torch.exp(torch.tensor(-1.))
    expected = 0.2 * (0.64 ** 1.5 * transmission + params['veil'] * (1 - transmission))
    torch.testing.assert_close(night, expected.expand_as(night))


def test_a_lamp_lights_its_surroundings_in_its_colour():
    image, depth = torch.full((1, 3, 64, 64), 0.5), torch.ones(1, 1, 64, 64)
    operator = NightHaze(lamps=1, ambient=0.1, ambient_saturation=0., glow=0.5, lamp_saturation=0.5)
    night, params = operator(image, depth, seeds=[3])
    x, y = params['lamp_position'][0, :2]
    peak = night[0].sum(0).flatten().argmax()
    assert abs(peak // 64 - y * 64) < 3 and abs(peak % 64 - x * 64) < 3
    assert night[0, :, int(y * 64), int(x * 64)].mean() > 4 * night[0, :, 63].mean()
    assert torch.equal(params['lamp_colour'][0, 3:], torch.zeros(15))


def test_rain_streaks_brighten_and_run_along_the_angle():
    image = torch.full((1, 3, 96, 96), 0.4)
    rainy = Rain(veil=0., strength=0.5)(image, seeds=[1])[0]
    assert (rainy >= image).all() and rainy.mean() > image.mean() + 0.005
    upright = torch.from_numpy(rain_field(3, 96, 96, 0.02, 21., 0.))
    along, across = (upright.diff(dim=0) ** 2).mean(), (upright.diff(dim=1) ** 2).mean()
    assert across > 4 * along


def test_rain_veil_by_hand():
    image = torch.full((1, 3, 4, 4), 0.2)
    veiled = Rain(strength=0., veil=0.25, airlight=0.8)(image, seeds=[1])[0]
    torch.testing.assert_close(veiled, torch.full_like(image, 0.35))


def test_more_flakes_cover_more():
    black = torch.zeros(1, 3, 96, 128)
    covers = [Snow(flakes=count, brightness=1., strength=1.)(black, seeds=[1])[0].mean() for count in (0, 50, 400)]
    assert covers[0] == 0 and covers[0] < covers[1] < covers[2] < 0.5


def test_underwater_by_hand():
    image, depth = torch.full((1, 3, 1, 1), 0.5), torch.full((1, 1, 1, 1), 0.5)
    result, params = Underwater(types='II', distance=4., water_depth=0., brightness=0.6)(image, depth, seeds=[0])
    transmission = torch.tensor([0.80, 0.925, 0.94]) ** 2
    torch.testing.assert_close(result.flatten(), 0.5 * transmission + 0.6 * (1 - transmission))
    deep = Underwater(types='III', water_depth=5.).sample([0], 1, 1)['veil'][0]
    torch.testing.assert_close(deep[0] / deep[2], torch.tensor((0.75 / 0.89) ** 5))


@pytest.mark.parametrize('path', PRESETS, ids=lambda path: path.stem)
def test_presets_build_and_degrade(path):
    config = Config.fromfile(path)
    assert list(config) == ['degradation']
    operator = DEGRADATIONS.build(config.degradation)
    image = torch.rand(12, 3, 40, 56) * 0.8
    result, params = operator(image, seeds=range(12))
    assert torch.isfinite(result).all() and result.min() >= 0 and result.max() <= 1
    assert (result - image).abs().mean(dim=(1, 2, 3)).gt(0.005).all()
    for i in (0, 7):
        assert torch.equal(operator(image[i:i + 1], seeds=[i])[0], result[i:i + 1])


def test_every_preset_is_there():
    assert {path.stem for path in PRESETS} == {'day', 'night', 'dust', 'cid_multi_domain', 'ridcp_like', 'cdd11_like'}
