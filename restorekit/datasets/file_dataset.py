"""What the datasets of image files share: lists, expected numbers, broken files."""

import hashlib
import math
import os

import numpy as np
import torch

from restorekit.files.image_io import ImageFileError, read_image
from restorekit.files.lazy_image import open_image
from restorekit.files.names import log
from restorekit.messages import InputError, InputTypeError
from restorekit.random import derive_seed

from .base import RestoreDataset
from .file_list import FileList
from .list_file import ROLES
from .scanner import FileSource, scan_images

PLACEHOLDER_SIZE = 8
SHOWN = 5


class FileDataset(RestoreDataset):
    """Base of datasets of image files: subclasses fill ``sources`` and define ``load``.

    A file is broken when reading it, or what belongs to it, raises an OSError or a ValueError. With
    ``on_error='skip'`` the image of a training draw (a :class:`Draw` of the :class:`CounterSampler`) is then replaced
    by another of the dataset, found from the draw's seed; an item asked for by a plain index, as in validation, becomes
    8x8 black pixels with ``broken=True`` in its metainfo and no ground truth.

    Args:
        expected (int, optional): How many items the published set has; another number is warned about.
        on_error (str): 'raise': a broken file stops with its name. 'skip': it is left out, and listed at the end.
        backend_args (dict, optional): Where the folders are, as mmengine.fileio takes it; an LMDB needs none.
        **kwargs: See :class:`RestoreDataset`.

    Attributes:
        sources (dict[str, FileSource]): The files of each role: of ``input``, ``gt``, ``depth``.
        left_out (list[str]): Paths of images in the folders whose format is not read.
    """

    def __init__(self, expected=None, on_error='raise', backend_args=None, **kwargs):
        super().__init__(**kwargs)
        if on_error not in ('raise', 'skip'):
            raise InputError(f"on_error must be 'raise' or 'skip', but got {on_error!r}")
        if expected is not None and not isinstance(expected, int):
            raise InputError(f'expected is a whole number of items, but got {expected!r}')
        self.expected, self.on_error, self.backend_args = expected, on_error, backend_args
        self.sources, self._broken, self._lazy = {}, None, False
        self.left_out = []

    def _set_sources(self, **sources):
        self.sources = {role: sources[role] for role in ROLES if sources.get(role) is not None}
        if self.expected is not None and len(self) != self.expected:
            log(f'{self._name()}: {len(self)} images where {self.expected} are expected ({self._place(0)} ...)')
        if self.on_error == 'skip':  # shared by the worker processes: 0, or 1 + the place in ROLES of what is broken
            self._broken = torch.zeros(len(self), dtype=torch.uint8).share_memory_()

    def __len__(self):
        return len(next(iter(self.sources.values())))

    def files(self, index):
        """Paths of the files of an item, by role; nothing is read."""
        return {role: source.path(index) for role, source in self.sources.items()}

    def backend(self, index, role):
        """Return the ``backend_args`` mmengine.fileio reads one file of an item with; None: a local file."""
        return self.sources[role].backend_args(index)

    def list_hash(self):
        """SHA-256 (hex) over the relative names of all items in order, wherever their folders are."""
        digest = hashlib.sha256()
        for row in zip(*(source.names() for source in self.sources.values()), strict=True):
            digest.update('\t'.join(row).encode('utf-8', 'surrogateescape') + b'\n')
        return digest.hexdigest()

    def broken(self):
        """Paths of the files found broken so far, by this process and its workers."""
        if self._broken is None:
            return []
        return [self.sources[ROLES[self._broken[i] - 1]].path(i) for i in np.flatnonzero(self._broken.numpy()).tolist()]

    def __getitem__(self, key):
        draw = self.as_draw(key)
        # with 'skip', whether a file is broken must not depend on the crop that was drawn
        self._lazy = self.on_error == 'raise' and self._cache is None and len(self.pipeline) > 0 \
            and getattr(self.pipeline[0], 'cuts', False)
        try:
            return super().__getitem__(draw)
        except ImageFileError:
            if not self._lazy:
                raise
        finally:
            self._lazy = False
        return super().__getitem__(draw)  # decoded whole, so that a damaged file fails where on_error decides

    def read(self, index, role, reader=None, **kwargs):
        """Read one file of an item, by default an image; an error remembers which it was.

        An image is uint8 (H, W, 3) RGB; for an item whose pipeline starts with a crop it may be a
        :class:`~restorekit.files.lazy_image.LazyJpeg`, which has a shape and can be indexed, or made an array by
        ``np.asarray``.
        """
        reader = reader or (open_image if self._lazy else read_image)
        try:
            return reader(self.sources[role].path(index), backend_args=self.backend(index, role), **kwargs)
        except (OSError, ValueError) as error:
            error.role = role
            raise

    def _load_cached(self, draw):
        if self._broken is None:
            return super()._load_cached(draw)
        for index in (draw.index,) if draw.fixed else self._substitutes(draw):
            if not self._broken[index]:
                try:
                    return super()._load_cached(draw._replace(index=index))
                except (OSError, ValueError) as error:
                    self._mark(index, error)
        if not draw.fixed:
            raise InputError(f'none of the {len(self)} images of {self._name()} can be read ({self._place(0)} ...)')
        return dict(inputs=np.zeros((PLACEHOLDER_SIZE, PLACEHOLDER_SIZE, 3), np.uint8), broken=True,
                    img_path=self._place(draw.index))

    def _substitutes(self, draw):
        """The drawn index, then every index once, in an order of the draw's own."""
        yield draw.index
        n, start, step = len(self), derive_seed(draw.seed, 7), derive_seed(draw.seed, 8)
        while math.gcd(step, n) > 1:
            step += 1
        for k in range(n):
            yield (start + k * step) % n

    def _mark(self, index, error):
        self._broken[index] = 1 + ROLES.index(getattr(error, 'role', next(iter(self.sources))))
        count = int(self._broken.count_nonzero())
        if count == len(self):
            raise InputError(f'none of the {count} images of {self._name()} can be read; the last: {error}') from error
        if count <= SHOWN:
            log(f"on_error='skip' leaves out a broken file: {error}")

    def _place(self, index):
        return next(iter(self.sources.values())).path(index)

    def _name(self):
        return type(self).__name__ + (f' {self.domain!r}' if self.domain else '')

    def _names(self, folder, include=None, listed=None, role=None, **kwargs):
        """Names in a folder; or, if the list file has this role, those it names, which must be there."""
        if not isinstance(folder, (str, os.PathLike)):
            raise InputTypeError(
                f'{type(self).__name__} takes one folder here, but got {folder!r}; put several datasets '
                'into a ConcatDataset')
        if listed is None or role not in listed.columns:
            names = scan_images(folder, include, backend_args=self.backend_args, **kwargs)
            self.left_out += [f'{folder}/{name}' for name in names.left_out if f'{folder}/{name}' not in self.left_out]
            return names
        return FileList(listed.find(folder, role, self.backend_args))

    def _source(self, folder, names, order=None):
        return FileSource([(folder, names)], self.backend_args, order)
