"""Statistics of natural images: what NIQE and BRISQUE look at."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F

BLOCK = 96  # side of NIQE's blocks, in pixels of the image's own size
SHARP = 0.75  # share of the sharpest block that a block needs to be fitted to
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)


def grey_levels(image: torch.Tensor) -> torch.Tensor:
    """Return the grey levels of 8-bit images as MATLAB's ``rgb2gray`` does: (N, 3, H, W) in [0, 1] to (N, 1, H, W),
    whole numbers in 0..255 as float64.

    Example:
        >>> grey_levels(torch.ones(1, 3, 1, 1)).item()
        255.0
    """
    factors = torch.tensor(_GREY, dtype=torch.float64, device=image.device).view(3, 1, 1)
    return ((image.double() * 255).round() * factors).sum(dim=1, keepdim=True).round()


def mscn(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return the mean-subtracted contrast-normalised image and the local deviation (Mittal et al., 2012).

    .. math:: \hat I = (I - \mu) / (\sigma + 1)

    with mean and deviation under a Gaussian of 7 x 7 pixels and sigma 7/6, edges replicated.

    Args:
        grey (Tensor): (N, 1, H, W), float, in 0..255.

    Returns:
        tuple[Tensor, Tensor]: Both (N, 1, H, W).
    """
    offsets = torch.arange(-3, 4, dtype=grey.dtype, device=grey.device)
    kernel = torch.exp(-offsets**2 / (2 * (7 / 6)**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, 7)

    def mean(x: torch.Tensor) -> torch.Tensor:
        x = F.pad(x, (3, 3, 3, 3), mode='replicate')
        return F.conv2d(F.conv2d(x, kernel), kernel.transpose(2, 3))

    centre = mean(grey)
    deviation = (mean(grey * grey) - centre * centre).abs().sqrt()
    return (grey - centre) / (deviation + 1), deviation


def asymmetric_gaussian(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fit an asymmetric generalised Gaussian by its moments (Lasmar et al., 2009), on a grid of shapes of 0.001.

    Args:
        values (Tensor): (..., n), float64.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Shape, and root mean square of the negative and of the positive values, each
        (...). Without values of a sign its root mean square is nan, and the shape 0.2, as in the published code.

    Example:
        >>> shape, left, right = asymmetric_gaussian(torch.randn(100000, dtype=torch.float64))
        >>> round(shape.item(), 1), round(left.item(), 1), round(right.item(), 1)
        (2.0, 1.0, 1.0)
    """
    squares = values * values
    left = ((squares * (values < 0)).sum(-1) / (values < 0).sum(-1)).sqrt()
    right = ((squares * (values > 0)).sum(-1) / (values > 0).sum(-1)).sqrt()
    ratio = left / right
    least = values.abs().mean(-1)**2 / squares.mean(-1)
    least = least * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1)**2
    return _shape_of(least), left, right


@lru_cache(maxsize=4)
def _grid(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    shapes = torch.arange(200, 10001, dtype=torch.float64, device=device) / 1000
    return shapes, torch.exp(2 * torch.lgamma(2 / shapes) - torch.lgamma(1 / shapes) - torch.lgamma(3 / shapes))


def _shape_of(ratio: torch.Tensor) -> torch.Tensor:
    """The shape of the grid whose squared mean over mean square is nearest; for nan the first, as in MATLAB."""
    shapes, ratios = _grid(ratio.device)
    above = torch.searchsorted(ratios, ratio.nan_to_num()).clamp(1, len(ratios) - 1)
    nearest = torch.where(ratio - ratios[above - 1] <= ratios[above] - ratio, above - 1, above)
    return torch.where(ratio.isnan(), shapes[0], shapes[nearest])


def _half(grey: torch.Tensor) -> torch.Tensor:
    """Half the size, as MATLAB's ``imresize(image, 0.5)``: antialiased bicubic, mirrored at the edges."""
    rows, columns = (torch.cat([torch.arange(3, -1, -1), torch.arange(side), side - 1 - torch.arange(4 + side % 2)])
                     for side in grey.shape[-2:])
    padded = grey[..., rows[:, None].to(grey.device), columns.to(grey.device)]
    size = [side // 2 for side in padded.shape[-2:]]
    return F.interpolate(padded, size, mode='bicubic', antialias=True)[..., 2:-2, 2:-2]


def _pairs(normalised: torch.Tensor) -> list[torch.Tensor]:
    """Products of neighbours in four directions; (..., b, b) to four (..., b * b)."""
    return [(normalised * torch.roll(normalised, shift, dims=(-2, -1))).flatten(-2) for shift in _SHIFTS]


def niqe_features(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return NIQE's features of each block of one image (Mittal et al., 2013).

    Args:
        grey (Tensor): (1, 1, H, W), float64 in 0..255; sides of at least 96. What is left over of a multiple of 96 to
            the right and below is not used.

    Returns:
        tuple[Tensor, Tensor]: (blocks, 36), 18 features of each of two scales; and the sharpness of each block, the
        mean local deviation (blocks,).
    """
    height, width = (side // BLOCK * BLOCK for side in grey.shape[-2:])
    grey, found, sharpness = grey[..., :height, :width], [], None
    for scale in (1, 2):
        if scale == 2:
            grey = _half(grey)
        normalised, deviation = mscn(grey)
        side = BLOCK // scale
        blocks = normalised[0, 0].unfold(0, side, side).unfold(1, side, side).flatten(0, 1)
        if sharpness is None:
            sharpness = deviation[0, 0].unfold(0, side, side).unfold(1, side, side).flatten(0, 1).mean(dim=(1, 2))
        found.append(_niqe_scale(blocks))
    assert sharpness is not None
    return torch.cat(found, dim=1), sharpness


def _niqe_scale(blocks: torch.Tensor) -> torch.Tensor:
    def widths(shape: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factor = torch.exp((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2)
        return left * factor, right * factor

    shape, left, right = asymmetric_gaussian(blocks.flatten(-2))
    left, right = widths(shape, left, right)
    features = [shape, (left + right) / 2]
    for pair in _pairs(blocks):
        shape, left, right = asymmetric_gaussian(pair)
        left, right = widths(shape, left, right)
        mean = (right - left) * torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        features += [shape, mean, left, right]
    return torch.stack(features, dim=1)


def fit_niqe(images: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return mean (36,) and covariance (36, 36) of NIQE's features over the sharp blocks of clean photos, and their
    number.

    Args:
        images (list[Tensor]): Grey levels, each (1, 1, H, W) float64; see :func:`grey_levels`.
    """
    kept = []
    for grey in images:
        features, sharpness = niqe_features(grey)
        kept.append(features[sharpness > SHARP * sharpness.max()])
    rows = torch.cat(kept)
    rows = rows[rows.isfinite().all(dim=1)]
    return rows.mean(dim=0), torch.cov(rows.T), len(rows)


def niqe(grey: torch.Tensor, mean: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    r"""Natural image quality evaluator (Mittal et al., 2013) of one image; smaller is better.

    .. math:: \sqrt{(\mu_1 - \mu_2)^T ((\Sigma_1 + \Sigma_2) / 2)^{+} (\mu_1 - \mu_2)}

    between the features of the image's blocks and those of clean photos.

    Args:
        grey (Tensor): (1, 1, H, W) float64 in 0..255; sides of at least 192.
        mean (Tensor): (36,), of clean photos, see :func:`fit_niqe`.
        covariance (Tensor): (36, 36).

    Returns:
        Tensor: A scalar; nan if fewer than two blocks have any structure.
    """
    features = niqe_features(grey)[0]
    features = torch.where(features.isfinite(), features, torch.nan)
    rows = features[features.isfinite().all(dim=1)]
    if len(rows) < 2:
        return grey.new_tensor(float('nan'))
    change = mean - features.nanmean(dim=0)  # as MATLAB: a block counts where it has a number
    inverse: torch.Tensor = torch.linalg.pinv((covariance + torch.cov(rows.T)) / 2)
    return (change @ inverse @ change).clamp(min=0).sqrt()


def brisque_features(grey: torch.Tensor) -> torch.Tensor:
    """Return BRISQUE's 36 features of each image (Mittal et al., 2012): (N, 1, H, W) float64 in 0..255 to (N, 36)."""
    found = []
    for scale in (1, 2):
        if scale == 2:
            grey = _half(grey)
        normalised = mscn(grey)[0][:, 0]
        values = normalised.flatten(1)
        found += [_shape_of(values.abs().mean(1)**2 / (values * values).mean(1)), (values * values).mean(1)]
        for pair in _pairs(normalised):
            shape, left, right = asymmetric_gaussian(pair)
            mean = (right - left) * torch.exp(torch.lgamma(2 / shape)
                                              - (torch.lgamma(1 / shape) + torch.lgamma(3 / shape)) / 2)
            found += [shape, mean, left**2, right**2]
    return torch.stack(found, dim=1)


def regression_inputs(features: torch.Tensor) -> torch.Tensor:
    """Return BRISQUE's features (N, 36) with shapes and squares as logarithms: what a regression generalises from."""
    of_pairs = [2 + 4 * pair for pair in range(4)]
    shapes = [scale + i for scale in (0, 18) for i in (0, *of_pairs)]
    squares = [scale + i for scale in (0, 18) for i in (1, *(i + 2 for i in of_pairs), *(i + 3 for i in of_pairs))]
    found = features.nan_to_num()
    found[:, shapes] = found[:, shapes].clamp(min=0.2).log()
    found[:, squares] = (found[:, squares] + 1e-3).log()
    return found
