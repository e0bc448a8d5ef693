"""Hooks of training."""

from .broken_files import BrokenFilesHook
from .checkpoint import SafeCheckpointHook
from .guards import EmbeddingMonitorHook, GradientGuardHook
from .metric_facts import MetricFactsHook

__all__ = ['BrokenFilesHook', 'EmbeddingMonitorHook', 'GradientGuardHook', 'MetricFactsHook', 'SafeCheckpointHook']
