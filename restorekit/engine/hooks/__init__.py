"""Hooks of training."""

from .broken_files import BrokenFilesHook
from .checkpoint import SafeCheckpointHook
from .guards import EmbeddingMonitorHook, GradientGuardHook
from .progress import ProgressHook

__all__ = ['BrokenFilesHook', 'EmbeddingMonitorHook', 'GradientGuardHook', 'ProgressHook', 'SafeCheckpointHook']
