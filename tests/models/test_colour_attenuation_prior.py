import math

import pytest
import torch

from restorekit.messages import InputError
from restorekit.models import ColourAttenuationPrior


def test_depth_transmission_and_airlight_by_hand():
    network = ColourAttenuationPrior(patch_size=1, radius=0, eps=1e-12, airlight_share=1 / 8)
    image = torch.full((1, 3, 4, 4), 0.2)
    image[:, :, 0, 0] = torch.tensor([0.9, 0.9, 0.9])    # grey and bright: far
    image[:, :, 0, 1] = torch.tensor([0.95, 0.8, 0.85])
    image[:, :, 3, 3] = torch.tensor([0.6, 0.15, 0.3])   # saturated: near
    raw, _ = network.depth(image)
    assert raw[0, 0, 0, 0].item() == pytest.approx(0.121779 + 0.95971 * 0.9)
    assert raw[0, 0, 3, 3].item() == pytest.approx(0.121779 + 0.95971 * 0.6 - 0.780245 * 0.75)
    # the two farthest pixels are the candidates; the brighter of them is the airlight
    airlight = network.airlight(image, raw)
    assert airlight.flatten().tolist() == pytest.approx([0.9, 0.9, 0.9])
    depth = 0.121779 + 0.95971 * 0.6 - 0.780245 * 0.75
    expected = (0.6 - 0.9) / min(max(math.exp(-depth), 0.1), 0.9) + 0.9
    assert network(image)[0, 0, 3, 3].item() == pytest.approx(expected, abs=1e-4)


def test_it_removes_synthetic_haze():
    torch.manual_seed(0)
    clear = torch.rand(1, 3, 96, 96) * torch.tensor([0.9, 0.5, 0.2]).view(1, 3, 1, 1)
    depth = torch.linspace(2.5, 0.2, 96).view(1, 1, 96, 1)
    t = torch.exp(-depth)
    hazy = clear * t + 0.95 * (1 - t)
    restored = ColourAttenuationPrior()(hazy)
    assert (restored - clear).abs().mean() < 0.8 * (hazy - clear).abs().mean()
    with pytest.raises(InputError, match='odd and positive, but got 4'):
        ColourAttenuationPrior(patch_size=4)
