import pytest
import torch

from restorekit.datasets.transforms import Degrade
from restorekit.degradations import AtmosphericScattering, NonHomogeneousHaze, build_degradation

HAZE = dict(type='AtmosphericScattering', beta=(0.5, 1.5), airlight=1.0)


def scene(n=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n, 3, 12, 16, generator=generator), torch.rand(n, 1, 12, 16, generator=generator)


@pytest.mark.parametrize('operator', [AtmosphericScattering(airlight=0.8), NonHomogeneousHaze(airlight=0.8)])
def test_the_transmission_explains_the_haze(operator):
    image, depth = scene()
    params = operator.sample([0, 1, 2], 12, 16)
    t = operator.transmission(image, depth, params)
    expected = image * t + 0.8 * (1 - t)
    assert torch.allclose(operator.apply(image, depth, params), expected, atol=1e-5)


def test_compositions_multiply_what_their_children_know_and_mark_what_they_do_not():
    image, depth = scene(6)
    both = build_degradation(dict(type='Sequential', children=[HAZE, dict(type='JPEG'), HAZE]))
    params = both.sample(range(6), 12, 16)
    first, second = (params[name]['beta'] for name in ('0_AtmosphericScattering', '2_AtmosphericScattering'))
    expected = torch.exp(-(first + second).view(-1, 1, 1, 1) * depth)
    assert torch.allclose(both.transmission(image, depth, params), expected.expand(6, 3, 12, 16))
    either = build_degradation(dict(type='OneOf', children=[HAZE, dict(type='NightGlow')]))
    params = either.sample(range(6), 12, 16)
    t = either.transmission(image, depth, params)
    assert set(params['choice'].tolist()) == {0, 1}
    assert torch.equal(t.isnan().all(dim=(1, 2, 3)) if hasattr(t, 'all') else t, params['choice'] == 1)
    assert build_degradation(dict(type='NightGlow')).transmission(image, depth, {}) is None


def test_the_transform_keeps_it_for_the_sample():
    image, depth = scene(1)
    results = dict(gt=(image[0].permute(1, 2, 0) * 255).byte().numpy(), depth=depth[0, 0].numpy(), seed=3)
    out = Degrade(HAZE, transmission=True)(dict(results))
    beta = out['degradation']['beta']
    assert torch.allclose(out['transmission'], torch.exp(-beta * depth[0]), atol=1e-5)
    assert Degrade(dict(type='NightGlow'), transmission=True)(dict(results))['transmission'].isnan().all()
    assert 'transmission' not in Degrade(HAZE)(dict(results))
