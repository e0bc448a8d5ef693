"""Reading and writing image files: one place that decides what every kind of file means.

The two decoders of PNG differ on one damage: pixels whose sum (Adler-32) is wrong, though that of their chunk is not,
are read by kornia-rs and refused by OpenCV.
"""

import functools
import math
import mmap
import os
import struct
from pathlib import Path

import cv2
import numpy as np

from restorekit.messages import InputError, MissingFileError

from .atomic import atomic_write_bytes
from .image_header import read_header
from .jpeg import is_complete_jpeg
from .names import log
from .reader import check_regular, read_file, within_time

JPEG_SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif')
IMAGE_SUFFIXES = ('.png', *JPEG_SUFFIXES, '.bmp', '.tif', '.tiff', '.webp')
MAX_PIXELS = 2 ** 26
MAX_METADATA = 2 ** 26  # bytes of a file beside its pixels, of which none takes more than 32


class ImageFileError(InputError):
    """A file that should hold an image does not."""


def read_image(path, keep_alpha=False, backend_args=None):
    """Read an image file as 8-bit RGB.

    The content decides, not the suffix (a PNG named ``.jpg`` is read as PNG). Grey and palette images become RGB,
    16-bit images are scaled to 8 bits (value / 257, rounded), floats as :func:`unit_scale` says, EXIF orientation is
    applied. A JPEG that lacks its end marker, but none of its pixels, is read, with a warning. OpenCV decodes; PNG
    files of 8-bit RGB, where every decoder gives the same, are decoded by kornia-rs, three times as fast, where it is
    installed (it has wheels for the common platforms).

    Args:
        path (str | Path): The file, or its key in an LMDB.
        keep_alpha (bool): Return the alpha channel too; otherwise it is dropped (the colours are taken as stored).
        backend_args (dict, optional): The store to read from, as ``mmengine.fileio`` names it
            (``dict(backend='lmdb', db_path=...)``); default: the disk.

    Returns:
        ndarray | tuple[ndarray, ndarray | None]: uint8 (H, W, 3) RGB; with ``keep_alpha`` also uint8 (H, W) alpha
        or None.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If the file is empty, truncated, animated, larger than :func:`max_pixels`, of another kind than
            PNG, JPEG, WebP, TIFF, BMP and GIF, or not to be decoded by OpenCV.

    Example:
        >>> read_image('hazy/1400_3.png').shape  # doctest: +SKIP
        (460, 620, 3)
    """
    return decode_image(read_bytes(path, backend_args), path, keep_alpha)


def decode_image(data, name, keep_alpha=False, keep_depth=False, max_pixels=None):
    """Decode the bytes of an image file as :func:`read_image` does.

    Args:
        data (bytes): The content of the file.
        name (str | Path): What errors call it.
        keep_alpha (bool): See :func:`read_image`.
        keep_depth (bool): Return uint16 and float32 as they are stored, instead of 8 bits.
        max_pixels (int, optional): Limit of pixels, default: :func:`max_pixels`.

    Returns:
        ndarray | tuple[ndarray, ndarray | None]: See :func:`read_image`.

    Raises:
        ImageFileError: See :func:`read_image`; size and frames are read from the header, before anything is decoded.

    Example:
        >>> decode_image(cv2.imencode('.png', np.zeros((1, 2, 3), np.uint8))[1].tobytes(), 'black').tolist()
        [[[0, 0, 0], [0, 0, 0]]]
    """
    header = check_header(data, name, max_pixels)
    data = _ended(data, header)
    image = _decode_plain_png(data, header)
    if image is not None:
        return (image, None) if keep_alpha else image
    kind, orientation = header.kind, 1
    in_rgb = kind in ('PNG', 'JPEG')  # avoids swapping channels; wrong for TIFF of 16 bits in OpenCV 5.0
    flags = cv2.IMREAD_ANYDEPTH | (cv2.IMREAD_COLOR_RGB if in_rgb else cv2.IMREAD_COLOR)
    if kind in ('PNG', 'JPEG', 'WebP'):  # WebP is not turned by OpenCV 4; TIFF always, even unchanged
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
        orientation = header.orientation
    image = as_stored_light(_decode(data, flags, name, header), header, name)
    image = image if keep_depth else _to_uint8(image, name)
    if not in_rgb:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    image = _turn(image, orientation)
    if not keep_alpha:
        return image
    stored = None if kind == 'JPEG' or header.cmyk else _decode(data, cv2.IMREAD_UNCHANGED, name, header)
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4:
        return image, None
    stored = as_stored_light(stored, header, name)
    if keep_depth and kind == 'TIFF':  # in colour OpenCV multiplies by alpha
        image = np.ascontiguousarray(stored[..., 2::-1])
    alpha = stored[..., 3] if keep_depth else _to_uint8(stored[..., 3], name)
    return image, _turn(alpha, orientation)


def decode_stored(data, name):
    """Decode an image file as it is stored: the number type and channels (in the order of OpenCV) of the file.

    Args:
        data (bytes): The content of the file.
        name (str | Path): What errors call it.

    Returns:
        ndarray: (H, W) or (H, W, C).

    Raises:
        ImageFileError: See :func:`read_image`.

    Example:
        >>> decode_stored(cv2.imencode('.png', np.full((1, 1), 300, np.uint16))[1].tobytes(), 'depth').tolist()
        [[300]]
    """
    header = check_header(data, name)
    return _decode(_ended(data, header), cv2.IMREAD_UNCHANGED, name, header)


def image_size(path, backend_args=None):
    """Return (height, width) of the image that :func:`read_image` would return, from the file's header alone.

    Nothing is decoded, so the limit of pixels is not applied; of a file on disk only the pages with headers are read.

    Args:
        path (str | Path): The file, or its key in an LMDB.
        backend_args (dict, optional): See :func:`read_image`.

    Returns:
        tuple[int, int]: Height and width in pixels, after EXIF orientation.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If the file is empty, animated, no image, or the header is damaged or cut off.

    Example:
        >>> image_size('hazy/1400_3.png')  # doctest: +SKIP
        (460, 620)
    """
    if backend_args is not None:
        return _size(read_bytes(path, backend_args), path)
    return within_time(lambda: _mapped_size(path), path)


def max_pixels():
    """Return the most pixels an image may have: ``MAX_PIXELS``, or what ``RESTOREKIT_MAX_PIXELS`` says.

    A file of some kilobytes can decode to gigabytes (a decompression bomb), so the limit is applied to the header.

    Raises:
        ValueError: If the environment variable is not a positive whole number.

    Example:
        >>> max_pixels()
        67108864
    """
    given = os.environ.get('RESTOREKIT_MAX_PIXELS')
    if given is None:
        return MAX_PIXELS
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f'the environment variable RESTOREKIT_MAX_PIXELS must be a whole number of pixels, at least '
                         f'1, but got {given!r}')
    return int(given)


def read_bytes(path, backend_args):
    """Return the content of a file on disk or in a store of mmengine; see :func:`read_image`."""
    if backend_args is None:
        return read_file(path, 32 * max_pixels() + MAX_METADATA, 'image file')
    from mmengine import fileio
    data = fileio.get(str(path), backend_args=backend_args)
    if data is None:  # LMDB does not raise
        raise MissingFileError(f'no image {path} in {backend_args}')
    return data


def check_header(data, name, max_pixels=None):
    """Return the header of an image file, if it may be decoded.

    Args:
        data (bytes): The content of the file.
        name (str | Path): What errors call it.
        max_pixels (int, optional): Limit of pixels, default: :func:`max_pixels`.

    Raises:
        ImageFileError: If it is empty, animated, truncated, larger than :func:`max_pixels`, or of a kind whose header
            is not known.
    """
    header = _still_header(data, name)
    if not header.whole and header.kind == 'JPEG' and is_complete_jpeg(data):
        _warn_once(f'{name} lacks the end marker of a JPEG file; its pixels are all there, so it is read')
    elif not header.whole:
        raise ImageFileError(f'{name} is truncated: it ends before its image does ({len(data)} bytes); '
                             'copy or download it again')
    height, width = _known_size(header, data, name)
    check_pixels(height, width, name, max_pixels)
    if height * width > _MOST_PIXELS.get(header.kind, math.inf) * len(data):
        raise ImageFileError(f'{name} claims {width}x{height} pixels, which its {len(data)} bytes cannot hold; it is '
                             'damaged, or made to fill memory: copy or download it again, or remove it')
    return header


#: Pixels that a byte of a file can hold at most: of JPEG a bit for each block of 8x8 in each scan is needed, and
#: deflate shrinks a PNG of 1 bit at most 1032 times.
_MOST_PIXELS = {'JPEG': 8 * 64 * 8, 'PNG': 8 * 1032}


def check_pixels(height, width, name, limit=None):
    """Raise an ImageFileError if an image has more than ``limit`` pixels, by default :func:`max_pixels`."""
    limit = max_pixels() if limit is None else limit
    if height * width > limit:
        raise ImageFileError(
            f'{name} is {width}x{height} = {height * width / 1e6:.1f} megapixels, more than the limit of '
            f'{limit / 1e6:.1f} against files that decode to gigabytes; to read it, give --max-pixels (where the '
            f'command has it) or set the environment variable RESTOREKIT_MAX_PIXELS={height * width}')


def write_image(path, image, alpha=None, quality=95):
    """Write uint8 (H, W, 3) RGB to ``path``, whole or not at all; the suffix chooses the format.

    Args:
        path (str | Path): Target; its folder is made. A suffix OpenCV cannot write is a ValueError.
        image (ndarray): uint8 (H, W, 3) RGB.
        alpha (ndarray, optional): uint8 (H, W), kept by PNG, TIFF and WebP.
        quality (int): JPEG quality, 0 to 100.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise InputError(f'cannot write {path}: suffix {path.suffix!r} is not one of {", ".join(IMAGE_SUFFIXES)}')
    bgr = image[..., ::-1]
    if alpha is not None and suffix in ('.png', '.tif', '.tiff', '.webp'):
        bgr = np.dstack([bgr, alpha])
    if suffix in JPEG_SUFFIXES:
        suffix, options = '.jpg', [cv2.IMWRITE_JPEG_QUALITY, quality]  # OpenCV does not know all of them
    else:
        options = []
    try:
        ok, encoded = cv2.imencode(suffix, np.ascontiguousarray(bgr), options)
    except cv2.error:
        ok = False
    if not ok:
        raise InputError(f'OpenCV cannot encode {path}, {image.shape[1]}x{image.shape[0]} pixels, as {suffix}; '
                         'choose another format')
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(encoded.tobytes(), path, sync=False)


def unit_scale(pixels, name='the image'):
    """Return what pixels are divided by to be in [0, 1]: 255 for uint8, 65535 for uint16; of floats see below.

    Floats are taken as 0 to 1 where none is above 1, else as 0 to 255 where none is above 255, else as 0 to 65535.

    Args:
        pixels (ndarray): Of any shape.
        name (str | Path): What errors call it.

    Raises:
        ImageFileError: If there are NaN, infinite or negative values, or some above 65535.

    Example:
        >>> unit_scale(np.ones((1, 1, 3), np.float32)), unit_scale(np.full((1, 1, 3), 200, np.float32))
        (1, 255)
    """
    if pixels.dtype.kind == 'u':
        return int(np.iinfo(pixels.dtype).max)
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise ImageFileError(f'{name} holds NaN or infinite values; replace them by numbers')
    if low < 0 or high > 65535:
        raise ImageFileError(f'{name} holds floats from {low:g} to {high:g}; they must be in 0 to 1, 0 to 255 or 0 to '
                             '65535')
    return 1 if high <= 1 else 255 if high <= 255 else 65535


_warned = set()


def _warn_once(text):
    if text not in _warned and len(_warned) < 1000:
        _warned.add(text)
        log(text)


def _mapped_size(path):
    status = check_regular(path, 'image file')
    if not status.st_size:
        return _size(b'', path)
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _size(data, path)


def _still_header(data, name):
    """Return the header of a file that is an image and not animated."""
    if not len(data):
        raise ImageFileError(f'{name} is empty (0 bytes); replace or remove it')
    header = read_header(data)
    if header is None:
        raise ImageFileError(f'{name} ({len(data)} bytes) is not a PNG, JPEG, WebP, TIFF, BMP or GIF file, or is '
                             f'damaged: it starts with {bytes(data[:8])!r}; convert, replace or remove it')
    if header.crowded:
        raise ImageFileError(f'{name} is a {header.kind} file of so many parts that reading it could take minutes '
                             f'({len(data)} bytes); save it anew, or remove it')
    if header.frames > 1:
        raise ImageFileError(f'{name} is a {header.kind} file of {header.frames} frames, where one image is needed; '
                             'extract its frames to files of their own, or remove it')
    return header


def _known_size(header, data, name):
    if not header.height or not header.width:
        raise ImageFileError(f'{name} has a damaged {header.kind} header, which gives no size ({len(data)} bytes); '
                             'copy or download it again')
    return header.size


def _size(data, name):
    return _known_size(_still_header(data, name), data, name)


def _ended(data, header):
    """Return a checked JPEG with its end marker, without which OpenCV 5 does not decode it."""
    return data if header.whole else bytes(data) + b'\xff\xd9'


@functools.cache
def _png_decoder():
    try:
        from kornia_rs.io import decode_image_png_u8
    except ImportError:
        return None
    return decode_image_png_u8


def _decode_plain_png(data, header):
    decoder = _png_decoder()
    if decoder is None or header.kind != 'PNG' or not header.plain:
        return None
    try:
        return decoder(data, (header.height, header.width), 'rgb')
    except Exception:  # it raises no narrower class; OpenCV then decides, and explains
        return None


def _decode(data, flags, name, header):
    # OpenCV multiplies colours of 8 bits by alpha
    if header.alpha and (image := _decode_tiff(data, flags)) is not None:
        return image
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageFileError(f'{name} cannot be decoded: {error.err or error}') from error
    if image is None and header.kind == 'TIFF':
        image = _decode_tiff(data, flags)
    if image is None or image.size == 0:
        raise ImageFileError(f'{name} ({len(data)} bytes) is not an image of 8 or 16 bits that can be decoded, or is '
                             f'damaged (it starts with {bytes(data[:8])!r}); replace or remove it')
    return image


def as_stored_light(image, header, name):
    """Return what OpenCV decoded as uint8, uint16 or float32 whose 0 is black and whose colours are not multiplied by
    alpha; of 8 bits it gives that by itself.

    Args:
        image (ndarray): (H, W) or (H, W, C).
        header (ImageHeader): Of the file, or of its first page.
        name (str | Path): What errors call it.

    Raises:
        ImageFileError: If it holds other numbers, or planes that OpenCV mixes up.
    """
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.float64:
        image = image.astype(np.float32)
    if image.dtype not in (np.uint16, np.float32):
        raise ImageFileError(f'{name} holds numbers of type {image.dtype}; convert it to 8 or 16 bits without sign, or '
                             'to floats of 32 bits')
    if header.planes:
        raise ImageFileError(f'{name} is a TIFF of {image.dtype} that stores its colours in separate planes, which is '
                             'read of 8 bits only; save it interleaved (pixel by pixel)')
    if header.inverted and image.dtype == np.uint16:
        image = ~image
    if header.premultiplied and image.ndim == 3 and image.shape[2] == 4:
        full, alpha = unit_scale(image, name), image[..., 3:].astype(np.float32)
        colours = image[..., :3] * (full / np.where(alpha > 0, alpha, full))
        colours = np.rint(np.minimum(colours, full)) if image.dtype == np.uint16 else colours
        image = np.concatenate([colours.astype(image.dtype), image[..., 3:]], axis=2)
    return image


def _decode_tiff(data, flags):
    """Decode a TIFF that OpenCV does not read (some with tiles) by Pillow, as OpenCV would; None if not."""
    import io

    from PIL import Image, ImageOps
    try:
        with Image.open(io.BytesIO(data)) as image:
            colours_of_16_bits = image.mode in ('RGB', 'RGBA') and max(image.tag_v2.get(258, (8,))) > 8  # cut to 8
            if image.mode not in ('L', 'RGB', 'RGBA', 'F', 'I;16') or colours_of_16_bits:
                return None
            array = np.array(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, EOFError, IndexError, struct.error,
            Image.DecompressionBombError):  # what Pillow's parsers raise on damage; OpenCV's message then stands
        return None
    if flags != cv2.IMREAD_UNCHANGED:
        array = np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array[..., :3]
    return array if array.ndim == 2 else np.ascontiguousarray(array[..., [2, 1, 0, *range(3, array.shape[2])]])


def _turn(array, orientation):
    """Apply an EXIF orientation to (H, W) or (H, W, 3)."""
    if orientation > 4:
        array = array.swapaxes(0, 1)
    flips = {2: (1,), 3: (0, 1), 4: (0,), 6: (1,), 7: (0, 1), 8: (0,)}.get(orientation)
    return np.ascontiguousarray(array if flips is None else np.flip(array, flips))


def _to_uint8(array, name):
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.rint(array * (255 / unit_scale(array, name))).astype(np.uint8)
