"""Float32 islands inside mixed-precision code."""

import torch


def at_least_float32(*tensors):
    """Return the tensors in their common floating type, and never less than float32.

    Statistics (covariances, SSIM, PSNR) subtract numbers that nearly agree; half precision leaves nothing of them.

    Args:
        *tensors (Tensor): Any shapes, any numeric type; integers become float32 without being scaled.

    Returns:
        Tensor | tuple[Tensor, ...]: One tensor for one argument, a tuple otherwise.

    Example:
        >>> at_least_float32(torch.zeros(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    tensors = tuple(tensor.to(dtype) for tensor in tensors)
    return tensors if len(tensors) > 1 else tensors[0]


def no_autocast(tensor):
    """Return a context manager that switches autocast off on the device of ``tensor``; the meta device has none.

    Example:
        >>> with no_autocast(torch.zeros(2, 2)):
        ...     pass
    """
    return torch.autocast('cpu' if tensor.device.type == 'meta' else tensor.device.type, enabled=False)
