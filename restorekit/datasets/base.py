"""Base class of datasets: draws, loads, transforms and packs one item."""

import hashlib
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from restorekit.functional.images import to_tensor
from restorekit.messages import InputError
from restorekit.random import derive_seed, seeded_generators
from restorekit.registry import TRANSFORMS
from restorekit.structures import RestoreSample

IMAGE_KEYS = ('inputs', 'gt')


class Draw(NamedTuple):
    """One draw of the training sampler: the image index, the draw's position in the run, and its seed.

    ``fixed``: requested by a plain index, as in validation, not by the sampler; no other image may replace it.
    """

    index: int
    number: int
    seed: int
    fixed: bool = False

    def child(self, salt, index=None):
        """The draw a wrapped dataset gets: same number, a seed of its own."""
        return Draw(self.index if index is None else index, self.number, derive_seed(self.seed, salt),
                    self.fixed)


class RestoreDataset(Dataset):
    """Base of datasets: subclasses define ``__len__`` and ``load(index, seed)``.

    ``load`` returns a dict with numpy images (uint8 (H, W, 3) RGB under ``inputs`` and ``gt``, float32 (H, W) under
    ``depth``, each optional) and metadata. The transforms of ``pipeline`` then change that dict, with Python's,
    numpy's and torch's generators seeded from the draw; so an item depends on its index and its seed only.

    An item is ``dict(inputs=uint8 (3, H, W), data_samples=RestoreSample)``. Without ``inputs`` the clear image
    travels as input and the item has no ``gt``: the preprocessor's batched degradation makes both.

    Args:
        pipeline (list[dict] | dict[str, dict]): Transforms from ``TRANSFORMS``, applied in order. Named steps can be
            changed one by one in a child config, or dropped by None; a list is replaced whole.
        domain (str, optional): Name of the domain; metrics are averaged per domain.
        seed (int): Seed of items asked for by a plain index (validation, notebooks): item i is always the same.
        cache (bool): Keep decoded images in memory (per worker process).
    """

    metainfo = {}
    generated: bool = False  #: Whether the items are made by code, so that there are no files.

    def __init__(self, pipeline=(), domain=None, seed=0, cache=False):
        steps = pipeline.values() if isinstance(pipeline, dict) else pipeline
        self.pipeline = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in steps
                         if step is not None]
        self.domain = domain
        self.seed = seed
        self._cache = {} if cache else None

    def load(self, index, seed):
        """Return the raw images and metadata of one index as a dict."""
        raise TypeError(f'{type(self).__name__} does not define load(index, seed)')

    def __getitem__(self, key):
        draw = self.as_draw(key)
        with seeded_generators(draw.seed):
            results = self._load_cached(draw)
            results.setdefault('domain', self.domain)
            results['seed'] = draw.seed
            for transform in () if results.get('broken') else self.pipeline:
                results = transform(results)
                if results is None:
                    raise InputError(f'transform {type(transform).__name__} of {type(self).__name__} returned None; '
                                     'a transform must return the results dict')
        return pack(results)

    def as_draw(self, key):
        """Accept a plain index, an (index, number) pair or a :class:`Draw`."""
        if isinstance(key, Draw):
            return key
        index, number = key if isinstance(key, tuple) else (key, key)
        index = int(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} images')
        return Draw(index % len(self), int(number), derive_seed(self.seed, number), not isinstance(key, tuple))

    def files(self, index):
        """Paths of the files of an item, by role (``input``, ``gt``, ``depth``), where it has files."""
        return {}

    def leaves(self):
        """The datasets this one is made of, with their names: here itself, by its domain or its class."""
        return [(self.domain or type(self).__name__, self)]

    def list_hash(self):
        """SHA-256 (hex) of what the items are: here of the class and the number of items."""
        return hashlib.sha256(f'{type(self).__name__} {len(self)}'.encode()).hexdigest()

    def broken(self):
        """Paths of the files found broken so far (see ``on_error`` of :class:`FileDataset`)."""
        return []

    def _load_cached(self, draw):
        if self._cache is None:
            return self.load(draw.index, draw.seed)
        if draw.index not in self._cache:
            self._cache[draw.index] = self.load(draw.index, draw.seed)
        return dict(self._cache[draw.index])


def pack(results):
    """Turn a results dict into the item a network trains on (see :class:`RestoreDataset`)."""
    arrays = {key: results.pop(key) for key in (*IMAGE_KEYS, 'depth') if results.get(key) is not None}
    for key in IMAGE_KEYS:
        image = arrays.get(key)
        if image is not None and (image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3):
            raise InputError(f'{key} of {results.get("img_path")} must be uint8 (H, W, 3) RGB after the pipeline, '
                             f'but got {image.dtype} {image.shape}')
    if 'inputs' not in arrays:
        if 'gt' not in arrays:
            raise InputError(f'the pipeline left neither inputs nor gt of {results.get("img_path")}')
        arrays['inputs'] = arrays.pop('gt')
    inputs = arrays.pop('inputs')
    for key, array in arrays.items():
        if array.shape[:2] != inputs.shape[:2]:
            raise InputError(f'{key} and input of {results.get("img_path")} differ in size: {array.shape[:2]} and '
                             f'{inputs.shape[:2]} (height, width); pair the right files or crop them alike')
    transmission = results.pop('transmission', None)
    sample = RestoreSample(metainfo=dict(results, ori_shape=inputs.shape[:2]))
    if transmission is not None:
        sample.transmission = transmission
    if 'gt' in arrays:
        sample.gt = to_tensor(arrays['gt'])
    if 'depth' in arrays:
        sample.depth = torch.from_numpy(np.ascontiguousarray(arrays['depth'], np.float32))[None]
    return dict(inputs=to_tensor(inputs), data_samples=sample)
