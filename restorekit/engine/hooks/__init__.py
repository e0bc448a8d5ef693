"""Hooks of training."""

from .adaptive_batch_norm import AdaptiveBatchNormHook
from .broken_files import BrokenFilesHook
from .checkpoint import SafeCheckpointHook
from .guards import EmbeddingMonitorHook, GradientGuardHook
from .metric_facts import MetricFactsHook
from .per_image import PerImageHook
from .progress import ProgressHook

__all__ = ['AdaptiveBatchNormHook', 'BrokenFilesHook', 'EmbeddingMonitorHook', 'GradientGuardHook', 'MetricFactsHook',
           'PerImageHook', 'ProgressHook', 'SafeCheckpointHook']
