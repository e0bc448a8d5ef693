"""Colour spaces, for RGB tensors with channels in dimension 1 and values in [0, 1]."""

import torch


def srgb_to_linear(image):
    """Decode sRGB to linear light (IEC 61966-2-1).

    Args:
        image (Tensor): (N,3,H,W) or any shape, sRGB in [0, 1].

    Returns:
        Tensor: Linear light in [0, 1], same shape.

    Example:
        >>> srgb_to_linear(torch.tensor([0., 1.])).tolist()
        [0.0, 1.0]
    """
    # exp(k log x), not pow: torch's pow rounds differently at a tensor's tail, which would tie a value to its batch
    return torch.where(image <= 0.04045, image / 12.92, safe_power((image + 0.055) / 1.055, 2.4))


def linear_to_srgb(image):
    """Encode linear light to sRGB, the inverse of :func:`srgb_to_linear`.

    Args:
        image (Tensor): Any shape, linear light in [0, 1].

    Returns:
        Tensor: sRGB in [0, 1], same shape.

    Example:
        >>> linear_to_srgb(torch.tensor([0., 1.])).round(decimals=5).tolist()
        [0.0, 1.0]
    """
    return torch.where(image <= 0.0031308, image * 12.92, 1.055 * safe_power(image, 1 / 2.4) - 0.055)


def safe_power(image, exponent):
    """Raise values >= 0 to a power > 0 with the same bits wherever a value lies in the tensor.

    Args:
        image (Tensor): Values >= 0.
        exponent (float or Tensor): Greater than 0, broadcast against ``image``. Exactly 1 returns ``image`` unchanged.

    Returns:
        Tensor: ``image ** exponent``.

    Example:
        >>> safe_power(torch.tensor([0., 0.25]), 0.5).tolist()
        [0.0, 0.5]
    """
    if not torch.is_tensor(exponent):
        return image if exponent == 1 else torch.exp(torch.log(image) * exponent)
    return torch.where(exponent == 1, image, torch.exp(torch.log(image) * exponent))


def hue_to_rgb(hue):
    """Return the fully saturated, full-value RGB colour of a hue (the HSV hexcone, Smith 1978).

    Args:
        hue (Tensor): (N,), in turns: 0 red, 1/3 green, 2/3 blue; wraps around.

    Returns:
        Tensor: (N,3) in [0, 1].

    Example:
        >>> hue_to_rgb(torch.tensor([0.])).tolist()
        [[1.0, 0.0, 0.0]]
    """
    offset = torch.tensor([0., 2 / 3, 1 / 3], dtype=hue.dtype, device=hue.device)
    distance = ((hue[:, None] + offset) % 1 * 6 - 3).abs()
    return (distance - 1).clamp(0, 1)


def luminance(image):
    """Return Rec. 601 luma of an RGB image.

    Args:
        image (Tensor): (N,3,H,W).

    Returns:
        Tensor: (N,1,H,W).

    Example:
        >>> luminance(torch.ones(1, 3, 2, 2)).shape
        torch.Size([1, 1, 2, 2])
    """
    return image[:, 0:1] * 0.299 + image[:, 1:2] * 0.587 + image[:, 2:3] * 0.114


def chroma(image):
    """Return the two chroma signals Cb and Cr of Rec. 601.

    Args:
        image (Tensor): (N,3,H,W).

    Returns:
        Tensor: (N,2,H,W), each in [-0.5, 0.5] for images in [0, 1]; 0 where a pixel is grey.

    Example:
        >>> chroma(torch.ones(1, 3, 1, 1)).abs().max().item() < 1e-6
        True
    """
    y = luminance(image)
    return torch.cat([(image[:, 2:3] - y) / 1.772, (image[:, 0:1] - y) / 1.402], dim=1)
