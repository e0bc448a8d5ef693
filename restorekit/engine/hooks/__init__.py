"""Hooks of training."""

from .checkpoint import SafeCheckpointHook
from .guards import EmbeddingMonitorHook, GradientGuardHook

__all__ = ['EmbeddingMonitorHook', 'GradientGuardHook', 'SafeCheckpointHook']
