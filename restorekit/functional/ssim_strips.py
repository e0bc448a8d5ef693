"""SSIM of images on the CPU, without a gradient: strip by strip, so that nothing leaves the cache.

The same numbers as :func:`restorekit.functional.image_quality.ssim_map` to rounding, several times faster, and the
same bits whatever else is measured beside an image.
"""

import cv2
import numpy as np
import torch

STRIP_FLOATS = 3 * 2 ** 14


def ssim_means(pred, target, kernel, padding, unbiased, c1, c2):
    """Return the means of SSIM and of its contrast-structure factor over each plane.

    With u = x + y and v = x - y, 2 x y = (u^2 - v^2) / 2 and x^2 + y^2 = (u^2 + v^2) / 2, so that
    SSIM = (mu_u^2 - mu_v^2 + 2 c1) (s_u^2 - s_v^2 + 2 c2) / ((mu_u^2 + mu_v^2 + 2 c1) (s_u^2 + s_v^2 + 2 c2)):
    four blurs, as the textbook form, and fewer passes over them.

    Args:
        pred (Tensor): (N, C, H, W) on the CPU, float32 or float64.
        target (Tensor): The same shape and type.
        kernel (Tensor): (window,), the separable window, summing to one; with 'valid' no larger than the image.
        padding (str): 'valid' or 'zero'.
        unbiased (float): Factor of variances and covariance.
        c1 (float): First constant of SSIM.
        c2 (float): Second constant.

    Returns:
        Tensor: (N, C, 2), float64.
    """
    shape, kernel = pred.shape, kernel.numpy()
    planes = zip(*(image.detach().contiguous().numpy().reshape(-1, *shape[-2:]) for image in (pred, target)),
                 strict=True)
    rows = max(16, STRIP_FLOATS // shape[-1])
    # from torch, whose memory is always aligned alike: some libraries' sums depend on it
    work = torch.empty(6, rows + len(kernel) - 1, shape[-1], dtype=pred.dtype).numpy()
    means = [_plane(x, y, kernel, padding, unbiased, c1, c2, rows, work) for x, y in planes]
    return torch.tensor(means, dtype=torch.float64).view(*shape[:2], 2)


def _plane(x, y, kernel, padding, unbiased, c1, c2, rows, work):
    height, width = x.shape
    half = len(kernel) // 2
    border = half if padding == 'valid' else 0
    totals = np.zeros(2)
    for top in range(border, height - border, rows):
        bottom = min(top + rows, height - border)
        first, last = max(top - half, 0), min(bottom + half, height)
        source, mean_u, mean_v, var_u, var_v, spare = (buffer[:last - first] for buffer in work)
        np.add(x[first:last], y[first:last], out=source)
        # without zeros around the image, variances do not change with an offset: smaller numbers cancel less
        offset = source.dtype.type(cv2.mean(source)[0] if padding == 'valid' else 0)
        source -= offset
        _moments(source, mean_u, var_u, kernel)
        np.subtract(x[first:last], y[first:last], out=source)
        _moments(source, mean_v, var_v, kernel)
        inner = slice(top - first, bottom - first)
        # whole rows, since numpy is slow on parts of rows; what lies beside the windows is left out of the sums
        maps = _factors(*(buffer[inner] for buffer in (mean_u, mean_v, var_u, var_v, source, spare)),
                        offset, unbiased, c1, c2)
        totals += [cv2.sumElems(values[:, border:width - border])[0] for values in maps]
    return (totals / ((height - 2 * border) * (width - 2 * border))).tolist()


def _moments(source, mean, square, kernel):
    """Blur ``source`` into ``mean``, and its square into ``square``; ``source`` is overwritten."""
    cv2.sepFilter2D(source, -1, kernel, kernel, dst=mean, borderType=cv2.BORDER_CONSTANT)
    source *= source
    cv2.sepFilter2D(source, -1, kernel, kernel, dst=square, borderType=cv2.BORDER_CONSTANT)


def _factors(mean_u, mean_v, var_u, var_v, top, bottom, offset, unbiased, c1, c2):
    """Return the maps of SSIM and of contrast-structure; every array is overwritten."""
    var_u -= np.multiply(mean_u, mean_u, out=top)
    var_v -= np.multiply(mean_v, mean_v, out=bottom)
    if unbiased != 1:
        var_u *= unbiased
        var_v *= unbiased
    mean_u += offset
    mean_u *= mean_u
    mean_u += 2 * c1
    np.subtract(mean_u, bottom, out=top)
    bottom += mean_u
    top /= bottom  # luminance
    var_u += 2 * c2
    np.subtract(var_u, var_v, out=mean_u)
    var_u += var_v
    mean_u /= var_u  # contrast and structure
    top *= mean_u
    return top, mean_u
