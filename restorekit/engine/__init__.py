"""Runners, loops, optimizer wrappers and hooks."""

from .adversarial_optim import AdversarialOptimWrapper, AdversarialOptimWrapperConstructor
from .config_check import check_config
from .data_paths import check_paths, join_data_root
from .evaluation_loop import EvaluationLoop
from .fully_sharded import FullyShardedModel
from .hooks import *  # noqa: F403
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import ResumableEpochLoop, ResumableIterLoop
from .optim import AutocastOptimWrapper, TrainableOptimWrapperConstructor
from .phases import MultiPhaseRunner
from .prepare import prepare
from .runner import RestoreRunner
from .summary import before_after, results_table

__all__ = [
    'AdversarialOptimWrapper', 'AdversarialOptimWrapperConstructor', 'AutocastOptimWrapper', 'EvaluationLoop',
    'FullyShardedModel', 'LayerDecayOptimWrapperConstructor', 'MultiPhaseRunner', 'RestoreRunner', 'ResumableEpochLoop',
    'ResumableIterLoop', 'TrainableOptimWrapperConstructor', 'before_after', 'check_config', 'check_paths',
    'join_data_root', 'prepare', 'results_table',
]
