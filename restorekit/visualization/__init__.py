"""Strips, contact sheets and the hooks that make them."""

from .backends import MLflowVisBackend
from .hooks import StripHook
from .strips import ERROR_GAIN, contact_sheet, depth_image, error_image, strip

__all__ = ['ERROR_GAIN', 'MLflowVisBackend', 'StripHook', 'contact_sheet', 'depth_image', 'error_image', 'strip']
