"""What every registered degradation must keep."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.degradations import params_from_json, params_to_json, select, stack
from restorekit.registry import DEGRADATIONS

torch.set_num_threads(1)

CHAIN = {'type': 'Sequential', 'children': [
    {'type': 'OneOf', 'weights': [2, 1, 1], 'children': [
        {'type': 'AtmosphericScattering'}, {'type': 'Dust'},
        {'type': 'Shuffle', 'children': [{'type': 'Blur'}, {'type': 'Rain'}, {'type': 'LowLight'}]}]},
    {'type': 'Maybe', 'p': 0.5, 'child': {'type': 'PoissonGaussianNoise', 'grey': 0.5}},
    {'type': 'Maybe', 'p': 0.5, 'child': {'type': 'JPEG'}}]}

CONFIGS = {
    **{name: {'type': name} for name in (
        'AtmosphericScattering', 'NonHomogeneousHaze', 'NightHaze', 'Dust', 'CIDScattering', 'LowLight', 'ColourCast',
        'PoissonGaussianNoise', 'JPEG', 'Blur', 'Resize', 'Rain', 'Snow', 'Underwater',
        'ColourGain', 'NightGlow')},
    'faithful': {'type': 'CIDScattering', 'mode': 'faithful'},
    'retinex': {'type': 'LowLight', 'mode': 'retinex'},
    'linear': {'type': 'PoissonGaussianNoise', 'linear': True, 'grey': 0.5},
    'wavelength': {'type': 'AtmosphericScattering', 'wavelength_exponent': (0., 1.5), 'airlight_saturation': (0.1, 0.5),
                       'airlight_jitter': 0.025},
    'chain': CHAIN,
}

# configurations that leave the image as it is
IDENTITIES = {
    'AtmosphericScattering': {'beta': 0}, 'NonHomogeneousHaze': {'beta': 0}, 'Dust': {'beta': 0},
    'Underwater': {'distance': 0}, 'LowLight': {'gamma': 1}, 'ColourCast': {'strength': 0},
    'PoissonGaussianNoise': {'sigma': 0, 'shot': 0}, 'Blur': {'sigma': 0}, 'Resize': {'factor': 1},
    'ColourGain': {'red': 1, 'blue': 1}, 'NightGlow': {'glow': 0, 'veil': 0}, 'Rain': {'strength': 0, 'veil': 0},
    'Snow': {'strength': 0}, 'Maybe': {'child': {'type': 'JPEG'}, 'p': 0},
    'CIDScattering': {'beta': 0, 'brightness': 1, 'saturation': 0, 'exponent': 1, 'kappa': 0, 'noise': 0},
}


def _scene(count, height, width, dtype=torch.float32):
    generator = torch.Generator().manual_seed(height * 1000 + width)
    image = torch.rand(count, 3, height, width, generator=generator)
    return image.to(dtype), torch.rand(count, 1, height, width, generator=generator).to(dtype)


def test_every_registered_degradation_is_covered():
    from restorekit.degradations import Degradation
    names = {name for name in DEGRADATIONS.names() if issubclass(DEGRADATIONS.get(name), Degradation)
             and DEGRADATIONS.get(name).__module__.startswith('restorekit.')}
    assert names == set(CONFIGS) - {'faithful', 'retinex', 'linear', 'wavelength', 'chain'} | {
        'Sequential', 'OneOf', 'Maybe', 'Shuffle', 'HazeField'}  # the last has tests of its own


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('with_depth', [True, False])
def test_batch_equals_its_singles_and_replay_is_exact(name, with_depth):
    operator = DEGRADATIONS.build(CONFIGS[name])
    seeds = [11, 5, 2 ** 63 - 1, 0, 77]
    image, depth = _scene(5, 37, 51)
    depth = depth if with_depth else None
    result, params = operator(image, depth, seeds=seeds)
    assert result.shape == image.shape and result.min() >= 0 and result.max() <= 1
    assert torch.equal(operator.apply(image, depth, params), result)
    replayed = params_from_json(json.loads(json.dumps(params_to_json(params))))
    assert torch.equal(operator.apply(image, depth, replayed), result)
    singles = []
    for i, seed in enumerate(seeds):
        one = None if depth is None else depth[i:i + 1]
        single, drawn = operator(image[i:i + 1], one, seeds=[seed])
        assert torch.equal(single, result[i:i + 1]), f'sample {i} depends on its batch'
        assert torch.equal(operator.apply(image[i:i + 1], one, select(params, i)), single)
        singles.append(drawn)
    assert torch.equal(operator.apply(image, depth, stack(singles)), result)
    order = [3, 0, 4]
    assert torch.equal(operator.apply(image[order], None if depth is None else depth[order], select(params, order)),
                       result[order])


@pytest.mark.parametrize('name', CONFIGS)
def test_seeds_make_a_difference(name):
    operator = DEGRADATIONS.build(CONFIGS[name])
    image, depth = _scene(1, 32, 32)
    results = [operator(image, depth, seeds=[seed])[0] for seed in range(4)]
    assert any(not torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize('name', CONFIGS)
@settings(max_examples=6, deadline=None)
@given(shape=st.one_of(st.sampled_from([(1, 1), (1, 9), (9, 1), (257, 383)]),
                       st.tuples(st.integers(1, 70), st.integers(1, 70))),
       kind=st.sampled_from(['random', 'constant', 'zero', 'none']),
       value=st.sampled_from([None, 0., 1.]), seed=st.integers(0, 2 ** 63 - 1))
def test_any_shape_stays_finite_and_in_range(name, shape, kind, value, seed):
    image, depth = _scene(1, *shape)
    if value is not None:
        image = torch.full_like(image, value)
    depth = {'random': depth, 'constant': torch.full_like(depth, 0.7), 'zero': depth * 0, 'none': None}[kind]
    result, _ = DEGRADATIONS.build(CONFIGS[name])(image, depth, seeds=[seed])
    assert result.shape == image.shape
    assert torch.isfinite(result).all() and result.min() >= 0 and result.max() <= 1


@pytest.mark.parametrize('name', CONFIGS)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_half_types_are_computed_in_float32_and_float64_in_its_own(name, dtype):
    operator = DEGRADATIONS.build(CONFIGS[name])
    image, depth = _scene(2, 24, 31, dtype)
    result, params = operator(image, depth, seeds=[1, 2])
    assert result.dtype == dtype
    expected = operator.apply(image.float(), depth.float(), params)
    # JPEG's rounding to 8 bits may fall either way
    tolerance = {torch.float64: 2e-4, torch.float16: 2e-3, torch.bfloat16: 1e-2}[dtype]
    assert ((result.float() - expected).abs() <= tolerance).float().mean() > 0.98


@pytest.mark.parametrize('name', IDENTITIES)
def test_strength_zero_changes_nothing(name):
    operator = DEGRADATIONS.build(dict(type=name, **IDENTITIES[name]))
    image, depth = _scene(2, 33, 47)
    assert torch.equal(operator(image, depth, seeds=[3, 4])[0], image)


@pytest.mark.parametrize('name', ['AtmosphericScattering', 'NonHomogeneousHaze', 'Dust', 'CIDScattering'])
def test_more_beta_means_less_contrast(name):
    low, high = torch.zeros(1, 3, 16, 24), torch.ones(1, 3, 16, 24)
    depth = _scene(1, 16, 24)[1] + 0.01
    extra = {'noise': 0} if name == 'CIDScattering' else {}
    contrasts = []
    for beta in (0., 0.4, 0.9, 2., 4.):
        operator = DEGRADATIONS.build(dict(type=name, beta=beta, **extra))
        contrasts.append(operator(high, depth, seeds=[1])[0] - operator(low, depth, seeds=[1])[0])
    for less, more in zip(contrasts, contrasts[1:], strict=False):
        assert (more <= less + 1e-6).all()
    assert contrasts[-1].mean() < 0.5 * contrasts[0].mean()


@pytest.mark.parametrize('name', CONFIGS)
def test_wrong_input_is_refused_by_every_operator(name):
    operator = DEGRADATIONS.build(CONFIGS[name])
    image, depth = _scene(2, 8, 9)
    holes = depth.clone()
    holes[1, 0, 3, 3] = float('nan')
    cases = [
        (TypeError, 'image must be a float tensor in .0, 1., but got torch.uint8', ((image * 255).byte(), depth)),
        (ValueError, r'image values must lie in \[0, 1\]', (image * 2, depth)),
        (ValueError, r'image values must lie in \[0, 1\]', (image - 0.5, depth)),
        (ValueError, 'NaN is not allowed', (image.clone().fill_(float('nan')), depth)),
        (ValueError, 'depth must be finite', (image, holes)),
        (ValueError, 'depth must be finite', (image, depth / 0)),
        (ValueError, r'depth must have shape \(2, 1, 8, 9\) like the image, but got \(2, 1, 9, 8\)',
         (image, depth.mT.contiguous())),
        (ValueError, 'depth must have shape', (image, depth[:1])),
        (ValueError, 'image is empty', (image[:, :, :0], depth[:, :, :0])),
    ]
    for error, message, inputs in cases:
        with pytest.raises(error, match=message):
            operator(*inputs, seeds=[1, 2])


@pytest.mark.parametrize('name', CONFIGS)
@settings(max_examples=4, deadline=None)
@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), count=st.integers(2, 5), seed=st.integers(0, 2 ** 62),
       dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]), with_depth=st.booleans())
def test_a_batch_equals_its_singles_at_any_shape_and_type(name, shape, count, seed, dtype, with_depth):
    operator = DEGRADATIONS.build(CONFIGS[name])
    image, depth = _scene(count, *shape, dtype)
    depth = depth if with_depth else None
    result = operator(image, depth, seeds=range(seed, seed + count))[0]
    assert result.dtype == dtype and torch.isfinite(result).all() and result.min() >= 0 and result.max() <= 1
    for i in range(count):
        one = None if depth is None else depth[i:i + 1]
        assert torch.equal(operator(image[i:i + 1], one, seeds=[seed + i])[0], result[i:i + 1])


@pytest.mark.parametrize('config, error, message', [
    ({'type': 'AtmosphericScattering', 'beta': -1}, ValueError, r'beta must be within \[0, 10000.0\]'),
    ({'type': 'AtmosphericScattering', 'beta': (2, 1)}, ValueError, 'beta must be .low, high.'),
    ({'type': 'AtmosphericScattering', 'airlight': 1.2}, ValueError, r'airlight must be within \[0, 1\]'),
    ({'type': 'NonHomogeneousHaze', 'contrast': 2}, ValueError, 'contrast'),
    ({'type': 'CIDScattering', 'mode': 'exact'}, ValueError, "mode must be one of 'safe', 'faithful', but got 'exact'"),
    ({'type': 'CIDScattering', 'kappa': (0, 2)}, ValueError, 'kappa'),
    ({'type': 'Dust', 'green': 0}, ValueError, 'green'),
    ({'type': 'LowLight', 'gamma': 0.5}, ValueError, 'gamma'),
    ({'type': 'LowLight', 'mode': 'x'}, ValueError, 'mode'),
    ({'type': 'ColourCast', 'strength': 'much'}, TypeError, 'strength must be a number'),
    ({'type': 'NightHaze', 'lamps': 9}, ValueError, r'lamps must be within \[0, 6\]'),
    ({'type': 'PoissonGaussianNoise', 'grey': 1.5}, ValueError, 'grey'),
    ({'type': 'JPEG', 'quality': 0}, ValueError, 'quality'),
    ({'type': 'JPEG', 'subsampling': '4:1:1'}, ValueError, "subsampling must be one of '4:2:0', '4:4:4'"),
    ({'type': 'JPEG', 'subsampling': []}, ValueError, 'subsampling must name at least one'),
    ({'type': 'Resize', 'modes': 'lanczos'}, ValueError, 'modes must be one of'),
    ({'type': 'Underwater', 'types': '4C'}, ValueError, 'types must be one of'),
    ({'type': 'Rain', 'density': 0.9}, ValueError, 'density'),
    ({'type': 'Snow', 'flakes': -1}, ValueError, 'flakes'),
    ({'type': 'AtmosphericScatering'}, KeyError, 'AtmosphericScattering'),
])
def test_bad_settings_are_refused_at_construction(config, error, message):
    with pytest.raises(error, match=message):
        DEGRADATIONS.build(config)


def test_inputs_are_not_modified():
    image, depth = _scene(2, 16, 16)
    for config in CONFIGS.values():
        before, depth_before = image.clone(), depth.clone()
        DEGRADATIONS.build(config)(image, depth, seeds=[1, 2])
        assert torch.equal(image, before) and torch.equal(depth, depth_before)
    for name, settings_ in IDENTITIES.items():
        result = DEGRADATIONS.build({'type': name, **settings_})(image, depth, seeds=[1, 2])[0]
        assert result.data_ptr() != image.data_ptr(), f'{name} hands back its input'


def test_scattering_agrees_with_numpy_in_float64():
    image, depth = _scene(1, 9, 11)
    operator = DEGRADATIONS.build({'type': 'AtmosphericScattering'})
    result, params = operator(image, depth, seeds=[4])
    transmission = np.exp(-params['beta'].item() * depth[0, 0].double().numpy())
    airlight = params['airlight'][0].double().numpy()[:, None, None]
    expected = image[0].double().numpy() * transmission + airlight * (1 - transmission)
    np.testing.assert_allclose(result[0].numpy(), expected, atol=1e-6)
