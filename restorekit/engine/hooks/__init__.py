"""Hooks of training."""

from .adaptive_batch_norm import AdaptiveBatchNormHook
from .batch_norm import BatchNormMeanHook
from .broken_files import BrokenFilesHook
from .checkpoint import SafeCheckpointHook
from .early_stopping import DirectedEarlyStoppingHook
from .guards import EmbeddingMonitorHook, GradientGuardHook
from .metric_facts import MetricFactsHook
from .per_image import PerImageHook
from .progress import ProgressHook
from .runtime_info import MeanRuntimeInfoHook
from .schedule_free import ScheduleFreeHook

__all__ = ['AdaptiveBatchNormHook', 'BatchNormMeanHook', 'BrokenFilesHook', 'DirectedEarlyStoppingHook',
           'EmbeddingMonitorHook', 'GradientGuardHook', 'MeanRuntimeInfoHook', 'MetricFactsHook', 'PerImageHook',
           'ProgressHook', 'SafeCheckpointHook', 'ScheduleFreeHook']
