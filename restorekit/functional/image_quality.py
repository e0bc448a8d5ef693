"""Image quality as pure tensor functions: PSNR and SSIM."""

import torch
import torch.nn.functional as F

from .precision import at_least_float32, no_autocast

SSIM_PADDINGS = ('valid', 'zero')


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
    check_image_pair(pred, target)
    pred, target = at_least_float32(pred, target)
    mse = (pred - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range ** 2 / mse)


def ssim(pred, target, window=11, sigma=1.5, padding='valid', data_range=1.0):
    """Return the structural similarity of each image: the mean of :func:`ssim_map` over C, H and W.

    Args:
        pred (Tensor): (N, C, H, W), in [0, data_range].
        target (Tensor): The same shape and range.
        window (int): Side of the Gaussian window in pixels, odd.
        sigma (float): Standard deviation of the Gaussian in pixels.
        padding (str): 'valid' (only windows that lie inside the image) or 'zero' (a window at every pixel, zeros
            outside the image).
        data_range (float): Difference between the largest and the smallest possible value.

    Returns:
        Tensor: (N,), at most 1, and 1 for equal images.

    Raises:
        ValueError: If the shapes differ, or an option is out of range.

    Example:
        >>> image = torch.rand(2, 3, 16, 16)
        >>> ssim(image, image)
        tensor([1., 1.])
    """
    return ssim_map(pred, target, window, sigma, padding, data_range).mean(dim=(1, 2, 3))


def ssim_map(pred, target, window=11, sigma=1.5, padding='valid', data_range=1.0):
    """Return the structural similarity at every pixel.

    SSIM = (2 mu_x mu_y + c1) (2 s_xy + c2) / ((mu_x^2 + mu_y^2 + c1) (s_x^2 + s_y^2 + c2)), c1 = (0.01 L)^2,
    c2 = (0.03 L)^2, L = ``data_range``, with means, variances and covariance under a Gaussian window (Wang et al.,
    "Image quality assessment: from error visibility to structural similarity", 2004). It is scikit-image's
    ``structural_similarity(gaussian_weights=True, use_sample_covariance=False)`` where the window lies inside.

    With 'valid', an image smaller than the window is measured by the largest odd window that fits it.

    Args:
        pred (Tensor): (N, C, H, W), in [0, data_range].
        target (Tensor): The same shape and range.
        window (int): Side of the Gaussian window in pixels, odd.
        sigma (float): Standard deviation of the Gaussian in pixels.
        padding (str): 'valid' or 'zero'.
        data_range (float): Difference between the largest and the smallest possible value.

    Returns:
        Tensor: (N, C, H, W) with 'zero', (N, C, H - window + 1, W - window + 1) with 'valid'.

    Raises:
        ValueError: If the shapes differ, or an option is out of range.

    Example:
        >>> ssim_map(torch.rand(1, 3, 16, 20), torch.rand(1, 3, 16, 20)).shape
        torch.Size([1, 3, 6, 10])
    """
    check_image_pair(pred, target)
    check_ssim_options(window, sigma, padding)
    pred, target = at_least_float32(pred, target)
    if padding == 'valid':
        window = fitting_window(window, pred.shape[-2:])
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    with no_autocast(pred):
        kernel = gaussian_kernel(window, sigma, pred)
        # without zeros around the image, variances do not change with an offset: smaller numbers cancel less
        offset = data_range / 2 if padding == 'valid' else 0.0
        x, y = pred - offset, target - offset
        moments = torch.cat((x, y, x * x + y * y, x * y), dim=1)
        mu_x, mu_y, squares, xy = _blur(moments, kernel, padding).chunk(4, dim=1)
        variances = squares - (mu_x * mu_x + mu_y * mu_y)
        covariance = xy - mu_x * mu_y
        mu_x, mu_y = mu_x + offset, mu_y + offset
        luminance = (2 * mu_x * mu_y + c1) / (mu_x * mu_x + mu_y * mu_y + c1)
        return luminance * (2 * covariance + c2) / (variances + c2)


def gaussian_kernel(window, sigma, like):
    """Return a Gaussian (window,) that sums to one, of the type and on the device of ``like``."""
    x = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    kernel = torch.exp(-x.square() / (2 * sigma ** 2))
    return (kernel / kernel.sum()).to(like)


def fitting_window(window, size):
    """Return ``window``, or the largest odd number that fits into ``size`` (H, W) if that is smaller."""
    shortest = min(size)
    return min(window, shortest - 1 + shortest % 2)


def check_image_pair(pred, target):
    """Raise a ValueError unless both are (N, C, H, W), not empty and of the same shape."""
    if pred.shape != target.shape:
        raise ValueError(f'the prediction is {tuple(pred.shape)} and the target {tuple(target.shape)}; they must have '
                         'the same shape (N, C, H, W)')
    if pred.ndim != 4 or pred.numel() == 0:
        raise ValueError(f'images must be (N, C, H, W) with at least one pixel, got {tuple(pred.shape)}; '
                         'add the batch dimension with image[None]')


def check_ssim_options(window, sigma, padding):
    """Raise a ValueError for an even or non-positive window, a non-positive sigma or an unknown padding."""
    if window < 1 or window % 2 == 0:
        raise ValueError(f'window must be odd and positive, so that it has a centre, got {window}')
    if not sigma > 0:
        raise ValueError(f'sigma must be positive (in pixels), got {sigma}')
    if padding not in SSIM_PADDINGS:
        raise ValueError(f'padding must be one of {", ".join(map(repr, SSIM_PADDINGS))}, got {padding!r}')


def _blur(x, kernel, padding):
    """Convolve every channel of (N, C, H, W) with a separable kernel."""
    pad, channels = len(kernel) // 2 if padding == 'zero' else 0, x.shape[1]
    # one group per channel, channels last: on the CPU ten times faster than one channel at a time
    x = x.contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), padding=(0, pad), groups=channels)
    return F.conv2d(x, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), padding=(pad, 0), groups=channels)
