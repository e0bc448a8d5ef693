"""Transforms of a dataset's pipeline."""

from .colour import RandomColour
from .degrade import Degrade
from .estimate_depth import EstimateDepth
from .geometry import (
    CenterCrop,
    GeometricTransform,
    LimitSize,
    RandomCrop,
    RandomFlip,
    RandomResize,
    RandomResizedCrop,
    RandomRotate90,
)

__all__ = ['CenterCrop', 'Degrade', 'EstimateDepth', 'GeometricTransform', 'LimitSize', 'RandomColour', 'RandomCrop',
           'RandomFlip', 'RandomResize', 'RandomResizedCrop', 'RandomRotate90']
