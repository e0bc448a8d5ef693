"""Runners, loops, optimizer wrappers and hooks."""

from restorekit.compat import patch_runner

from .config_check import check_config, check_paths, join_data_root
from .evaluation_loop import EvaluationLoop
from .hooks import *  # noqa: F403
from .loops import ResumableIterLoop
from .optim import AutocastOptimWrapper, TrainableOptimWrapperConstructor
from .phases import MultiPhaseRunner, merge
from .prepare import prepare
from .runner import RestoreRunner
from .summary import before_after, results_table

patch_runner()

__all__ = ['AutocastOptimWrapper', 'EvaluationLoop', 'MultiPhaseRunner', 'ResumableIterLoop', 'RestoreRunner',
           'TrainableOptimWrapperConstructor', 'before_after', 'check_config', 'check_paths', 'join_data_root', 'merge',
           'prepare', 'results_table']
