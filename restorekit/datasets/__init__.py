"""Datasets, samplers and transforms."""

from .base import Draw, RestoreDataset
from .cached_features import CachedFeatures, CacheError
from .collate import collate
from .file_dataset import FileDataset
from .file_list import FileList
from .folders import ClearDepthDataset, PairedDataset, SingleDataset
from .list_file import read_list
from .procedural import ProceduralScenes
from .sampler import CounterSampler
from .scanner import scan_images
from .transforms import *  # noqa: F403
from .wrappers import ConcatDataset, DomainPairDataset, UnpairedDataset

__all__ = ['CacheError', 'CachedFeatures', 'ClearDepthDataset', 'ConcatDataset', 'CounterSampler', 'DomainPairDataset',
           'Draw', 'FileDataset', 'FileList', 'PairedDataset', 'ProceduralScenes', 'RestoreDataset', 'SingleDataset',
           'UnpairedDataset', 'collate', 'read_list', 'scan_images']
