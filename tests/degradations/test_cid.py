import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.degradations import CIDScattering, cid_scatter

ONE = torch.ones(1)


def _scene():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(1, 3, 8, 9, generator=generator), torch.rand(1, 1, 8, 9, generator=generator)


def test_no_haze_white_light_no_log_factor_is_the_clear_image():
    image, depth = _scene()
    assert torch.equal(cid_scatter(image, depth * 0, ONE, ONE, ONE, kappa=0.), image)
    assert torch.equal(cid_scatter(image, depth, ONE, ONE, ONE * 0, kappa=0.), image)


@pytest.mark.parametrize('kappa', [0., 0.4, 1.])
def test_farthest_point_is_the_scattering_model_under_the_light(kappa):
    image, depth = _scene()
    depth = depth / depth.max()
    light = torch.tensor([[0.9, 0.7, 0.5]])
    beta = torch.tensor([1.3])
    result = cid_scatter(image, depth, light, ONE, beta, kappa)
    where = (depth[0, 0] == 1).nonzero()[0]
    t_min = math.exp(-1.3)
    expected = light[0] * (image[0, :, where[0], where[1]] * t_min + 1 - t_min)
    torch.testing.assert_close(result[0, :, where[0], where[1]], expected)


@given(exponent=st.floats(0.3, 3), beta=st.floats(0, 4), light=st.floats(0.05, 1))
@settings(max_examples=20, deadline=None)
def test_a_white_scene_shows_only_the_light(exponent, beta, light):
    depth = _scene()[1]
    result = cid_scatter(torch.ones(1, 3, 8, 9), depth, ONE * light, ONE * exponent, ONE * beta, kappa=0.)
    torch.testing.assert_close(result, torch.full_like(result, light ** exponent), rtol=1e-4, atol=1e-6)


def test_white_light_without_the_log_factor_is_the_scattering_model():
    image, depth = _scene()
    transmission = torch.exp(-1.7 * depth)
    torch.testing.assert_close(cid_scatter(image, depth, ONE, ONE, ONE * 1.7, kappa=0.),
                               image * transmission + 1 - transmission)


def test_faithful_form_by_hand_and_its_black_foreground():
    image = torch.full((1, 3, 1, 3), 0.8)
    depth = torch.tensor([0., 0.5, 1.]).reshape(1, 1, 1, 3)
    result = cid_scatter(image, depth, ONE * 0.9, ONE, ONE * 2., mode='faithful')[0, 0, 0]
    expected = [0.9 * (0.8 * math.exp(-2 * d) * d + 1 - math.exp(-2 * d)) for d in (0., 0.5, 1.)]
    torch.testing.assert_close(result, torch.tensor(expected))
    assert result[0] == 0


def test_faithful_veil_goes_negative_and_is_clipped_where_safe_is_not():
    image, depth = torch.zeros(1, 3, 4, 4), torch.full((1, 1, 4, 4), 0.1)
    raw = cid_scatter(image, depth, ONE, ONE * 2, ONE, mode='faithful')
    assert raw.max() < 0
    assert cid_scatter(image, depth, ONE, ONE * 2, ONE, kappa=0.).min() >= 0
    operator = CIDScattering(mode='faithful', exponent=2., beta=1., noise=0, depth_offset=0)
    assert operator(image, depth, seeds=[0])[0].min() == 0


@pytest.mark.parametrize('mode', ['safe', 'faithful'])
@pytest.mark.parametrize('level', [0., 0.7, 1000.])
def test_constant_depth_gives_no_nan(mode, level):
    result = cid_scatter(torch.rand(1, 3, 4, 4), torch.full((1, 1, 4, 4), level), ONE, ONE, ONE, 1., mode)
    assert torch.isfinite(result).all()


def test_noise_term_has_the_drawn_strength():
    operator = CIDScattering(beta=0, brightness=1, saturation=0, exponent=1, kappa=0, noise=10)
    image = torch.full((1, 3, 64, 64), 0.5)
    residual = operator(image, image[:, :1], seeds=[1])[0] - image
    assert abs(residual.std() * 255 - 10) < 0.3


@pytest.mark.parametrize('t_min', [0.05, 0.1, 0.2])
def test_the_literal_scene_never_has_more_than_a_quarter_of_its_contrast(t_min):
    depth = torch.linspace(0, 1, 2001).reshape(1, 1, 1, -1)
    beta = ONE * -math.log(t_min)
    white, black = (cid_scatter(torch.full((1, 3, 1, 2001), level), depth, ONE, ONE, beta, mode='faithful')
                    for level in (1., 0.))
    contrast = (white - black)[0, 0, 0]
    assert contrast.max() == pytest.approx(math.exp(-1) / -math.log(t_min), abs=1e-4)
    assert torch.exp(-beta * depth)[0, 0, 0, contrast.argmax()] == pytest.approx(math.exp(-1), abs=2e-3)


def test_scattering_with_coloured_airlight_is_no_special_case():
    image, depth = _scene()
    light = torch.tensor([[0.9, 0.7, 0.5]])
    cid = cid_scatter(image, depth, light, ONE, ONE, kappa=0.)
    transmission = torch.exp(-depth)
    torch.testing.assert_close(cid, light[:, :, None, None] * (image * transmission + 1 - transmission))
    # the light multiplies the scene too: the two differ by J t (1 - A)
    asm = image * transmission + light[:, :, None, None] * (1 - transmission)
    torch.testing.assert_close(asm - cid, image * transmission * (1 - light[:, :, None, None]))
