"""Degradations: clear image (+ depth) to degraded image."""

from .base import Degradation, Draw, check_choice, check_range, fractal_noise, normal_field, per_sample
from .codec import JPEG, Blur, Resize, jpeg_round_trip
from .compose import Maybe, OneOf, Sequential, Shuffle, build_degradation
from .depth import ProxyDepth, convert_depth, read_depth
from .haze import AtmosphericScattering, NonHomogeneousHaze, scatter
from .noise import PoissonGaussianNoise
from .params import params_from_json, params_to_json, select, stack

__all__ = [
    'AtmosphericScattering', 'Blur', 'Degradation', 'Draw', 'JPEG', 'Maybe', 'NonHomogeneousHaze', 'OneOf',
    'PoissonGaussianNoise', 'ProxyDepth', 'Resize', 'Sequential', 'Shuffle', 'build_degradation', 'check_choice',
    'check_range', 'convert_depth', 'fractal_noise', 'jpeg_round_trip', 'normal_field', 'params_from_json',
    'params_to_json', 'per_sample', 'read_depth', 'scatter', 'select', 'stack',
]
