import numpy as np
import pytest
import torch

from restorekit.functional.haze_prior import estimate_airlight, haze_prior, minimum_filter


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_minimum_filter_is_the_minimum_of_each_window():
    image = images(1, 2, 9, 7)
    out = minimum_filter(image, 5)
    for y, x in ((0, 0), (4, 3), (8, 6)):
        window = image[:, :, max(y - 2, 0):y + 3, max(x - 2, 0):x + 3]
        assert torch.equal(out[:, :, y, x], window.amin(dim=(2, 3)))


def test_the_airlight_is_the_mean_colour_of_the_haziest_pixels():
    image = images(1, 3, 10, 10) * 0.5
    image[:, :, 2, 3] = torch.tensor([0.9, 0.8, 0.7])
    dark = image.amin(dim=1, keepdim=True)
    assert torch.allclose(estimate_airlight(image, dark, 0.01)[0, :, 0, 0], torch.tensor([0.9, 0.8, 0.7]))
    two = dark.flatten().topk(2).indices
    expected = image.flatten(2)[0, :, two].mean(dim=1)
    assert torch.allclose(estimate_airlight(image, dark, 0.02)[0, :, 0, 0], expected)


def test_pixels_equal_at_the_limit_count_in_part_whatever_their_order():
    dark = torch.tensor([0.9, 0.5, 0.5, 0.1]).view(1, 1, 2, 2)
    image = torch.tensor([1.0, 0.2, 0.6, 0.0]).view(1, 1, 2, 2).expand(-1, 3, -1, -1)
    assert torch.allclose(estimate_airlight(image, dark, 0.5), torch.tensor((1.0 + 0.5 * (0.2 + 0.6)) / 2))
    assert torch.allclose(estimate_airlight(image.flip(3), dark.flip(3), 0.5), estimate_airlight(image, dark, 0.5))
    assert torch.allclose(estimate_airlight(image, torch.ones(1, 1, 2, 2), 0.01), torch.tensor(0.45))



@pytest.mark.parametrize('t', [0.3, 0.6])
def test_a_candidate_finds_the_gain_of_even_haze(t):
    """J has black pixels in every window, so the dark channel of I is exactly the veil."""
    clear = images(1, 3, 96, 128)
    clear[:, :, ::2, ::2] = 0
    airlight = torch.tensor([0.9, 0.85, 0.8]).view(1, 3, 1, 1)
    clear[:, :, :40, :40] = airlight  # the sky, as bright as the airlight, which is how it is found
    prior = haze_prior(clear * t + airlight * (1 - t))
    assert torch.allclose(prior.airlight, airlight, atol=0.01)
    middle = prior.log_gains[0, 0, 12:, 16:].mean()
    assert float(middle) == pytest.approx(-np.log(1 - 0.95 * (1 - t)), abs=0.05)


def test_the_maps_are_finite_and_differentiable_for_black_and_white_images():
    for image in (torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16), images(1, 3, 4, 4)):
        image.requires_grad_()
        prior = haze_prior(image)
        assert all(x.isfinite().all() for x in prior)
        sum(x.sum() for x in prior).backward()
        assert image.grad.isfinite().all()


def test_half_precision_does_not_change_the_prior():
    image = images(2, 3, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = haze_prior(image)
    assert all(torch.equal(a, b) for a, b in zip(inside, haze_prior(image), strict=True))
