"""Losses on colour."""

from __future__ import annotations

from torch import Tensor, nn

from restorekit.functional.colour_difference import lab_difference, srgb_to_lab
from restorekit.functional.precision import at_least_float32, no_autocast
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weight_at, weighted_reduce

KINDS = ('cosine', 'ciede2000')


def colour_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, kind: str = 'cosine',
                reduction: str = 'mean') -> Tensor:
    """Return the mean colour difference. Arguments as in :class:`ColourLoss`."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    with no_autocast(pred):
        if kind == 'cosine':
            lengths = [x.square().sum(1, keepdim=True).add(1e-6).sqrt() for x in (pred, target)]
            error = 1 - ((pred * target).sum(1, keepdim=True) + 1e-6) / (lengths[0] * lengths[1])
        else:
            error = lab_difference(*(srgb_to_lab(x.clamp(0, 1)) for x in (pred, target)))[:, None] / 100
    return weighted_reduce(error, weight_at(weight, error.shape[-2:]), reduction)


@MODELS.register_module()
class ColourLoss(nn.Module):
    """loss_weight * mean(w D(pred, target)) with a colour difference D of each pixel.

    - 'cosine': one minus the cosine of the angle between the colours as vectors; brightness does not count (Wang et
      al., "Underexposed photo enhancement using deep illumination estimation", CVPR 2019).
    - 'ciede2000': the CIEDE2000 difference over 100, after clamping to [0, 1]; 1 between black and white.

    Args:
        kind (str): See above.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`, three channels, sRGB in [0, 1].

    Raises:
        InputError: For another kind.

    Example:
        >>> red, green = torch.zeros(2, 1, 3, 1, 1)
        >>> red[:, 0], green[:, 1] = 1, 1
        >>> round(ColourLoss()(red, green).item(), 3)
        1.0
    """

    def __init__(self, kind: str = 'cosine', loss_weight: float = 1.0):
        super().__init__()
        if kind not in KINDS:
            raise InputError(f'ColourLoss: kind must be one of {", ".join(map(repr, KINDS))}, but got {kind!r}')
        self.kind, self.loss_weight = kind, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.loss_weight * colour_loss(pred, target, weight, self.kind)
