"""Images that are decoded when they are cropped, and no further than the crop."""

import functools

import numpy as np

from .image_io import check_header, decode_image, read_bytes

MARGIN = 2  # rows: colours are kept at half the height, and smoothed with the row below


def open_image(path, backend_args=None):
    """Read an image file for cropping: a JPEG is decoded only when a part is taken, and only down to its last row.

    That needs simplejpeg (installed where it has wheels) and a JPEG of the common kind, sequential and
    not turned by EXIF. Any other file is decoded here, as :func:`~restorekit.files.image_io.read_image` does; the
    pixels are the same in either case.

    Args:
        path (str | Path): The file, or its key in an LMDB.
        backend_args (dict, optional): See :func:`~restorekit.files.image_io.read_image`.

    Returns:
        ndarray | LazyJpeg: uint8 (H, W, 3) RGB.

    Raises:
        FileNotFoundError, ImageFileError: See :func:`~restorekit.files.image_io.read_image`. What only decoding
            shows of a damaged :class:`LazyJpeg` is raised when it is cropped.

    Example:
        >>> open_image('hazy/1400_3.jpg')[100:228, 50:178].shape  # doctest: +SKIP
        (128, 128, 3)
    """
    data = read_bytes(path, backend_args)
    if data[:2] == b'\xff\xd8' and _jpeg_decoder() is not None:
        header = check_header(data, path)
        if header.plain:
            return LazyJpeg(data, path, header)
    return decode_image(data, path)


class LazyJpeg:
    """A JPEG image that looks like an array uint8 (H, W, 3) RGB and is decoded when it is indexed.

    A JPEG decodes from the top, so the file's header is given a height that ends below the rows that are asked for.

    Args:
        data (bytes): The content of the file.
        name (str | Path): What errors call it.
        header (ImageHeader): Its header, ``plain`` and checked.
    """

    dtype, ndim = np.dtype(np.uint8), 3

    def __init__(self, data, name, header):
        self.data, self.name, self.header = data, name, header
        self.shape = (*header.size, 3)

    def __getitem__(self, key):
        rows, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self.shape[0])
            if step > 0:
                return self._decode(stop)[(slice(start, stop, step), *rest)]
        return np.asarray(self)[key]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(decode_image(self.data, self.name), dtype)

    def _decode(self, stop):
        height = stop + MARGIN
        if height < self.shape[0]:
            data, at = bytearray(self.data), self.header.height_at
            data[at:at + 2] = height.to_bytes(2, 'big')
            try:
                return _jpeg_decoder()(data, 'RGB', strict=False)  # not strict: the rest is left over
            except ValueError:
                pass  # OpenCV then decides, and explains
        return np.asarray(self)


@functools.cache
def _jpeg_decoder():
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return None
    return decode_jpeg
