"""What physics says about haze from one image: dark channels, airlight, candidates of the log gain."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from .filters import guided_filter
from .precision import no_autocast

STRIDE = 4
#: Log-gain candidates that :func:`haze_prior` returns.
CANDIDATES = 4
#: Channels of ``HazePrior.maps``.
MAP_CHANNELS = 40
_SHARE = 0.95  # the share of the veil that is taken for haze; the rest keeps distance visible
_LEAST = 0.1  # smallest transmission


class HazePrior(NamedTuple):
    """Result of :func:`haze_prior`; all float32, h = H / 4, w = W / 4."""

    airlight: torch.Tensor  # (N, 3, 1, 1)
    log_gains: torch.Tensor  # (N, 4, h, w), -log of four candidates of the transmission
    maps: torch.Tensor  # (N, 40, h, w)


def minimum_filter(image: torch.Tensor, size: int) -> torch.Tensor:
    """Return the minimum over windows of ``size`` x ``size`` (odd) around each pixel, cut at the border.

    Args:
        image (Tensor): (N, C, H, W).
        size (int): Odd side of the window in pixels.

    Example:
        >>> minimum_filter(torch.eye(3)[None, None], 3).sum().item()
        0.0
    """
    rows = F.max_pool2d(-image, (size, 1), 1, (size // 2, 0))
    return -F.max_pool2d(rows, (1, size), 1, (0, size // 2))


def haze_density(image: torch.Tensor, window: int = 7) -> torch.Tensor:
    """Return the mean dark channel of images, a label-free measure of haze (He et al., CVPR 2009).

    The dark channel is the minimum over the colours and over windows of ``window`` x ``window`` pixels; it is near 0
    for clear photos and near the airlight in dense haze.

    Args:
        image (Tensor): (N, 3, H, W) in [0, 1].
        window (int): Odd side of the windows.

    Returns:
        Tensor: (N,) in [0, 1].

    Example:
        >>> haze_density(torch.full((1, 3, 8, 8), 0.5)).item()
        0.5
    """
    dark = image.amin(dim=1, keepdim=True)
    return minimum_filter(dark, window).mean(dim=(1, 2, 3))


def estimate_airlight(image: torch.Tensor, dark: torch.Tensor, share: float = 0.01) -> torch.Tensor:
    """Return the mean colour of the pixels with the largest dark channel (He et al., CVPR 2009).

    Args:
        image (Tensor): (N, 3, h, w) in [0, 1].
        dark (Tensor): Dark channel (N, 1, h, w).
        share (float): Share of the pixels that is averaged; at least one pixel. Pixels that are equal at the limit
            count in part, so that no order of them matters: every device and ONNX give the same.

    Returns:
        Tensor: (N, 3, 1, 1).
    """
    count = max(1, int(share * dark.shape[-2] * dark.shape[-1]))
    dark = dark.flatten(2)
    limit = dark.topk(count, dim=2).values[..., -1:]
    above, equal = (dark > limit).to(image.dtype), (dark == limit).to(image.dtype)
    part = (count - above.sum(dim=2, keepdim=True)) / equal.sum(dim=2, keepdim=True)
    weight = above + part * equal
    return ((image.flatten(2) * weight).sum(dim=2) / count)[..., None, None]


def haze_prior(image: torch.Tensor) -> HazePrior:
    """Compute the physics prior of hazy images, differentiable wherever a minimum or a maximum is.

    With the scattering model ``I = J t + A (1 - t)`` (Koschmieder, 1924), J is ``I K + A (1 - K)`` with the gain
    ``K = 1 / t``. The dark channel prior (He et al., CVPR 2009) gives ``t = 1 - 0.95 min_window min_c I_c / A_c``.
    The candidates of ``log K`` are: the prior with the airlight found; with A = 1; with the airlight found over a wide
    window; and the mean of the first over the image.

    Args:
        image (Tensor): (N, 3, H, W) in [0, 1]; H and W are multiples of 4.

    Returns:
        HazePrior: ``airlight``, ``log_gains`` and ``maps``, at stride 4, whatever the dtype of the image in float32.

    Example:
        >>> prior = haze_prior(torch.rand(1, 3, 32, 48))
        >>> tuple(prior.log_gains.shape), tuple(prior.maps.shape)
        ((1, 4, 8, 12), (1, 40, 8, 12))
    """
    with no_autocast(image):
        image = image.float()
        mean = F.avg_pool2d(image, STRIDE)
        low, high = -F.max_pool2d(-image, STRIDE), F.max_pool2d(image, STRIDE)
        dark0 = low.amin(dim=1, keepdim=True)
        dark3, dark7 = minimum_filter(dark0, 3), minimum_filter(dark0, 7)
        airlight = estimate_airlight(mean, dark7).clamp(min=0.05)
        relative = mean / airlight
        relative_dark0 = (low / airlight).amin(dim=1, keepdim=True)
        relative3, relative7 = minimum_filter(relative_dark0, 3), minimum_filter(relative_dark0, 7)

        grey = mean.mean(dim=1, keepdim=True)
        veils = torch.cat([relative3, dark3, minimum_filter(relative7, 5)], dim=1)
        veils = guided_filter(grey, veils, 6, 1e-3)
        log_gains = -torch.log((1 - _SHARE * veils).clamp(_LEAST, 1.0))
        log_gains = torch.cat([log_gains, log_gains[:, :1].mean(dim=(2, 3), keepdim=True).expand_as(grey)], dim=1)

        def haze(x):  # with A = 1 this is -log J - log t: haze adds to it
            return -torch.log(1.02 - x.clamp(0, 1))

        blurred = F.avg_pool2d(F.pad(mean, (2, 2, 2, 2), mode='replicate'), 5, 1)
        deviation = (F.avg_pool2d(F.pad(mean * mean, (2, 2, 2, 2), mode='replicate'), 5, 1)
                     - blurred * blurred).clamp(min=0).add(1e-6).sqrt()
        centred = mean - mean.mean(dim=(2, 3), keepdim=True)
        spread = (centred * centred).mean(dim=(2, 3), keepdim=True).add(1e-6).sqrt()
        one = torch.ones_like(grey)
        # of integers: CUDA has no deterministic sum of floats, and randomness.deterministic=True would be refused
        y = (torch.cumsum(one.long(), dim=2).to(one) - 0.5) / one.shape[2]
        x = (torch.cumsum(one.long(), dim=3).to(one) - 0.5) / one.shape[3]
        maps = torch.cat([
            mean, low, high, dark3, dark7, relative.clamp(max=4), relative3.clamp(max=4), relative7.clamp(max=4),
            deviation, grey - airlight.mean(dim=1, keepdim=True), haze(grey), haze(dark0), haze(dark7), log_gains,
            airlight * one, mean.mean(dim=(2, 3), keepdim=True) * one, spread * one, x, y,
            (high - low).mean(dim=1, keepdim=True), (mean.amax(dim=1, keepdim=True) - mean.amin(dim=1, keepdim=True)),
        ], dim=1)
        return HazePrior(airlight, log_gains, maps)
