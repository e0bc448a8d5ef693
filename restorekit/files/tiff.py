"""Writing TIFF: 8 bits, 16 bits and float32, grey or RGB, with alpha, pages and metadata."""

from __future__ import annotations

import itertools
import struct
import zlib

import numpy as np

from restorekit.messages import InputError

from .metadata import DIRECTORIES, KEPT_TAGS, Metadata

_STRIP = 2 ** 20  # bytes of an uncompressed strip
_STRAIGHT_ALPHA = 2  # ExtraSamples: alpha that is not premultiplied


def encode_tiff(pages: list[np.ndarray], metadata: Metadata | None = None) -> bytes:
    """Return the bytes of a TIFF file, compressed with Deflate (and the horizontal predictor for integers).

    Args:
        pages (list[ndarray]): (H, W, C) each, C 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha); uint8, uint16 or
            float32.
        metadata (Metadata, optional): Colour profile, EXIF and XMP of the first page.

    Raises:
        ValueError: If it would be 4 GiB or larger, which TIFF cannot say.

    Example:
        >>> encode_tiff([np.zeros((2, 2, 3), np.uint16)])[:4]
        b'II*\\x00'
    """
    from PIL.TiffImagePlugin import ImageFileDirectory_v2
    metadata = metadata or Metadata()
    parts, size, link = [b'II*\0\0\0\0\0'], 8, (0, 4)  # link: part and position of the offset of the next directory
    for number, page in enumerate(pages):
        height, width, channels = page.shape
        rows = max(1, min(height, _STRIP // (width * channels * page.itemsize)))
        strips = [zlib.compress(_predict(page[top:top + rows]), 6) for top in range(0, height, rows)]
        ifd = ImageFileDirectory_v2(b'II*\0\0\0\0\0')
        if number == 0:
            _describe(ifd, metadata)
        if metadata.dpi:
            ifd[282], ifd[283], ifd[296] = *metadata.dpi, 2
        ifd.tagtype[273] = ifd.tagtype[279] = 4
        ifd[256], ifd[257], ifd[259], ifd[262] = width, height, 8, 1 if channels < 3 else 2
        ifd[277], ifd[278], ifd[284], ifd[317] = channels, rows, 1, 1 if page.dtype.kind == 'f' else 2
        ifd[258] = (page.itemsize * 8,) * channels
        ifd[339] = (3 if page.dtype.kind == 'f' else 1,) * channels
        if channels in (2, 4):
            ifd[338] = _STRAIGHT_ALPHA
        ifd[279] = tuple(map(len, strips))
        ifd[273] = tuple(itertools.accumulate(map(len, strips[:-1]), initial=0))  # Pillow adds the directory's end
        directory = bytearray(ifd.tobytes(size))
        part, position = link
        parts[part] = bytearray(parts[part])
        struct.pack_into('<I', parts[part], position, size)
        link = len(parts), 2 + 12 * struct.unpack_from('<H', directory)[0]
        padding = b'\0' * (sum(map(len, strips)) % 2)
        parts += [directory, *strips, padding]
        size += len(directory) + sum(map(len, strips)) + len(padding)
        if size >= 2 ** 32:
            raise InputError(f'{len(pages)} pages of {width}x{height} make a TIFF of 4 GiB or more, which the format '
                             'cannot hold; choose .png')
    return b''.join(parts)


def _predict(rows):
    if rows.dtype.kind == 'f':
        return np.ascontiguousarray(rows).tobytes()
    rows = np.ascontiguousarray(rows)
    predicted = rows.copy()
    predicted[:, 1:] -= rows[:, :-1]  # wraps around, as the predictor does
    return predicted.tobytes()


def _describe(ifd, metadata):
    from PIL import Image
    if metadata.exif:
        exif = Image.Exif()
        exif.load(metadata.exif)
        for tag in KEPT_TAGS:
            if tag in exif:
                ifd[tag] = exif[tag]
        for tag in DIRECTORIES:
            if values := exif.get_ifd(tag):
                ifd[tag] = dict(values)
    for tag, value in ((34675, metadata.icc), (700, metadata.xmp)):
        if value:
            ifd.tagtype[tag] = 7 if tag == 34675 else 1
            ifd[tag] = value
