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
from .mix_density import MixDensity

__all__ = ['CenterCrop', 'Degrade', 'EstimateDepth', 'GeometricTransform', 'LimitSize', 'MixDensity', 'RandomColour',
           'RandomCrop', 'RandomFlip', 'RandomResize', 'RandomResizedCrop', 'RandomRotate90']
