import pytest
import torch

from restorekit.functional.colour import chroma
from restorekit.models.losses import chroma_loss


def test_chroma_by_hand():
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert torch.allclose(chroma(red).flatten(), torch.tensor([-0.299 / 1.772, 0.5]), atol=1e-4)


def test_a_grey_picture_of_a_red_one_costs_both_terms():
    red, grey = torch.tensor([0.8, 0.2, 0.2]).view(1, 3, 1, 1).expand(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.4)
    signals = chroma(red)[0, :, 0, 0]
    length = float(signals.norm())
    assert float(chroma_loss(grey, red, balance=0.0)) == pytest.approx(float(signals.abs().mean()), abs=1e-4)
    assert float(chroma_loss(grey, red)) == pytest.approx(float(signals.abs().mean()) + length, abs=2e-3)


def test_wrong_hues_of_the_right_strength_cost_less_than_grey_ones_by_the_second_term():
    one = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    other = one.roll(1, dims=1)
    assert float(chroma_loss(other, one) - chroma_loss(other, one, balance=0.0)) < 0.02
    grey = one.mean(dim=1, keepdim=True).expand_as(one)
    assert float(chroma_loss(grey, one) - chroma_loss(grey, one, balance=0.0)) > 0.05
