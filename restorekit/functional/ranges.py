"""Mapping images between value ranges."""


def rescale(image, source, target=(0.0, 1.0)):
    """Map ``image`` linearly so that ``source`` (low, high) becomes ``target`` (low, high); no clamping.

    Example:
        >>> import torch
        >>> rescale(torch.tensor([0.0, 0.5, 1.0]), (0, 1), (-1, 1)).tolist()
        [-1.0, 0.0, 1.0]
    """
    if tuple(source) == tuple(target):
        return image
    scale = (target[1] - target[0]) / (source[1] - source[0])
    return (image - source[0]) * scale + target[0]
