"""Losses on the spectrum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorekit.functional.precision import at_least_float32, no_autocast
from restorekit.messages import InputError, refuse_unused
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weighted_reduce

KINDS = ('complex', 'amplitude', 'focal')


def frequency_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, kind: str = 'complex',
                   alpha: float = 1.0, norm: str = 'backward') -> Tensor:
    """Return the spectral distance of images. Arguments as in :class:`FrequencyLoss`."""
    check_loss_inputs(pred, target, weight)
    pred, target = at_least_float32(pred, target)
    if weight is not None and weight.ndim == 4:
        pred, target, weight = pred * weight, target * weight, None
    with no_autocast(pred):
        if kind == 'amplitude':
            error = (torch.fft.fft2(pred, norm=norm).abs() - torch.fft.fft2(target, norm=norm).abs()).abs()
        else:
            difference = torch.fft.fft2(pred - target, norm=norm)
            if kind == 'complex':
                error = (difference.real.abs() + difference.imag.abs()) / 2
            else:
                error = difference.real.square() + difference.imag.square()
                focus = error.detach() ** (alpha / 2)
                error = error * focus / focus.amax(dim=(2, 3), keepdim=True).clamp_min(1e-12)
    return weighted_reduce(error, weight)


@MODELS.register_module()
class FrequencyLoss(nn.Module):
    r"""Distance of the Fourier spectra of each channel.

    - 'complex': mean absolute difference of the real and of the imaginary parts, as in MIMO-UNet and ConvIR (Cho et
      al., ICCV 2021), which weigh it by 0.1.
    - 'amplitude': mean of ``||F(pred)| - |F(target)||``; phases do not count.
    - 'focal': mean of ``m |F(pred) - F(target)|^2`` with ``m = |F(pred) - F(target)|^alpha`` over its largest value in
      the channel, without gradient (Jiang et al., "Focal frequency loss", ICCV 2021).

    The transform is not divided by the number of pixels, unless ``norm`` says so. A weight per pixel multiplies both
    images before the transform.

    Args:
        kind (str): See above.
        alpha (float): Exponent of the focus; only with kind='focal'.
        norm (str): 'backward' (no scaling), 'ortho' or 'forward', as in ``torch.fft``.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`.

    Raises:
        InputError: For another kind, or an alpha without focus.

    Example:
        >>> FrequencyLoss()(torch.full((1, 1, 2, 2), 3.0), torch.zeros(1, 1, 2, 2)).item()  # 12 at one of 4, halved
        1.5
    """

    def __init__(self, kind: str = 'complex', alpha: float = 1.0, norm: str = 'backward', loss_weight: float = 1.0):
        super().__init__()
        if kind not in KINDS:
            raise InputError(f'FrequencyLoss: kind must be one of {", ".join(map(repr, KINDS))}, but got {kind!r}')
        if kind != 'focal':
            refuse_unused(self, dict(alpha=alpha), "kind='focal'", f'kind={kind!r}')
        self.kind, self.alpha, self.norm, self.loss_weight = kind, alpha, norm, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.loss_weight * frequency_loss(pred, target, weight, self.kind, self.alpha, self.norm)
