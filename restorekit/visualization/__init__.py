"""Strips, contact sheets and the hooks that make them."""

from .hooks import SaveImagesHook, StripHook, to_array
from .strips import contact_sheet, strip

__all__ = ['SaveImagesHook', 'StripHook', 'contact_sheet', 'strip', 'to_array']
