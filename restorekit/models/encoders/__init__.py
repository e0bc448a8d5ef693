"""Encoders."""

from .res2net import Res2Net
from .timm_encoder import TimmEncoder

__all__ = ['Res2Net', 'TimmEncoder']
