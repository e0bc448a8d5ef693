"""The dark channel prior: dehazing without a single trained number."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from restorekit.functional.affine_grid import enlarge_rows
from restorekit.functional.filters import box_filter
from restorekit.functional.haze_prior import estimate_airlight, minimum_filter
from restorekit.functional.precision import no_autocast
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .base import RestorationNetwork

_STEP = 4  # the transmission is estimated on blocks of 4x4 pixels


@MODELS.register_module()
class DarkChannelPrior(RestorationNetwork):
    """Dark channel prior (He et al., CVPR 2009; TPAMI 2011) with the fast guided filter (He and Sun, 2015).

    ``J = (I - A) / max(t, t0) + A`` with ``t = 1 - omega min_window min_c I_c / A_c``, smoothed along the edges of I.
    A is the mean colour where the dark channel is largest. The dark channel and the filter are computed on
    blocks of 4x4 pixels (minima and means), which changes the result little and the time much: see the test against a
    plain implementation. Differentiable, without parameters; its one buffer, omega, makes it a model with a file.

    Args:
        window (int): Side of the window of the dark channel in pixels, at least 4; 15 in the paper.
        omega (float): Share of the haze that is removed, in (0, 1].
        minimum (float): t0, least transmission, in (0, 1).
        radius (int): Radius of the guided filter in pixels.
        eps (float): Its regularisation.
        share (float): Share of the pixels that A is averaged over.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If an argument is out of range.

    Example:
        >>> tuple(DarkChannelPrior()(torch.rand(1, 3, 17, 33)).shape)
        (1, 3, 17, 33)
    """

    tiling = 'coefficients'

    def __init__(self, window: int = 15, omega: float = 0.95, minimum: float = 0.1, radius: int = 60,
                 eps: float = 1e-3, share: float = 1e-3, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if not (window >= _STEP and radius >= 1 and eps > 0 and 0 < omega <= 1 and 0 < minimum < 1 and 0 < share <= 1):
            raise InputError('DarkChannelPrior: window must be at least 4, radius at least 1, eps above 0, omega '
                             'and share in (0, 1] and minimum in (0, 1), but got '
                             f'window={window}, radius={radius}, eps={eps}, '
                             f'omega={omega}, share={share}, minimum={minimum}')
        self.register_buffer('omega', torch.tensor(float(omega)))
        self.blocks = 2 * max(0, (window - _STEP) // (2 * _STEP)) + 1
        self.kernel = window - (self.blocks - 1) * _STEP
        self.minimum, self.radius, self.eps, self.share = minimum, max(1, round(radius / _STEP)), eps, share

    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Look at images once.

        Args:
            x (Tensor): (N, 3, H, W) in [0, 1].

        Returns:
            tuple: A, (N, 3, 1, 1); slope and offset, (N, 1, H / 4, W / 4), with ``t = slope grey(I) + offset``.
        """
        with no_autocast(x):
            x = x.float()
            mean = F.avg_pool2d(x, _STEP, ceil_mode=True, count_include_pad=False)
            low = self._window_minimum(x)
            airlight = estimate_airlight(mean, low.amin(dim=1, keepdim=True), self.share).clamp(min=0.05)
            t = 1 - self.omega * (low / airlight).amin(dim=1, keepdim=True)
            grey = mean.mean(dim=1, keepdim=True)
            both = box_filter(torch.cat([grey, t, grey * t, grey * grey], dim=1), self.radius)
            mean_grey, mean_t, mean_product, mean_square = both.chunk(4, dim=1)
            slope = (mean_product - mean_grey * mean_t) / (mean_square - mean_grey * mean_grey + self.eps)
            slope, offset = box_filter(torch.cat([slope, mean_t - slope * mean_grey], dim=1), self.radius).chunk(2, 1)
            return airlight, slope, offset

    def _window_minimum(self, x):
        """Minima over exactly the window, around each block: of a pooling that overlaps, then of its results."""
        height, width = x.shape[-2:]
        before = (self.kernel - _STEP) // 2
        after = self.kernel - _STEP - before
        padding = (before, after - width % -_STEP, before, after - height % -_STEP)
        low = -F.max_pool2d(F.pad(-x, padding, value=-torch.inf), self.kernel, _STEP)
        return minimum_filter(low, self.blocks)

    def apply_coefficients(self, x: torch.Tensor, airlight: torch.Tensor, slope: torch.Tensor, offset: torch.Tensor,
                           rows: slice | None = None, height: int | None = None) -> torch.Tensor:
        """Apply what :meth:`coefficients` returned; arguments and result as those of
        :meth:`LowResolutionAffine.apply_coefficients`.
        """
        if rows is not None and height is None:
            x, height = x[:, :, rows], x.shape[-2]
        grid = torch.cat([slope, offset], dim=1).to(x.dtype)
        if rows is None:
            grid = F.interpolate(grid, x.shape[-2:], mode='bilinear', align_corners=False)
        else:
            grid = enlarge_rows(grid, height, x.shape[-1], rows)
        t = (grid[:, :1] * x.mean(dim=1, keepdim=True) + grid[:, 1:]).clamp(self.minimum, 1.0)
        airlight = airlight.to(x.dtype)
        return (x - airlight) / t + airlight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the restored image (N, 3, H, W)."""
        return self.apply_coefficients(x, *self.coefficients(x))
