"""Datasets, samplers and transforms."""

from .base import Draw, RestoreDataset
from .folders import ClearDepthDataset, PairedDataset, SingleDataset
from .procedural import ProceduralScenes
from .sampler import CounterSampler
from .scanner import scan_images
from .transforms import *  # noqa: F403
from .wrappers import ConcatDataset, DomainPairDataset

__all__ = ['ClearDepthDataset', 'ConcatDataset', 'CounterSampler', 'DomainPairDataset', 'Draw', 'PairedDataset',
           'ProceduralScenes', 'RestoreDataset', 'SingleDataset', 'scan_images']
