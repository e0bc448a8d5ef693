"""The colour attenuation prior: dehazing by a linear model of depth, without weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from restorekit.functional.colour import luminance
from restorekit.functional.filters import guided_filter
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .base import RestorationNetwork


@MODELS.register_module()
class ColourAttenuationPrior(RestorationNetwork):
    r"""Dehazing by the colour attenuation prior: haze makes pixels brighter and paler, in proportion to depth.

    Zhu, Mai and Shao, "A fast single image haze removal algorithm using color attenuation prior", TIP 2015:

    .. math:: d = \theta_0 + \theta_1 v - \theta_2 s,\quad t = \mathrm{clip}(e^{-\beta d}, t_{min}, t_{max}),\quad
              J = (I - A) / t + A

    with value v and saturation s of each pixel; d is then the minimum over a window, refined by a guided filter.
    The airlight A is the brightest of the ``airlight_share`` of pixels with the greatest depth. There is nothing to
    train; gradients reach the input image. A is found on the whole image. Its one buffer, theta, makes it a model with
    a file.

    Args:
        theta (Sequence[float]): The coefficients as fitted by the authors.
        beta (float): Scattering coefficient; larger removes more haze.
        patch_size (int): Side of the minimum's window in pixels, odd.
        radius (int): Radius of the guided filter in pixels.
        eps (float): Variance under which the guided filter counts a window as flat.
        transmission (tuple[float, float]): Smallest and largest t.
        airlight_share (float): Share of pixels among which A is sought.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If ``patch_size`` is not odd and positive.

    Example:
        >>> tuple(ColourAttenuationPrior()(torch.rand(1, 3, 32, 40)).shape)
        (1, 3, 32, 40)
    """

    tiling = 'approximate'

    def __init__(self, theta: Sequence[float] = (0.121779, 0.959710, 0.780245), beta: float = 1.0,
                 patch_size: int = 15, radius: int = 60, eps: float = 1e-3,
                 transmission: tuple[float, float] = (0.1, 0.9), airlight_share: float = 0.001,
                 init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if patch_size < 1 or patch_size % 2 == 0:
            raise InputError(f'ColourAttenuationPrior: patch_size must be odd and positive, but got {patch_size}')
        self.register_buffer('theta', torch.tensor([float(value) for value in theta]))
        self.beta, self.patch_size = beta, patch_size
        self.radius, self.eps, self.transmission, self.airlight_share = radius, eps, transmission, airlight_share

    def depth(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the depth of images (N, 3, H, W) after the minimum, and refined: both (N, 1, H, W), no unit."""
        value, least = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
        saturation = (value - least) / value.clamp_min(1e-6)
        depth = self.theta[0] + self.theta[1] * value - self.theta[2] * saturation
        half = self.patch_size // 2
        depth = -F.max_pool2d(F.pad(-depth, (half,) * 4, value=-torch.inf), self.patch_size, stride=1)
        return depth, guided_filter(luminance(x), depth, self.radius, self.eps)

    def airlight(self, x: Tensor, depth: Tensor) -> Tensor:
        """Return the airlight (N, 3, 1, 1): the brightest pixel among those of greatest depth."""
        # whole numbers, rounded up, so that export and tracing keep the size free
        every = round(1 / self.airlight_share)
        count = (depth.shape[-2] * depth.shape[-1] + every - 1) // every
        far = depth.flatten(2).topk(count, dim=2).indices.expand(-1, 3, -1)
        colours = x.flatten(2).gather(2, far)
        brightest = colours.square().sum(1, keepdim=True).argmax(2, keepdim=True)
        return colours.gather(2, brightest.expand(-1, 3, -1))[..., None]

    def forward(self, x: Tensor) -> Tensor:
        raw, depth = self.depth(x)
        airlight = self.airlight(x, raw)
        transmission = torch.exp(-self.beta * depth).clamp(*self.transmission)
        return (x - airlight) / transmission + airlight
