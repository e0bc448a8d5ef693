"""Losses from the physics of haze."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorekit.functional.filters import box_filter
from restorekit.functional.haze_prior import estimate_airlight, minimum_filter
from restorekit.functional.precision import at_least_float32, no_autocast
from restorekit.messages import InputError, refuse_unused
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weighted_reduce

KINDS = ('scattering', 'dark_channel')


def rehaze_loss(pred: Tensor, hazy: Tensor, weight: Tensor | None = None, radius: int = 7,
                patch_size: int = 15) -> Tensor:
    """Return how far the hazy image is from the prediction seen through haze. Arguments as in :class:`RehazeLoss`."""
    check_loss_inputs(pred, hazy, weight)
    pred, hazy = at_least_float32(pred, hazy)
    with no_autocast(pred):
        airlight = estimate_airlight(hazy, minimum_filter(hazy.amin(1, keepdim=True), patch_size)).detach()
        seen, clear = hazy - airlight, pred - airlight
        products = torch.cat([(seen * clear).sum(1, keepdim=True), clear.square().sum(1, keepdim=True)], dim=1)
        above, below = box_filter(products, radius).chunk(2, dim=1)
        transmission = ((above + 1e-4) / (below + 1e-4)).clamp(0, 1)
        return weighted_reduce((seen - transmission * clear).abs(), weight)


def dark_channel_loss(pred: Tensor, weight: Tensor | None = None, patch_size: int = 15) -> Tensor:
    """Return the mean of w times the dark channel: the least value of any channel in a window around each pixel.

    Example:
        >>> dark_channel_loss(torch.full((1, 3, 4, 4), 0.25)).item()
        0.25
    """
    dark = minimum_filter(at_least_float32(pred).amin(1, keepdim=True), patch_size)
    return weighted_reduce(dark.expand_as(pred), weight)


@MODELS.register_module()
class RehazeLoss(nn.Module):
    r"""A clear image, hazed again, gives the input; needs no ground truth.

    - 'scattering': with :math:`I = J t + A (1 - t)` (Koschmieder, 1924), A is estimated from the input by its dark
      channel, and t of each window is the least-squares one in [0, 1]; the loss is
      :math:`\mathrm{mean}(w\,|I - (J t + A (1 - t))|)`. It vanishes where haze alone tells prediction and input apart,
      so for the input itself too: use it beside a loss that wants haze gone.
    - 'dark_channel': the mean of the prediction's dark channel (He et al., CVPR 2009), which haze raises; it needs no
      input.

    Args:
        kind (str): See above.
        radius (int): Of the windows in which t is constant, in pixels; only with kind='scattering'.
        patch_size (int): Side of the dark channel's windows in pixels, odd.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`; the target is ignored.
        input (Tensor): The hazy images (N, 3, H, W) in [0, 1].

    Raises:
        InputError: For another kind, or a radius for the dark channel.

    Example:
        >>> hazy = torch.rand(1, 3, 16, 16)
        >>> round(RehazeLoss()(hazy, hazy, input=hazy).item(), 6)
        0.0
    """

    compares = False

    def __init__(self, kind: str = 'scattering', radius: int = 7, patch_size: int = 15, loss_weight: float = 1.0):
        super().__init__()
        if kind not in KINDS:
            raise InputError(f'RehazeLoss: kind must be one of {", ".join(map(repr, KINDS))}, but got {kind!r}')
        if kind == 'dark_channel':
            refuse_unused(self, dict(radius=radius), "kind='scattering'", f'kind={kind!r}')
        self.kind, self.radius, self.patch_size, self.loss_weight = kind, radius, patch_size, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, *, input: Tensor) -> Tensor:
        check_loss_inputs(pred, target, weight)
        if self.kind == 'dark_channel':
            return self.loss_weight * dark_channel_loss(pred, weight, self.patch_size)
        return self.loss_weight * rehaze_loss(pred, input, weight, self.radius, self.patch_size)
