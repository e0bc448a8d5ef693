"""The CIEDE2000 colour difference between two images."""

import math

import torch

from restorekit.messages import InputError

from .colour import srgb_to_linear
from .image_quality import check_image_pair
from .precision import at_least_float32, no_autocast

# linear sRGB to CIE XYZ (IEC 61966-2-1), and the white D65 of the 2-degree observer
RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)


def ciede2000(pred, target):
    """Return the mean CIEDE2000 difference of each image.

    Args:
        pred (Tensor): (N, 3, H, W), sRGB in [0, 1].
        target (Tensor): The same shape and range.

    Returns:
        Tensor: (N,), float32 or float64; 0 for equal images, 100 between black and white.

    Raises:
        ValueError: If the shapes differ or are not (N, 3, H, W).

    Example:
        >>> round(ciede2000(torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)).item(), 3)
        100.0
    """
    check_image_pair(pred, target)
    if pred.shape[1] != 3:
        raise InputError(f'CIEDE2000 compares RGB images (N, 3, H, W), but got {tuple(pred.shape)}')
    pred, target = at_least_float32(pred, target)
    with no_autocast(pred):
        return lab_difference(srgb_to_lab(pred), srgb_to_lab(target)).mean(dim=(1, 2))


def srgb_to_lab(image):
    """Return CIE L*a*b* under D65 of sRGB.

    L* = 116 f(Y/Yn) - 16, a* = 500 (f(X/Xn) - f(Y/Yn)), b* = 200 (f(Y/Yn) - f(Z/Zn)), f(t) = t^(1/3) above 0.008856
    and 7.787 t + 16/116 below (CIE 15:2004).

    Args:
        image (Tensor): (N, 3, H, W), sRGB in [0, 1].

    Returns:
        Tensor: (N, 3, H, W): L* in [0, 100], a* and b*.

    Example:
        >>> srgb_to_lab(torch.ones(1, 3, 1, 1).double()).flatten().round(decimals=1).tolist()
        [100.0, -0.0, 0.0]
    """
    matrix = image.new_tensor(RGB_TO_XYZ) / image.new_tensor(WHITE).view(3, 1)
    xyz = torch.einsum('ij,njhw->nihw', matrix, srgb_to_linear(image))
    f = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(dim=1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)


def lab_difference(lab_1, lab_2):
    """Return the CIEDE2000 difference between colours.

    dE = sqrt((dL'/SL)^2 + (dC'/SC)^2 + (dH'/SH)^2 + RT (dC'/SC) (dH'/SH)), kL = kC = kH = 1, all as in Sharma, Wu and
    Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and mathematical
    observations" (2005), whose equation numbers stand beside the lines.

    Args:
        lab_1 (Tensor): (N, 3, H, W), CIE L*a*b*.
        lab_2 (Tensor): The same shape.

    Returns:
        Tensor: (N, H, W), at least 0. Its gradient is finite everywhere; 0 between equal colours.

    Example:
        >>> a, b = torch.tensor([[50, 2.6772, -79.7751], [50, 0, -82.7485]]).double().view(2, 1, 3, 1, 1)
        >>> round(lab_difference(a, b).item(), 4)
        2.0425
    """
    (l1, a1, b1), (l2, a2, b2) = lab_1.unbind(dim=1), lab_2.unbind(dim=1)
    g = 0.5 * (1 - _saturation((_length(a1, b1) + _length(a2, b2)) / 2))  # (4)
    a1, a2 = (1 + g) * a1, (1 + g) * a2  # (5)
    c1, c2 = _length(a1, b1), _length(a2, b2)  # (6)
    h1, h2 = (_hue(a, b) for a, b in ((a1, b1), (a2, b2)))  # (7)
    grey = c1 * c2 == 0
    turn = h2 - h1
    far = turn.abs() > 180
    turn = torch.where(grey, 0, torch.where(far, turn - 360 * turn.sign(), turn))  # (10)
    hue_step = 2 * _root(c1 * c2) * torch.sin(torch.deg2rad(turn) / 2)  # (11)
    lightness, chroma, total = (l1 + l2) / 2, (c1 + c2) / 2, h1 + h2  # (12), (13)
    opposite = torch.where(total < 360, total + 360, total - 360)
    hue = torch.where(grey, total, torch.where(far, opposite, total) / 2)  # (14)
    t = 1 - 0.17 * _cos(hue - 30) + 0.24 * _cos(2 * hue) + 0.32 * _cos(3 * hue + 6) - 0.2 * _cos(4 * hue - 63)  # (15)
    angle = 60 * torch.exp(-((hue - 275) / 25).square())  # 2 dtheta of (16)
    rotation = -torch.sin(torch.deg2rad(angle)) * 2 * _saturation(chroma)  # (17), (21)
    off_centre = (lightness - 50).square()
    d_l = (l2 - l1) / (1 + 0.015 * off_centre / (20 + off_centre).sqrt())  # (18)
    d_c = (c2 - c1) / (1 + 0.045 * chroma)  # (19)
    d_h = hue_step / (1 + 0.015 * chroma * t)  # (20)
    return _root(d_l.square() + d_c.square() + d_h.square() + rotation * d_c * d_h)  # (22)


def _saturation(chroma):
    power = chroma ** 7
    return _root(power / (power + 25 ** 7))


# Roots and angles have no gradient at 0, where versions of torch return NaN or 0: here it is 0.


def _root(value):
    there = value > 0
    return torch.where(there, torch.where(there, value, 1.0).sqrt(), 0.0)


def _length(a, b):
    grey = (a == 0) & (b == 0)
    return torch.where(grey, 0.0, torch.hypot(torch.where(grey, 1.0, a), b))


def _hue(a, b):
    grey = (a == 0) & (b == 0)
    return torch.where(grey, 0.0, torch.rad2deg(torch.atan2(b, torch.where(grey, 1.0, a))) % 360)


def _cos(degrees):
    return torch.cos(degrees * (math.pi / 180))
