"""Encoders."""

from .efficientnet_lite import EfficientNetLite
from .prior_encoder import PriorEncoder
from .res2net import Res2Net
from .timm_encoder import TimmEncoder

__all__ = ['EfficientNetLite', 'PriorEncoder', 'Res2Net', 'TimmEncoder']
