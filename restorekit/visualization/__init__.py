"""Strips, contact sheets and the hooks that make them."""

from .hooks import SaveImagesHook, StripHook, to_array
from .strips import ERROR_GAIN, contact_sheet, depth_image, error_image, strip

__all__ = ['ERROR_GAIN', 'SaveImagesHook', 'StripHook', 'contact_sheet', 'depth_image', 'error_image', 'strip',
           'to_array']
