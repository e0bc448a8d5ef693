"""Image quality as pure tensor functions: PSNR, MAE, SSIM and MS-SSIM."""

import cv2
import torch
import torch.nn.functional as F

from restorekit.messages import InputError

from .images import to_unit
from .precision import at_least_float32, no_autocast
from .ssim_strips import ssim_means

SSIM_PADDINGS = ('valid', 'zero')
# Wang et al. (2003), from the finest scale to the coarsest
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr(pred, target, data_range=1.0):
    """Return the peak signal-to-noise ratio of each image, in dB.

    PSNR = 10 log10(data_range^2 / mean((pred - target)^2)), the mean over C, H and W.

    Args:
        pred (Tensor): (N, C, H, W), in [0, data_range].
        target (Tensor): The same shape and range.
        data_range (float): Difference between the largest and the smallest possible value.

    Returns:
        Tensor: (N,), float32 or float64; ``inf`` where the two images are equal.

    Raises:
        ValueError: If the shapes differ or are not (N, C, H, W).

    Example:
        >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.1))
        tensor([20.])
    """
    return 10 * torch.log10(data_range ** 2 / _mean_difference(pred, target, 2))


def mae(pred, target):
    """Return the mean absolute error of each image, over C, H and W.

    Args:
        pred (Tensor): (N, C, H, W).
        target (Tensor): The same shape and range.

    Returns:
        Tensor: (N,), float32 or float64, in the unit of the images.

    Raises:
        ValueError: If the shapes differ or are not (N, C, H, W).

    Example:
        >>> mae(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.25))
        tensor([0.2500])
    """
    return _mean_difference(pred, target, 1)


def ssim(pred, target, window=11, sigma=1.5, padding='valid', data_range=1.0, sample_covariance=False):
    """Return the structural similarity of each image: the mean of :func:`ssim_map` over C, H and W.

    On the CPU without a gradient it is computed in strips that stay in the cache, to the same value.

    Args:
        pred (Tensor): (N, C, H, W), in [0, data_range].
        target (Tensor): The same shape and range.
        window (int): Side of the window in pixels, odd.
        sigma (float | None): Standard deviation of the Gaussian window in pixels; None: a uniform window.
        padding (str): 'valid' (only windows that lie inside the image) or 'zero' (a window at every pixel, zeros
            outside the image).
        data_range (float): Difference between the largest and the smallest possible value.
        sample_covariance (bool): Divide variances and covariance by n - 1 instead of n, n = window^2.

    Returns:
        Tensor: (N,), at most 1, and 1 for equal images.

    Raises:
        ValueError: If the shapes differ, or an option is out of range.

    Example:
        >>> image = torch.rand(2, 3, 16, 16)
        >>> ssim(image, image)
        tensor([1., 1.])
    """
    return _ssim_means(pred, target, window, sigma, padding, data_range, sample_covariance)[..., 0].mean(dim=1)


def ms_ssim(pred, target, window=11, sigma=1.5, padding='valid', data_range=1.0):
    """Return the multi-scale structural similarity of each image, the mean over its channels.

    MS-SSIM = l_5^w5 prod_j cs_j^wj: l and cs are SSIM's luminance and contrast-structure, cs_j its mean at scale j
    (cs_5 l_5: that of SSIM), w = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), each scale the former averaged over 2 x 2
    pixels (Wang et al., "Multiscale structural similarity for image quality assessment", 2003). Negative means count
    as zero; an odd last row or column is dropped by the averaging.

    Args:
        pred (Tensor): (N, C, H, W), in [0, data_range], at least 16 windows on each side.
        target (Tensor): The same shape and range.
        window (int): Side of the window in pixels, odd.
        sigma (float | None): Standard deviation of the Gaussian window in pixels; None: a uniform window.
        padding (str): 'valid' or 'zero'.
        data_range (float): Difference between the largest and the smallest possible value.

    Returns:
        Tensor: (N,), in [0, 1], and 1 for equal images.

    Raises:
        ValueError: If the shapes differ, an option is out of range, or the images are too small for five scales.

    Example:
        >>> image = torch.rand(1, 3, 176, 200)
        >>> ms_ssim(image, image)
        tensor([1.])
    """
    check_image_pair(pred, target)
    check_ssim_options(window, sigma, padding)
    smallest = window * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
    if min(pred.shape[-2:]) < smallest:
        raise InputError(f'MS-SSIM with a window of {window} needs images of at least {smallest} pixels on each side, '
                         f'so that the window fits its fifth scale, but got {pred.shape[-2]}x{pred.shape[-1]}. Use '
                         'SSIM, or a protocol with a smaller ssim_window')
    product = 1.0
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        if scale:
            pred, target = F.avg_pool2d(pred, 2), F.avg_pool2d(target, 2)
        means = _ssim_means(pred, target, window, sigma, padding, data_range, False)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        product = product * means[..., 0 if last else 1].clamp(min=0) ** weight
    return product.mean(dim=1)


def ssim_map(pred, target, window=11, sigma=1.5, padding='valid', data_range=1.0, sample_covariance=False):
    """Return the structural similarity at every pixel.

    SSIM = (2 mu_x mu_y + c1) (2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1) (s_x^2 + s_y^2 + c2)), c1 = (0.01 L)^2,
    c2 = (0.03 L)^2, L = ``data_range``, with means, variances and covariance under the window (Wang et al.,
    "Image quality assessment: from error visibility to structural similarity", 2004). It is scikit-image's
    ``structural_similarity(gaussian_weights=True, use_sample_covariance=False)`` where the window lies inside; its
    default is ``window=7, sigma=None, sample_covariance=True``.

    With 'valid', an image smaller than the window is measured by the largest odd window that fits it.

    Args:
        pred (Tensor): (N, C, H, W), in [0, data_range].
        target (Tensor): The same shape and range.
        window (int): Side of the window in pixels, odd.
        sigma (float | None): Standard deviation of the Gaussian window in pixels; None: a uniform window.
        padding (str): 'valid' or 'zero'.
        data_range (float): Difference between the largest and the smallest possible value.
        sample_covariance (bool): Divide variances and covariance by n - 1 instead of n, n = window^2.

    Returns:
        Tensor: (N, C, H, W) with 'zero', (N, C, H - window + 1, W - window + 1) with 'valid'.

    Raises:
        ValueError: If the shapes differ, or an option is out of range.

    Example:
        >>> ssim_map(torch.rand(1, 3, 16, 20), torch.rand(1, 3, 16, 20)).shape
        torch.Size([1, 3, 6, 10])
    """
    luminance, contrast = ssim_factors(pred, target, window, sigma, padding, data_range, sample_covariance)
    return luminance * contrast


def ssim_factors(pred, target, window=11, sigma=1.5, padding='valid', data_range=1.0, sample_covariance=False):
    """Return the luminance and the contrast-structure factor at every pixel, whose product is :func:`ssim_map`.

    Arguments and shapes as there.

    Example:
        >>> [tuple(x.shape) for x in ssim_factors(torch.rand(1, 3, 16, 20), torch.rand(1, 3, 16, 20))]
        [(1, 3, 6, 10), (1, 3, 6, 10)]
    """
    pred, target, kernel, unbiased, c1, c2 = _ssim_setup(pred, target, window, sigma, padding, data_range,
                                                         sample_covariance)
    return _ssim_factors(pred, target, kernel, padding, unbiased, c1, c2, data_range)


def _ssim_setup(pred, target, window, sigma, padding, data_range, sample_covariance):
    check_image_pair(pred, target)
    check_ssim_options(window, sigma, padding)
    pred, target = at_least_float32(pred, target)
    if padding == 'valid':
        window = fitting_window(window, pred.shape[-2:])
    unbiased = window ** 2 / max(window ** 2 - 1, 1) if sample_covariance else 1.0
    return (pred, target, gaussian_kernel(window, sigma, pred), unbiased,
            (0.01 * data_range) ** 2, (0.03 * data_range) ** 2)


def _ssim_means(pred, target, window, sigma, padding, data_range, sample_covariance):
    """Return the means over H and W of SSIM and of its contrast-structure factor, (N, C, 2)."""
    pred, target, kernel, unbiased, c1, c2 = _ssim_setup(pred, target, window, sigma, padding, data_range,
                                                         sample_covariance)
    if pred.device.type == 'cpu' and not _needs_gradient(pred, target):
        return ssim_means(pred, target, kernel, padding, unbiased, c1, c2).to(pred.dtype)
    luminance, contrast = _ssim_factors(pred, target, kernel, padding, unbiased, c1, c2, data_range)
    return torch.stack([(luminance * contrast).mean(dim=(2, 3)), contrast.mean(dim=(2, 3))], dim=-1)


def _ssim_factors(pred, target, kernel, padding, unbiased, c1, c2, data_range):
    with no_autocast(pred):
        # without zeros around the image, variances do not change with an offset: smaller numbers cancel less
        offset = data_range / 2 if padding == 'valid' else 0.0
        x, y = pred - offset, target - offset
        moments = torch.cat((x, y, x * x + y * y, x * y), dim=1)
        mu_x, mu_y, squares, xy = _blur(moments, kernel, padding).chunk(4, dim=1)
        variances = squares - (mu_x * mu_x + mu_y * mu_y)
        covariance = xy - mu_x * mu_y
        if unbiased != 1:
            variances, covariance = unbiased * variances, unbiased * covariance
        mu_x, mu_y = mu_x + offset, mu_y + offset
        luminance = (2 * mu_x * mu_y + c1) / (mu_x * mu_x + mu_y * mu_y + c1)
        return luminance, (2 * covariance + c2) / (variances + c2)


def gaussian_kernel(window, sigma, like):
    """Return a Gaussian (window,) that sums to one (uniform for sigma None), of the type and device of ``like``."""
    x = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    kernel = torch.ones_like(x) if sigma is None else torch.exp(-x.square() / (2 * sigma ** 2))
    return (kernel / kernel.sum()).to(like)


def unit_float(image):
    """Return an image of any shape as float32 in [0, 1]: integers divided by their greatest value, float clamped.

    Example:
        >>> unit_float(torch.tensor([0, 255], dtype=torch.uint8))
        tensor([0., 1.])
    """
    image = image.detach()
    return image.float().clamp(0, 1) if image.is_floating_point() else to_unit(image)


def fitting_window(window, size):
    """Return ``window``, or the largest odd number that fits into ``size`` (H, W) if that is smaller."""
    shortest = min(size)
    return min(window, shortest - 1 + shortest % 2)


def check_image_pair(pred, target):
    """Raise a ValueError unless both are (N, C, H, W), not empty and of the same shape."""
    if pred.shape != target.shape:
        raise InputError(f'the prediction is {tuple(pred.shape)} and the target {tuple(target.shape)}; they must have '
                         'the same shape (N, C, H, W)')
    if pred.ndim != 4 or pred.numel() == 0:
        raise InputError(f'images must be (N, C, H, W) with at least one pixel, but got {tuple(pred.shape)}; '
                         'add the batch dimension with image[None]')


def check_ssim_options(window, sigma, padding):
    """Raise a ValueError for an even or non-positive window, a non-positive sigma or an unknown padding."""
    if window < 1 or window % 2 == 0:
        raise InputError(f'window must be odd and positive, so that it has a centre, but got {window}')
    if sigma is not None and not sigma > 0:
        raise InputError(f'sigma must be positive (in pixels), or None for a uniform window, but got {sigma}')
    if padding not in SSIM_PADDINGS:
        raise InputError(f'padding must be one of {", ".join(map(repr, SSIM_PADDINGS))}, but got {padding!r}')


def _needs_gradient(*tensors):
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def _mean_difference(pred, target, power):
    """Return mean(|pred - target|^power) of each image, power 1 or 2."""
    check_image_pair(pred, target)
    pred, target = at_least_float32(pred, target)
    if pred.device.type == 'cpu' and not _needs_gradient(pred, target):
        # one pass, summed in float64
        norm = cv2.NORM_L1 if power == 1 else cv2.NORM_L2SQR
        sums = [cv2.norm(a.contiguous().numpy().reshape(-1), b.contiguous().numpy().reshape(-1), norm)
                for a, b in zip(pred.detach(), target.detach(), strict=True)]
        return (torch.tensor(sums, dtype=torch.float64) / pred[0].numel()).to(pred.dtype)
    difference = pred - target
    return (difference.abs() if power == 1 else difference.square()).mean(dim=(1, 2, 3))


def _blur(x, kernel, padding):
    """Convolve every channel of (N, C, H, W) with a separable kernel."""
    pad, channels = len(kernel) // 2 if padding == 'zero' else 0, x.shape[1]
    # one group per channel, channels last: on the CPU ten times faster than one channel at a time
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, pad), groups=channels)
    return F.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(pad, 0), groups=channels)
