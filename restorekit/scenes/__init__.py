"""Outdoor scenes rendered by code, with exact depth."""

from .renderer import SKY_DEPTH, STYLES, render_scene

__all__ = ['SKY_DEPTH', 'STYLES', 'render_scene']
