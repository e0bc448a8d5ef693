"""Transforms of a dataset's pipeline."""

from .degrade import Degrade
from .geometry import CenterCrop, GeometricTransform, LimitSize, RandomCrop, RandomFlip, RandomResize, RandomRotate90

__all__ = ['CenterCrop', 'Degrade', 'GeometricTransform', 'LimitSize', 'RandomCrop', 'RandomFlip', 'RandomResize',
           'RandomRotate90']
