"""Smoothing filters whose result for one image does not depend on the batch it is in."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def gaussian_blur(image, sigma):
    """Blur with a Gaussian, separably, borders replicated, the kernel cut at three sigma.

    Args:
        image (Tensor): (N,C,H,W), any size from 1x1.
        sigma (float or Tensor): Standard deviation in pixels, >= 0; a tensor (N,) gives each image its own. 0 leaves
            the image as it is. The cost grows with the largest sigma: see :func:`wide_blur` for large ones.

    Returns:
        Tensor: (N,C,H,W).

    Example:
        >>> gaussian_blur(torch.ones(1, 3, 4, 4), 1.5).shape
        torch.Size([1, 3, 4, 4])
    """
    sigma = torch.as_tensor(sigma, dtype=torch.float64, device='cpu').reshape(-1).numpy()
    sigma = np.broadcast_to(sigma, (image.shape[0],))
    radii = np.ceil(3 * sigma).astype(int)
    if len(set(radii.tolist())) <= 1:
        return _blur(image, sigma, int(radii.max(initial=0)))
    # a group for each radius: otherwise every image pays for the widest kernel
    result = torch.empty_like(image)
    for radius in sorted(set(radii.tolist())):
        rows = torch.from_numpy(np.flatnonzero(radii == radius)).to(image.device)
        result[rows] = _blur(image[rows], sigma[radii == radius], radius)
    return result


def _blur(image, sigma, radius):
    if radius == 0:
        return image
    taps = np.arange(radius + 1)
    weight = np.exp(-0.5 * (taps / np.maximum(sigma[:, None], 1e-6)) ** 2)
    # a running sum: a plain one may round differently for another number of rows
    total = 2 * np.cumsum(weight, axis=1)[:, -1:] - weight[:, :1]
    weight = torch.from_numpy(weight / total).to(image)[:, :, None, None, None]
    for dim in (2, 3):
        size = image.shape[dim]
        padded = F.pad(image, (0, 0, radius, radius) if dim == 2 else (radius, radius, 0, 0), mode='replicate')
        image = image * weight[:, 0]
        for k in range(1, radius + 1):
            pair = padded.narrow(dim, radius - k, size) + padded.narrow(dim, radius + k, size)
            image = image.add_(pair.mul_(weight[:, k]))
    return image


def wide_blur(image, sigma):
    """Approximate a wide Gaussian blur: shrink by area, blur, enlarge bilinearly.

    Args:
        image (Tensor): (N,C,H,W).
        sigma (float): Standard deviation in pixels, one for the batch. Below 4 this is :func:`gaussian_blur`.

    Returns:
        Tensor: (N,C,H,W).

    Example:
        >>> wide_blur(torch.rand(1, 1, 64, 64), 12.).shape
        torch.Size([1, 1, 64, 64])
    """
    factor = int(sigma // 2)
    if factor < 2:
        return gaussian_blur(image, sigma)
    height, width = image.shape[-2:]
    small = F.interpolate(image, (math.ceil(height / factor), math.ceil(width / factor)), mode='area')
    small = gaussian_blur(small, sigma / factor)
    return F.interpolate(small, (height, width), mode='bilinear', align_corners=False)


def box_filter(image, radius):
    """Average over a (2 radius + 1) square window, cut at the borders.

    Args:
        image (Tensor): (N,C,H,W).
        radius (int): Pixels, >= 0.

    Returns:
        Tensor: (N,C,H,W).

    Example:
        >>> box_filter(torch.ones(1, 1, 3, 3), 1).sum().item()
        9.0
    """
    if radius == 0:
        return image
    size = 2 * radius + 1
    image = F.avg_pool2d(image, (size, 1), 1, (radius, 0), count_include_pad=False)
    return F.avg_pool2d(image, (1, size), 1, (0, radius), count_include_pad=False)


def guided_filter(guide, source, radius, eps, subsample=1):
    """Smooth ``source`` along the edges of ``guide``.

    ``q = mean(a) guide + mean(b)`` with ``a = cov(guide, source) / (var(guide) + eps)`` and
    ``b = mean(source) - a mean(guide)`` in each window (He, Sun and Tang, Guided Image Filtering, 2010); with
    ``subsample`` > 1, a and b are found on images that many times smaller (He and Sun, Fast Guided Filter, 2015).

    Args:
        guide (Tensor): (N,1,H,W).
        source (Tensor): (N,C,H,W), or already ``round(H / subsample), round(W / subsample)`` large.
        radius (int): Window radius in pixels of the full size.
        eps (float): Variance of ``guide`` under which a window counts as flat, > 0.
        subsample (int): Factor >= 1.

    Returns:
        Tensor: (N,C,H,W).

    Example:
        >>> guided_filter(torch.rand(1, 1, 8, 8), torch.ones(1, 1, 8, 8), 2, 1e-3).shape
        torch.Size([1, 1, 8, 8])
    """
    full, full_size = guide, guide.shape[-2:]
    if subsample > 1:
        size = [max(1, round(s / subsample)) for s in full_size]
        guide = F.interpolate(guide, size, mode='area')
        if list(source.shape[-2:]) != size:
            source = F.interpolate(source, size, mode='area')
        radius = max(1, round(radius / subsample))
    mean_guide, mean_source = box_filter(guide, radius), box_filter(source, radius)
    covariance = box_filter(guide * source, radius) - mean_guide * mean_source
    variance = box_filter(guide * guide, radius) - mean_guide * mean_guide
    slope = covariance / (variance + eps)
    offset = mean_source - slope * mean_guide
    slope, offset = box_filter(slope, radius), box_filter(offset, radius)
    if subsample > 1:
        slope = F.interpolate(slope, full_size, mode='bilinear', align_corners=False)
        offset = F.interpolate(offset, full_size, mode='bilinear', align_corners=False)
    return slope * full + offset
