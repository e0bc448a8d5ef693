"""Between image arrays and tensors."""

from __future__ import annotations

import numpy as np
import torch

from restorekit.messages import InputTypeError

_TOPS = {torch.uint8: 255, torch.uint16: 65535}


def to_array(image: torch.Tensor) -> np.ndarray:
    """Turn an image tensor into an array, as files and OpenCV have it.

    Args:
        image (Tensor): (3, H, W) RGB, uint8, or float in [0, 1] (clipped, then rounded).

    Returns:
        ndarray: (H, W, 3) uint8 RGB, contiguous.

    Example:
        >>> to_array(torch.ones(3, 2, 4)).shape
        (2, 4, 3)
    """
    image = image.detach().cpu()
    if image.is_floating_point():
        image = (image.clamp(0, 1) * 255).round().byte()
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def to_unit(image: torch.Tensor) -> torch.Tensor:
    """Turn an image tensor into float32 in [0, 1]: a range belongs to a dtype.

    Args:
        image (Tensor): Any shape; uint8 (0 to 255), uint16 (0 to 65535), or float in [0, 1], which is not scaled.

    Raises:
        ValueError: If it is of another dtype.

    Example:
        >>> to_unit(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
        [0.0, 1.0]
    """
    if image.is_floating_point():
        return image.float()
    if image.dtype not in _TOPS:
        raise InputTypeError(f'an image is uint8, uint16 or float, but got {image.dtype}')
    return image.float() / _TOPS[image.dtype]


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """Turn an image array (H, W, 3) into a contiguous tensor (3, H, W) of the same values and dtype.

    Example:
        >>> to_tensor(np.zeros((2, 4, 3), np.uint8)).shape
        torch.Size([3, 2, 4])
    """
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
