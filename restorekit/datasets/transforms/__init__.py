"""Transforms of a dataset's pipeline; those of mmcv are registered as well.

mmcv's act on the key ``img``: wrap them in its ``KeyMapper`` or ``TransformBroadcaster`` to give them ``inputs`` and
``gt``. Where a name is ours too, ``mmcv.RandomFlip`` is mmcv's.
"""

import mmcv.transforms  # noqa: F401  registers them

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
