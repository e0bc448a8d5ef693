import cv2
import numpy as np
import pytest
import torch

from restorekit.models import DarkChannelPrior
from restorekit.scenes import render_scene


def plain(image, window=15, omega=0.95, least=0.1, radius=60, eps=1e-3, share=1e-3):
    """The method as published, pixel by pixel at full size, with a guided filter (He et al., TPAMI 2013)."""
    kernel = np.ones((window, window), np.uint8)
    dark = cv2.erode(image.min(2), kernel)
    haziest = np.argsort(dark.ravel())[-max(1, int(share * dark.size)):]
    airlight = image.reshape(-1, 3)[haziest].mean(0)
    t = 1 - omega * cv2.erode((image / airlight).min(2), kernel)
    grey = image.mean(2)

    def mean(x):
        size = (2 * radius + 1,) * 2
        total, count = (cv2.boxFilter(y, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)
                        for y in (x, np.ones_like(x)))
        return total / count
    slope = (mean(grey * t) - mean(grey) * mean(t)) / (mean(grey * grey) - mean(grey) ** 2 + eps)
    offset = mean(t) - slope * mean(grey)
    t = np.clip(mean(slope) * grey + mean(offset), least, 1)[..., None]
    return np.clip((image - airlight) / t + airlight, 0, 1)


def hazy_scene(seed):
    clear, depth = render_scene(seed, 160, 200, 'city')
    t = np.exp(-2 * depth)[..., None]
    return clear / 255 * t + np.array([0.85, 0.87, 0.9]) * (1 - t), clear / 255


def psnr(a, b):
    return float(-10 * np.log10(np.mean((a - b) ** 2)))


def test_it_is_as_good_as_a_plain_implementation():
    network, gains = DarkChannelPrior(), []
    for seed in range(3):
        hazy, clear = hazy_scene(seed)
        x = torch.from_numpy(hazy).permute(2, 0, 1)[None].float()
        ours, theirs = network(x)[0].clamp(0, 1).permute(1, 2, 0).numpy(), plain(hazy)
        assert psnr(ours, theirs) > 33
        assert psnr(ours, clear) > psnr(theirs, clear) - 0.3
        gains.append(psnr(ours, clear) - psnr(hazy, clear))
    assert np.mean(gains) > 2


@pytest.mark.parametrize('window', [4, 7, 15, 22, 31])
def test_the_window_of_the_dark_channel_is_right_to_a_block_of_four_pixels(window):
    network = DarkChannelPrior(window=window)
    x = torch.ones(1, 1, 64, 72)
    x[0, 0, 30, 33] = 0
    low = network._window_minimum(x)[0, 0] == 0
    reach = low.sum(dim=0).max() * 4, low.sum(dim=1).max() * 4  # whole windows of blocks that see the pixel
    assert all(abs(int(r) - window) < 4 for r in reach)


def test_strips_equal_the_whole_and_gradients_flow():
    network = DarkChannelPrior(window=7, radius=8)
    x = torch.rand(2, 3, 45, 31, generator=torch.Generator().manual_seed(0)).requires_grad_()
    coefficients = network.coefficients(x)
    strips = [network.apply_coefficients(x, *coefficients, rows=slice(a, b)) for a, b in ((0, 20), (20, 45))]
    whole = network(x)
    assert torch.allclose(torch.cat(strips, dim=2), whole, atol=1e-4)
    whole.mean().backward()
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0


def test_arguments_out_of_range_are_refused():
    for wrong in (dict(window=3), dict(omega=0), dict(minimum=1), dict(eps=0)):
        with pytest.raises(ValueError, match='DarkChannelPrior: window must be at least 4'):
            DarkChannelPrior(**wrong)
