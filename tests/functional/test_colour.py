import colorsys

import numpy as np
import torch

from restorekit.functional.colour import hue_to_rgb, linear_to_srgb, luminance, safe_power, srgb_to_linear


def test_srgb_matches_the_standard():
    values = torch.tensor([0., 0.04, 0.2, 0.5, 1.], dtype=torch.float64)
    expected = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values.tolist()]
    np.testing.assert_allclose(srgb_to_linear(values).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)).numpy(), values.numpy(), atol=1e-6)


def test_hue_matches_colorsys():
    for hue in (0., 0.1, 1 / 3, 0.55, 0.9, 1.2, -0.1):
        expected = colorsys.hsv_to_rgb(hue % 1, 1, 1)
        np.testing.assert_allclose(hue_to_rgb(torch.tensor([hue], dtype=torch.float64))[0].numpy(), expected, atol=1e-9)


def test_safe_power():
    values = torch.rand(101)
    torch.testing.assert_close(safe_power(values, 2.3), values.pow(2.3))
    assert torch.equal(safe_power(values, torch.ones(101)), values)
    assert safe_power(torch.zeros(1), 0.5).item() == 0
    assert torch.equal(safe_power(values, 2.3)[50:], safe_power(values[50:], 2.3))


def test_luminance_of_the_primaries():
    primaries = torch.eye(3).reshape(3, 3, 1, 1)
    torch.testing.assert_close(luminance(primaries).flatten(), torch.tensor([0.299, 0.587, 0.114]))
