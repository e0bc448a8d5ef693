"""Between image arrays and tensors."""

from __future__ import annotations

import numpy as np
import torch


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


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """Turn an image array (H, W, 3) into a contiguous tensor (3, H, W) of the same values and dtype.

    Example:
        >>> to_tensor(np.zeros((2, 4, 3), np.uint8)).shape
        torch.Size([3, 2, 4])
    """
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
