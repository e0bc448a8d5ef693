import pytest
import torch

from restorekit.degradations import JPEG, Blur, ColourCast, LowLight, Maybe, OneOf, Sequential, Shuffle
from restorekit.random import derive_seed


def test_children_draw_from_the_childs_index_whatever_the_siblings():
    image = torch.rand(2, 3, 16, 16)
    cast, dark = ColourCast(), LowLight()
    result, params = Sequential([cast, dark])(image, seeds=[8, 9])
    step = cast(image, seeds=[derive_seed(8, 0), derive_seed(9, 0)])[0]
    assert torch.equal(result, dark(step, seeds=[derive_seed(8, 1), derive_seed(9, 1)])[0])
    other = Sequential([Blur(), dark]).sample([8, 9], 16, 16)
    assert torch.equal(other['1_LowLight']['gamma'], params['1_LowLight']['gamma'])


def test_one_of_keeps_its_weights_and_sends_each_sample_one_way():
    operator = OneOf([LowLight(gamma=2.), ColourCast(strength=1., hue=0.), Blur(sigma=0)], weights=[1, 3, 0])
    params = operator.sample(range(2000), 4, 4)
    share = torch.bincount(params['choice'], minlength=3) / 2000
    assert share[2] == 0 and abs(share[0] - 0.25) < 0.03
    image = torch.full((2000, 3, 2, 2), 0.5)
    result = operator.apply(image, None, params)[:, :, 0, 0]
    expected = torch.where(params['choice'][:, None] == 0, torch.tensor([0.25] * 3), torch.tensor([0.5, 0., 0.]))
    torch.testing.assert_close(result, expected)


def test_maybe_applies_with_its_probability():
    operator = Maybe({'type': 'LowLight', 'gamma': 2.}, p=0.3)
    image = torch.full((1000, 3, 1, 1), 0.5)
    result, params = operator(image, seeds=range(1000))
    assert abs(params['applied'].float().mean() - 0.3) < 0.05
    torch.testing.assert_close(result[:, 0, 0, 0], torch.where(params['applied'], 0.25, 0.5))
    assert torch.equal(Maybe(LowLight(), p=1.).sample(range(50), 1, 1)['applied'], torch.ones(50, dtype=torch.bool))


def test_shuffle_applies_all_in_the_drawn_order():
    halve, square = LowLight(gamma=1., gain=0.5), LowLight(gamma=2.)
    image = torch.full((40, 3, 1, 1), 0.8)
    result, params = Shuffle([halve, square])(image, seeds=range(40))
    first = params['order'][:, 0]
    assert set(first.tolist()) == {0, 1}
    torch.testing.assert_close(result[:, 0, 0, 0], torch.where(first == 0, 0.16, 0.32))


def test_nested_children_use_the_samples_own_depth():
    operator = OneOf([{'type': 'AtmosphericScattering', 'beta': 1., 'airlight': 1.}, LowLight(gamma=2.)])
    depth = torch.arange(16.).reshape(16, 1, 1, 1).expand(16, 1, 2, 2) / 8
    result, params = operator(torch.zeros(16, 3, 2, 2), depth, seeds=range(16))
    hazy = params['choice'] == 0
    assert hazy.any() and not hazy.all()
    torch.testing.assert_close(result[hazy][:, 0, 0, 0], 1 - torch.exp(-depth[hazy][:, 0, 0, 0]))


@pytest.mark.parametrize('build, error, message', [
    (lambda: OneOf([JPEG()], weights=[0]), ValueError, 'weights must be >= 0 and not all 0'),
    (lambda: OneOf([JPEG(), Blur()], weights=[1, -1]), ValueError, 'weights must be >= 0'),
    (lambda: OneOf([JPEG()], weights=[1, 1]), ValueError, '2 entries for 1 children'),
    (lambda: Maybe(JPEG(), p=1.2), ValueError, r'p must be within \[0, 1\], but got 1.2'),
    (lambda: Maybe(JPEG(), p=(0, 1)), TypeError, 'p must be one number'),
    (lambda: Sequential([]), ValueError, 'children must be a non-empty list'),
    (lambda: Sequential([JPEG(), 'Blur']), TypeError, r"children\[1\] must be a config dict or a Degradation"),
    (lambda: Shuffle([{'type': 'JPG'}]), KeyError, 'JPEG'),
])
def test_bad_compositions_are_refused(build, error, message):
    with pytest.raises(error, match=message):
        build()
