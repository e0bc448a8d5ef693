"""Hooks of training."""

from .checkpoint import SafeCheckpointHook

__all__ = ['SafeCheckpointHook']
