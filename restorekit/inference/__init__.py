"""Inference with trained networks."""

from .batch import FileResult, RestoreReport
from .load import list_models, load, load_network
from .memory import ImageMemoryError
from .pipeline import RestorationPipeline

__all__ = ['FileResult', 'ImageMemoryError', 'RestorationPipeline', 'RestoreReport', 'list_models', 'load',
           'load_network']
