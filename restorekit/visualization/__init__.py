"""Strips, contact sheets and the hooks that make them."""

from .hooks import StripHook
from .strips import ERROR_GAIN, contact_sheet, depth_image, error_image, strip

__all__ = ['ERROR_GAIN', 'StripHook', 'contact_sheet', 'depth_image', 'error_image', 'strip']
