"""Every number a degradation takes is bounded, and at its bounds the images are finite and in [0, 1]."""

import math
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorekit.degradations import Degradation, ProxyDepth, convert_depth
from restorekit.registry import DEGRADATIONS

#: HazeField needs folders of photos.
OPERATORS = sorted(name for name in DEGRADATIONS.names() if name != 'HazeField'
                   and DEGRADATIONS.get(name).__module__.startswith('restorekit.degradations')
                   and issubclass(DEGRADATIONS.get(name), Degradation) and not DEGRADATIONS.get(name).composite)


def bounds(name):
    """(lowest, highest) of every range that an operator takes, as its constructor checks them."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for cls in DEGRADATIONS.get(name).__mro__[:-1]:
            module = sys.modules[cls.__module__]
            if hasattr(module, 'check_range'):
                original = module.check_range

                def record(key, value, minimum=None, maximum=None, original=original):
                    found[key] = minimum, maximum
                    return original(key, value, minimum, maximum)
                patch.setattr(module, 'check_range', record)
        DEGRADATIONS.build(dict(type=name))
    return found


#: An argument that is refused alone, and what it goes with.
WITH = {'airlight_hue': {'airlight_saturation': 1}}


def holds(operator, image, depth):
    params = operator.sample([1, 2], *image.shape[-2:])
    result = operator.apply(image, depth, params)
    assert torch.isfinite(result).all() and result.min() >= 0 and result.max() <= 1
    for value in params.values():
        assert torch.isfinite(value.double()).all()


IMAGE = torch.linspace(0, 1, 2 * 3 * 9 * 13).reshape(2, 3, 9, 13)
DEPTHS = [torch.zeros(2, 1, 9, 13), torch.linspace(0, 1, 234).reshape(2, 1, 9, 13), torch.full((2, 1, 9, 13), 1e10),
          torch.linspace(0, 1e20, 234).reshape(2, 1, 9, 13), None]


@pytest.mark.parametrize('name', OPERATORS)
def test_all_numbers_are_bounded_and_their_corners_give_images(name):
    ranges = bounds(name)
    for key, (low, high) in ranges.items():
        assert low is not None and high is not None and math.isfinite(low) and math.isfinite(high), key
        for value in (low, high, (low, high)):
            for depth in DEPTHS:
                holds(DEGRADATIONS.build({'type': name, **WITH.get(key, {}), key: value}), IMAGE, depth)
    for corner in (0, 1):
        for depth in DEPTHS:
            holds(DEGRADATIONS.build({'type': name, **{key: pair[corner] for key, pair in ranges.items()}}), IMAGE,
                  depth)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(OPERATORS), st.data())
def test_any_numbers_within_the_bounds_give_images(name, data):
    config = {'type': name}
    for key, (low, high) in RANGES[name].items():
        ends = st.one_of(st.sampled_from([low, high]), st.floats(low, high))
        config[key] = tuple(sorted((data.draw(ends, label=key), data.draw(ends, label=key))))
    holds(DEGRADATIONS.build(config), IMAGE, data.draw(st.sampled_from(DEPTHS)))


RANGES = {name: bounds(name) for name in OPERATORS}


@pytest.mark.parametrize(('config', 'message'), [
    (dict(type='Underwater', water_depth=1e9), r'water_depth must be within \[0, 1000.0\]'),
    (dict(type='AtmosphericScattering', wavelength_exponent=1e6), 'wavelength_exponent must be within'),
    (dict(type='AtmosphericScattering', beta=10 ** 400), 'beta must be finite'),
    (dict(type='AtmosphericScattering', airlight_hue=(-1e308, 1e308)), 'airlight_hue must be within'),
    (dict(type='Rain', length=1e9), r'length must be within \[1, 500\]'),
    (dict(type='Snow', flakes=10 ** 9), 'flakes must be within'),
    (dict(type='OneOf', children=[dict(type='Blur'), dict(type='JPEG')], weights=[1e308, 1e308]), 'weights must')])
def test_absurd_numbers_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        DEGRADATIONS.build(config)


def test_absurd_depths_are_refused():
    haze = DEGRADATIONS.build(dict(type='AtmosphericScattering'))
    with pytest.raises(ValueError, match=r'depth must be finite and in \[0, 1e\+20\]'):
        haze(IMAGE, torch.full((2, 1, 9, 13), 1e30), [1, 2])
    with pytest.raises(ValueError, match='the greatest depth is inf'):
        convert_depth([[0.0, 255.0]], log_base=1e9)
    with pytest.raises(ValueError, match='camera_height must be within'):
        ProxyDepth(camera_height=1e9)
