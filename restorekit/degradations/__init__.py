"""Degradations: clear image (+ depth) to degraded image."""

from .base import Degradation
from .cid import CIDScattering, cid_scatter
from .codec import JPEG, Blur, Resize, jpeg_round_trip
from .compose import Maybe, OneOf, Sequential, Shuffle, build_degradation
from .depth import ProxyDepth, check_depth_options, convert_depth, read_depth
from .draw import Draw, check_choice, check_range, fractal_noise, normal_field, per_sample
from .dust import Dust
from .estimator import DepthEstimator
from .haze import AtmosphericScattering, NonHomogeneousHaze, scatter
from .haze_field import HazeField, fit_haze_field
from .light import ColourCast, ColourGain, LowLight
from .night import NightGlow, NightHaze
from .noise import PoissonGaussianNoise
from .params import params_from_json, params_to_json, select, stack
from .presets import load_preset
from .water import Underwater
from .weather import Rain, Snow

__all__ = [
    'AtmosphericScattering', 'Blur', 'CIDScattering', 'ColourCast', 'ColourGain', 'Degradation',
    'DepthEstimator', 'Draw', 'Dust', 'HazeField', 'JPEG', 'LowLight', 'Maybe', 'NightGlow', 'NightHaze',
    'NonHomogeneousHaze', 'OneOf', 'PoissonGaussianNoise', 'ProxyDepth', 'Rain', 'Resize', 'Sequential',
    'Shuffle', 'Snow', 'Underwater', 'build_degradation', 'check_choice', 'check_depth_options', 'check_range',
    'cid_scatter', 'convert_depth', 'fit_haze_field', 'fractal_noise', 'jpeg_round_trip', 'load_preset',
    'normal_field', 'params_from_json', 'params_to_json', 'per_sample', 'read_depth', 'scatter', 'select',
    'stack',
]
