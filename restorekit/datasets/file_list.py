"""Many file names without many Python objects."""

from collections.abc import Sequence

import numpy as np


class FileList(Sequence):
    """An immutable list of names, kept as one bytes buffer and an array of offsets; names are decoded on access.

    A million names of 25 characters take 33 MB in two objects. Worker processes share these pages for good: reading a
    name changes no reference count in them, as it would in a list of str.

    Args:
        names (Iterable[str]): The names.

    Attributes:
        left_out (tuple[str]): Names that belong to the place but not to the list; see ``scan_images``.

    Example:
        >>> names = FileList(['a.png', 'dünn/b.png', 'c.png'])
        >>> len(names), names[1], list(names[1:])
        (3, 'dünn/b.png', ['dünn/b.png', 'c.png'])
    """

    left_out = ()

    def __init__(self, names=()):
        encoded = [name.encode('utf-8', 'surrogateescape') for name in names]
        self._join(encoded)

    def _join(self, encoded):
        self.offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=self.offsets[1:])
        self.buffer = b''.join(encoded)

    @property
    def nbytes(self):
        """Bytes held."""
        return len(self.buffer) + self.offsets.nbytes

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, key):
        if isinstance(key, slice):
            part = FileList()
            part._join([self._bytes(i) for i in range(len(self))[key]])
            return part
        return self._bytes(range(len(self))[key]).decode('utf-8', 'surrogateescape')

    def __iter__(self):
        start = 0
        for end in self.offsets[1:].tolist():
            yield self.buffer[start:end].decode('utf-8', 'surrogateescape')
            start = end

    def __eq__(self, other):
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None

    def __repr__(self):
        shown = ', '.join(map(repr, self[:3])) + (', ...' if len(self) > 3 else '')
        return f'FileList({len(self)}: {shown})' if len(self) else 'FileList(0)'

    def _bytes(self, index):
        return self.buffer[self.offsets[index]:self.offsets[index + 1]]
