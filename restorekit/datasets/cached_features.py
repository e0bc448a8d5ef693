"""Items of another dataset, drawn once, with the maps that a frozen encoder makes of them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restorekit.checkpoint import load_checkpoint_file, load_network_weights, network_state, weights_digest
from restorekit.config import config_from_json, config_to_json
from restorekit.functional.ranges import rescale
from restorekit.messages import InputError, UserError, refuse_unused
from restorekit.random import derive_seed, seeded_generators
from restorekit.registry import DATASETS, MODELS
from restorekit.structures import RestoreSample
from restorekit.version import __version__

from .base import Draw, RestoreDataset

FORMAT, RECORD, ITEMS, BATCH = 1, 'record.json', 'items.json', 8


class CacheError(UserError, ValueError):
    """A cache that cannot be used; the message says why and what to do."""


@DATASETS.register_module()
class CachedFeatures(RestoreDataset):
    """Draw each item of a dataset ``copies`` times, compute the frozen encoder's maps of it once, and keep all on disk.

    Training then starts at the decoder: with ``frozen=['network.encoder']`` it gets the gradients that it would get
    from the images, without the time of decoding, degrading and encoding. The cache is a folder of ``cache`` whose
    name is a hash of everything its content depends on: this dataset's arguments (pipeline included), the bytes of its
    files, the encoder's config and weights, seed, copies and restorekit's version. If any of it changes the cache is
    another one, which is made at first use; and the restorer refuses maps of another encoder than its network's. It is
    made under a lock, so that several processes make it once.

    An item is the one of the dataset, uint8 images and all, with ``map_0``, ``map_1``, ... (C, h, w) float32 in its
    sample. All items have one size, which the network takes without padding.

    Args:
        dataset (dict): The dataset, its pipeline ending in images of one size.
        network (dict | None): Config of a network with ``encode``, such as :class:`EncoderDecoder`; only its encoder
            matters. None keeps the images alone, for any network and trainable encoders.
        cache (str): Folder of the caches.
        copies (int): Draws of each item: other crops and degradations.
        weights (str, optional): Checkpoint of the network. Default: what ``init_weights`` gives, which must then not
            be random, as with an encoder that is pretrained.
        seed (int): Of the draws.
        domain (str, optional): Name of the domain; default: what the dataset says.

    Raises:
        CacheError: If the images differ in size, do not fit the network, or files of the cache are damaged.
    """

    def __init__(self, dataset: dict, network: dict | None, cache: str, copies: int = 1, weights: str | None = None,
                 seed: int = 0, domain: str | None = None):
        super().__init__(domain=domain, seed=seed)
        if copies < 1:
            raise InputError(f'CachedFeatures: copies must be at least 1, but got {copies}')
        if network is None:
            refuse_unused(self, dict(weights=weights), 'a network', 'network=None')
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        model = None if network is None else _network(network, weights)
        encoder = None if network is None else {key: value for key, value in network.items() if key != 'decoder'}
        self.record = dict(
            format=FORMAT, version=__version__, dataset=json.loads(config_to_json(dict(dataset=dataset)))['dataset'],
            files=content_digest(self.dataset), encoder=encoder and json.loads(config_to_json(encoder)),
            weights=model and weights_digest(model.encoder), copies=copies, seed=seed)
        key = hashlib.sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()
        self.folder = Path(cache) / key[:24]
        self.copies = copies
        if not (self.folder / RECORD).is_file():
            self._make(model)
        self._open()

    def __len__(self) -> int:
        return len(self.items)

    def files(self, index: int) -> dict[str, str]:
        """Paths of the files that an item was drawn from."""
        return self.dataset.files(index % len(self.dataset))

    def list_hash(self) -> str:
        """SHA-256 (hex) of everything the items depend on."""
        return hashlib.sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()

    def __getitem__(self, key: Any) -> dict:
        draw = self.as_draw(key)
        meta = self.items[draw.index]
        sample = RestoreSample(metainfo=dict(
            meta, ori_shape=tuple(meta['ori_shape']), domain=self.domain or meta.get('domain'), seed=draw.seed,
            cached_maps=len(self.maps), encoder_digest=self.record['weights']))
        for i, values in enumerate(self.maps):
            setattr(sample, f'map_{i}', torch.from_numpy(np.array(values[draw.index])))
        if self.gts is not None:
            sample.gt = torch.from_numpy(np.array(self.gts[draw.index]))
        return dict(inputs=torch.from_numpy(np.array(self.inputs[draw.index])), data_samples=sample)

    def _open(self):
        try:
            found = json.loads((self.folder / RECORD).read_text())
            self.items = json.loads((self.folder / ITEMS).read_text())
            names = list(self.folder.glob('map_*.npy'))
            self.maps = [np.load(self.folder / f'map_{i}.npy', mmap_mode='r') for i in range(len(names))]
            self.inputs = np.load(self.folder / 'inputs.npy', mmap_mode='r')
            gts = self.folder / 'gts.npy'
            self.gts = np.load(gts, mmap_mode='r') if gts.is_file() else None
            arrays = [self.inputs, *self.maps, *([] if self.gts is None else [self.gts])]
            lengths = {len(array) for array in arrays}
            if found != self.record or bool(names) != bool(found['encoder']) or lengths != {len(self.items)}:
                raise ValueError('it belongs to something else, or not all of it is there')
        except (OSError, ValueError) as error:
            raise CacheError(f'the cache of features {self.folder} cannot be used: {error}. Remove that folder; it is '
                             'made again at the next start') from error

    def _make(self, model):
        from filelock import FileLock
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_suffix('.lock')):
            if (self.folder / RECORD).is_file():  # made by another process in the meantime
                return
            scratch = Path(tempfile.mkdtemp(prefix='.making-', dir=self.folder.parent))
            try:
                self._fill(model, scratch)
                shutil.rmtree(self.folder, ignore_errors=True)  # what is there without a record is no cache
                os.replace(scratch, self.folder)
            except BaseException:  # also when interrupted
                shutil.rmtree(scratch, ignore_errors=True)
                raise

    @torch.no_grad()
    def _fill(self, model, folder):
        n = len(self.dataset)
        total, items, arrays = n * self.copies, [], {}
        for start in range(0, total, BATCH):
            batch = []
            for number in range(start, min(start + BATCH, total)):
                # not fixed, so that a broken file may be replaced; the number of the draw makes each copy another
                batch.append(self.dataset[Draw(number % n, number, derive_seed(self.seed, number))])
            images = torch.stack(self._checked(batch, model))
            parts = dict(inputs=images)
            if model is not None:
                unit = rescale(images.float() / 255, (0.0, 1.0), model.input_range)
                parts.update({f'map_{i}': maps.float() for i, maps in enumerate(model.encode(unit))})
            gts = [item['data_samples'].get('gt') for item in batch]
            if all(gt is not None for gt in gts):
                parts['gts'] = torch.stack(gts)
            for name, values in parts.items():
                if name not in arrays:
                    arrays[name] = np.lib.format.open_memmap(
                        folder / f'{name}.npy', 'w+', values.numpy().dtype, (total, *values.shape[1:]))
                arrays[name][start:start + len(values)] = values.numpy()
            items += [_plain(item['data_samples']) for item in batch]
        for array in arrays.values():
            array.flush()
        (folder / ITEMS).write_text(json.dumps(items))
        (folder / RECORD).write_text(json.dumps(self.record, sort_keys=True))

    def _checked(self, batch, model):
        images = [item['inputs'] for item in batch]
        size = tuple(images[0].shape[-2:])
        if not hasattr(self, '_size'):
            self._size = size
        if any(tuple(image.shape[-2:]) != self._size for image in images):
            raise CacheError(f'cached items must have one size, but some are {self._size} and some {size} (height, '
                             'width); end the geometric transforms of the pipeline with a crop to one size')
        if model is not None and any(side % model.size_divisor or side < model.min_size for side in size):
            raise CacheError(f'images of {size} (height, width) do not fit the network without padding: sides must be '
                             f'multiples of {model.size_divisor} of at least {model.min_size}')
        return images


def content_digest(dataset: RestoreDataset) -> str:
    """Return the SHA-256 (hex) of the names and bytes of a dataset's files, or of its settings where it has none."""
    digest = hashlib.sha256(dataset.list_hash().encode())
    seen = set()
    for index in range(len(dataset)):
        for role, path in sorted(dataset.files(index).items()):
            if path not in seen and os.path.isfile(path):
                seen.add(path)
                stat = os.stat(path)
                digest.update(f'{role} {Path(path).name} {stat.st_size}'.encode())
                digest.update(_file_digest(path, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()


@functools.lru_cache(maxsize=2**16)
def _file_digest(path, size, changed):
    return hashlib.sha256(Path(path).read_bytes()).digest()


def _network(config, weights):
    changed = None if weights is None else os.stat(weights).st_mtime_ns
    return _built_network(config_to_json(dict(network=config)), weights, changed)


@functools.lru_cache(maxsize=4)  # of a mixture every dataset has the same
def _built_network(config, weights, changed):
    config = config_from_json(config).network
    with seeded_generators(0):
        network = MODELS.build(config)
        if not hasattr(network, 'encode') or not hasattr(network, 'encoder'):
            raise InputError(f'CachedFeatures needs a network with an encoder and encode(x), such as EncoderDecoder, '
                             f'but got {type(network).__name__}')
        if weights is None:
            with _no_log():  # MMEngine lists every parameter
                network.encoder.init_weights()
        else:
            load_network_weights(network, network_state(load_checkpoint_file(weights), weights), str(weights))
    return network.eval()


@contextlib.contextmanager
def _no_log():
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def _plain(sample):
    """A sample's metadata as JSON can hold it."""
    return json.loads(json.dumps(dict(sample.metainfo_items()), default=str))
