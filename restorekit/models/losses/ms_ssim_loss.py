"""Multi-scale structural similarity as a loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.functional.image_quality import MS_SSIM_WEIGHTS, check_ssim_options, ssim_factors
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, middle, weight_at


def ms_ssim_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, window: int = 11, sigma: float = 1.5,
                 scales: int = 5, data_range: float = 1.0) -> Tensor:
    """Return the mean of w (1 - MS-SSIM). Arguments as in :class:`MSSSIMLoss`."""
    check_loss_inputs(pred, target, weight)
    smallest = window * 2 ** (scales - 1)
    if min(pred.shape[-2:]) < smallest:
        raise InputError(f'MSSSIMLoss with a window of {window} and {scales} scales needs images of at least '
                         f'{smallest} pixels on each side, but got {pred.shape[-2]}x{pred.shape[-1]}; use fewer scales')
    powers = torch.tensor(MS_SSIM_WEIGHTS[:scales])
    powers = (powers / powers.sum()).tolist()
    pixels, product = (weight if weight is not None and weight.ndim == 4 else None), 1.0
    for scale, power in enumerate(powers):
        if scale:
            pred, target = F.avg_pool2d(pred, 2), F.avg_pool2d(target, 2)
        luminance, contrast = ssim_factors(pred, target, window, sigma, 'valid', data_range)
        error = 1 - (luminance * contrast if scale == scales - 1 else contrast)
        if pixels is not None:
            error = error * middle(weight_at(pixels, pred.shape[-2:]), error.shape[-2:])
        product = product * (1 - error.mean(dim=(2, 3))).clamp(min=1e-6) ** power
    loss = 1 - product.mean(dim=1)
    return (loss if weight is None or weight.ndim == 4 else loss * weight).mean()


@MODELS.register_module()
class MSSSIMLoss(nn.Module):
    """loss_weight * mean(w (1 - MS-SSIM)), MS-SSIM as in :func:`restorekit.functional.image_quality.ms_ssim`.

    Wang et al., "Multiscale structural similarity for image quality assessment", 2003. A per-sample weight multiplies
    an image's 1 - MS-SSIM; a per-pixel weight multiplies 1 - SSIM (1 minus the contrast factor) at each scale.
    Negative means count as 1e-6, so that the gradient stays finite.

    Args:
        window (int): Side of the Gaussian window in pixels, odd.
        sigma (float): Its standard deviation in pixels.
        scales (int): 1 to 5; with fewer than 5, for small crops, the first exponents are scaled to sum to one. Crops
            need ``window * 2 ** (scales - 1)`` pixels: 176 by default.
        data_range (float): Difference between the largest and smallest possible value.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred (Tensor): (N, C, H, W), RGB in [0, data_range].
        target (Tensor): The same shape and range.
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, C, H, W).

    Raises:
        InputError: If an option is out of range or the images are too small.

    Example:
        >>> image = torch.rand(1, 3, 44, 44)
        >>> round(MSSSIMLoss(scales=3)(image, image).item(), 6)
        0.0
    """

    def __init__(self, window: int = 11, sigma: float = 1.5, scales: int = 5, data_range: float = 1.0,
                 loss_weight: float = 1.0):
        super().__init__()
        check_ssim_options(window, sigma, 'valid')
        if not 1 <= scales <= len(MS_SSIM_WEIGHTS):
            raise InputError(f'MSSSIMLoss: scales must be in 1..{len(MS_SSIM_WEIGHTS)}, but got {scales}')
        self.options = dict(window=window, sigma=sigma, scales=scales, data_range=data_range)
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.loss_weight * ms_ssim_loss(pred, target, weight, **self.options)
