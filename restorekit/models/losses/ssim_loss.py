"""Structural similarity as a loss."""

from __future__ import annotations

from torch import Tensor, nn

from restorekit.functional.image_quality import check_ssim_options, ssim_map
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, middle, weighted_reduce


def ssim_loss(pred: Tensor, target: Tensor, weight: Tensor | None = None, window: int = 11, sigma: float = 1.5,
              padding: str = 'valid', data_range: float = 1.0, reduction: str = 'mean') -> Tensor:
    """Return the mean of w (1 - SSIM).

    Arguments as in :class:`SSIMLoss`; reduction 'mean', 'sample' (N,) or 'none' (the map).
    """
    check_loss_inputs(pred, target, weight)
    error = 1 - ssim_map(pred, target, window, sigma, padding, data_range)
    if weight is not None and weight.ndim == 4:
        weight = middle(weight, error.shape[-2:])
    return weighted_reduce(error, weight, reduction)


@MODELS.register_module()
class SSIMLoss(nn.Module):
    """loss_weight * mean(w (1 - SSIM)), with the SSIM of Wang et al. (2004).

    A per-sample weight multiplies an image's 1 - SSIM, a per-pixel weight the map at the pixel where the window is
    centred. Computed in float32 with autocast off.

    Args:
        window (int): Side of the Gaussian window in pixels, odd. With 'valid', a smaller image is measured by the
            largest odd window that fits it.
        sigma (float): Standard deviation of the window in pixels.
        padding (str): 'valid' (windows inside the image only) or 'zero' (a window at every pixel).
        data_range (float): Difference between the largest and smallest possible value of a pixel.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred (Tensor): (N, C, H, W), RGB in [0, data_range].
        target (Tensor): The same shape and range.
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, C, H, W).

    Raises:
        ValueError: If an option is out of range or the shapes do not fit.

    Example:
        >>> import torch
        >>> image = torch.rand(2, 3, 16, 16)
        >>> SSIMLoss()(image, image)
        tensor(0.)
    """

    def __init__(self, window: int = 11, sigma: float = 1.5, padding: str = 'valid', data_range: float = 1.0,
                 loss_weight: float = 1.0):
        super().__init__()
        check_ssim_options(window, sigma, padding)
        self.options = {'window': window, 'sigma': sigma, 'padding': padding, 'data_range': data_range}
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.loss_weight * ssim_loss(pred, target, weight, **self.options)

    def extra_repr(self) -> str:
        return ', '.join(f'{key}={value!r}' for key, value in dict(self.options, loss_weight=self.loss_weight).items())
