"""Changes of colour that keep a pair a pair."""

from __future__ import annotations

from numbers import Real

import cv2
import numpy as np

from restorekit.messages import InputError
from restorekit.registry import TRANSFORMS

from .geometry import is_span


@TRANSFORMS.register_module()
class RandomColour:
    """Multiply every colour by one drawn 3x3 matrix: exposure, a gain for each colour, saturation.

    A linear map S of colours commutes with the scattering model: ``S I = t (S J) + S v``, so it may be applied to the
    hazy and the clear image of a pair alike. What leaves [0, 255] is clipped.

    Args:
        exposure (tuple[float, float]): Range of the common factor, drawn on a logarithmic scale.
        gain (float): Each colour gets a factor in [1 - gain, 1 + gain].
        warmth (tuple[float, float]): Range of w, drawn uniformly: red gets ``1 + w / 2``, blue ``1 - w`` besides, the
            light of lamps and evenings.
        saturation (tuple[float, float]): Range of the factor of the distance from grey (Rec. 601).
        keys (Sequence[str]): What is changed: ``('inputs', 'gt')``, or ``('inputs',)`` to tint the degraded image only.

    Raises:
        InputError: If a range is reversed or out of bounds.

    Example:
        >>> grey = np.full((2, 2, 3), 100, np.uint8)
        >>> RandomColour(saturation=(0, 2), gain=0)(dict(gt=grey))['gt'][0, 0].tolist()
        [100, 100, 100]
    """

    def __init__(self, exposure=(1.0, 1.0), gain=0.0, warmth=(0.0, 0.0), saturation=(1.0, 1.0),
                 keys=('inputs', 'gt')):
        for name, span, least in (('exposure', exposure, 1e-3), ('saturation', saturation, 0), ('warmth', warmth, -1)):
            if not (is_span(span) and least <= span[0]):
                raise InputError(f'RandomColour.{name} must be (low, high) with {least} <= low <= high, '
                                 f'but got {span!r}')
        if not isinstance(gain, Real) or not 0 <= gain < 1:
            raise InputError(f'RandomColour.gain must be in [0, 1), but got {gain}')
        self.keys = tuple(keys)
        if not self.keys or set(self.keys) - {'inputs', 'gt'}:
            raise InputError(f"RandomColour.keys must be among 'inputs' and 'gt', but got {keys!r}")
        self.exposure, self.gain, self.warmth, self.saturation = exposure, gain, warmth, saturation

    def __call__(self, results):
        gains = np.random.uniform(1 - self.gain, 1 + self.gain, 3) * np.exp(np.random.uniform(*np.log(self.exposure)))
        warmth = np.random.uniform(*self.warmth)
        gains = gains * (1 + warmth / 2, 1, 1 - warmth)
        saturation = np.random.uniform(*self.saturation)
        grey = np.tile([0.299, 0.587, 0.114], (3, 1))
        matrix = (np.diag(np.full(3, saturation)) + (1 - saturation) * grey) @ np.diag(gains)
        for key in self.keys:
            if results.get(key) is not None:
                results[key] = cv2.transform(np.ascontiguousarray(results[key]), matrix)
        return results
