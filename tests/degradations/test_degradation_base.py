import json

import pytest
import torch

from restorekit.degradations import (
    AtmosphericScattering,
    Degradation,
    Draw,
    check_range,
    fractal_noise,
    normal_field,
    params_from_json,
    params_to_json,
    per_sample,
    select,
    stack,
)


def test_draws_depend_on_seed_and_key_only():
    many, one = Draw([5, 6, 7]), Draw([6])
    for name, args in [('uniform', (0.2, 3.)), ('log_uniform', (0.1, 3.)), ('normal', (1., 2.)), ('integers', (0, 9)),
                       ('choice', ([1., 2., 3.],)), ('permutation', (4,)), ('seed', ())]:
        assert torch.equal(getattr(many, name)('k', *args)[1:2], getattr(one, name)('k', *args)), name
    assert not torch.equal(many.uniform('a'), many.uniform('b'))
    assert torch.equal(many.uniform('a', size=3)[1:2], one.uniform('a', size=3))


def test_draws_have_the_right_distribution():
    draw = Draw(range(20000))
    uniform = draw.uniform('u', 2., 4.)
    assert uniform.min() >= 2 and uniform.max() <= 4 and abs(uniform.mean() - 3) < 0.02
    normal = draw.normal('n', 1., 2.)
    assert abs(normal.mean() - 1) < 0.05 and abs(normal.std() - 2) < 0.05
    counts = torch.bincount(draw.choice('c', [1., 0., 3.]), minlength=3) / 20000
    assert counts[1] == 0 and abs(counts[0] - 0.25) < 0.02
    assert sorted(set(draw.integers('i', 3, 6).tolist())) == [3, 4, 5, 6]
    logs = draw.log_uniform('l', 0.01, 1.).log10()
    assert abs(logs.mean() + 1) < 0.02
    assert abs(torch.corrcoef(torch.stack([draw.uniform('a'), draw.uniform('b')]))[0, 1]) < 0.03


def test_normal_field_is_standard_normal_and_replayable():
    field = normal_field(torch.tensor([3, 4]), 3, 101, 103)
    assert torch.equal(field[1:], normal_field(torch.tensor([4]), 3, 101, 103))
    assert abs(field.mean()) < 0.01 and abs(field.std() - 1) < 0.01
    kurtosis = field.double().pow(4).mean() / field.double().var() ** 2
    assert abs(kurtosis - 3) < 0.1
    assert abs(torch.corrcoef(field.reshape(2, -1))[0, 1]) < 0.02


def test_fractal_noise_fills_the_unit_interval_and_keeps_its_shape_over_sizes():
    small = fractal_noise(torch.tensor([3]), 64, 96)
    large = fractal_noise(torch.tensor([3]), 128, 192)
    assert small.min() == 0 and small.max() == 1
    shrunk = torch.nn.functional.interpolate(large, (64, 96), mode='area')
    assert (shrunk - small).abs().mean() < 0.02
    assert not torch.equal(small, fractal_noise(torch.tensor([4]), 64, 96))


@pytest.mark.parametrize('value, error, message', [
    ((2, 1), ValueError, 'beta must be .low, high. with low <= high'),
    (-1, ValueError, 'beta must be at least 0'),
    ((0, 3), ValueError, r'beta must be within \[0, 2\]'),
    ('1', TypeError, 'beta must be a number or a pair'),
    (float('nan'), ValueError, 'beta must be finite'),
    ((1, 2, 3), TypeError, 'beta must be a number or a pair'),
])
def test_check_range_names_the_parameter(value, error, message):
    with pytest.raises(error, match=message):
        check_range('beta', value, 0, None if value == -1 else 2)


def test_wrong_input_is_refused_with_what_to_do():
    haze = AtmosphericScattering()
    image, depth = torch.rand(2, 3, 8, 9), torch.rand(2, 1, 8, 9)
    params = haze.sample([0, 1], 8, 9)
    cases = [
        (TypeError, 'image.float', ((image * 255).byte(), depth)),
        (ValueError, r'must lie in \[0, 1\]', (image * 255, depth)),
        (ValueError, 'NaN', (image * float('nan'), depth)),
        (ValueError, r'shape \(N,3,H,W\)', (image[:, :1], depth)),
        (ValueError, 'depth must have shape', (image, depth[..., :5])),
        (ValueError, 'depth must be finite', (image, depth * float('nan'))),
        (ValueError, 'depth must be finite and in', (image, -depth)),
        (TypeError, 'depth must be a float', (image, depth.long())),
        (ValueError, 'params hold 2 samples', (image[:1], depth[:1])),
    ]
    for error, message, (bad_image, bad_depth) in cases:
        with pytest.raises(error, match=message):
            haze.apply(bad_image, bad_depth, params)
    with pytest.raises(TypeError, match='sequence'):
        haze.sample(3, 8, 9)
    strict = AtmosphericScattering(missing_depth='error')
    with pytest.raises(ValueError, match="missing_depth='proxy'"):
        strict.apply(image, None, strict.sample([0, 1], 8, 9))
    with pytest.raises(ValueError, match='missing_depth'):
        AtmosphericScattering(missing_depth='guess')


def test_values_within_the_tolerance_are_accepted():
    haze = AtmosphericScattering(beta=0)
    out = haze.apply(torch.full((1, 3, 2, 2), 1.00005), torch.ones(1, 1, 2, 2), haze.sample([0], 2, 2))
    assert out.max() == 1


def test_params_select_stack_and_json():
    params = {'a': torch.tensor([1., 2., 3.]), 'n': torch.tensor([2 ** 62 + 1, 5, 6]),
              'inner': {'rows': torch.tensor([0, 2]), 'b': torch.tensor([[0.1, 0.2], [0.3, 0.4]])}}
    rows = json.loads(json.dumps(params_to_json(params)))
    assert rows[0]['n'] == 2 ** 62 + 1 and 'inner' not in rows[1]
    assert _equal(params_from_json(rows), params)
    picked = select(params, [2, 1])
    assert picked['a'].tolist() == [3, 2] and picked['inner']['rows'].tolist() == [0]
    assert torch.equal(picked['inner']['b'], params['inner']['b'][1:])
    assert 'inner' not in select(params, 1)
    assert _equal(stack([select(params, i) for i in range(3)]), params)
    with pytest.raises(ValueError, match="'b' is missing in sample 0"):
        params_from_json([{'a': 1.}, {'a': 1., 'b': 2.}])


def _equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    return a.dtype == b.dtype and torch.equal(a, b)


class Dim(Degradation):
    """What a stranger writes: draw and degrade."""

    def draw(self, draw, height, width):
        return {'gain': draw.uniform('gain', 0.2, 0.8)}

    def degrade(self, image, depth, params):
        return image * per_sample(params['gain'], image) - 0.1


def test_a_degradation_of_ones_own_is_checked_clipped_and_composable():
    from restorekit.degradations import Sequential
    image = torch.rand(3, 3, 5, 6)
    result, params = Dim()(image, seeds=[1, 2, 3])
    torch.testing.assert_close(result, (image * params['gain'][:, None, None, None] - 0.1).clamp(0, 1))
    chain = Sequential([Dim(), Dim()])
    twice, drawn = chain(image, seeds=[1, 2, 3])
    assert sorted(drawn) == ['0_Dim', '1_Dim']
    assert torch.equal(chain.apply(image[1:2], None, select(drawn, 1)), twice[1:2])
    with pytest.raises(TypeError, match='must define draw'):
        Degradation().sample([0], 4, 4)
