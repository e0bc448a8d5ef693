"""Reading and writing image files: one place that decides what every kind of file means."""

import os
from pathlib import Path

import cv2
import numpy as np
from mmengine import fileio

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


class ImageFileError(ValueError):
    """A file that should hold an image does not."""


def read_image(path, keep_alpha=False, backend_args=None):
    """Read an image file as 8-bit RGB.

    The content decides, not the suffix (a PNG named ``.jpg`` is read as PNG). Grey and palette images become RGB,
    16-bit images are scaled to 8 bits (value / 257, rounded), EXIF orientation is applied.

    Args:
        path (str | Path): The file.
        keep_alpha (bool): Return the alpha channel too; otherwise it is dropped (the colours are taken as stored).
        backend_args (dict, optional): Where to read from, as mmengine.fileio takes it; default: the disk.

    Returns:
        ndarray | tuple[ndarray, ndarray | None]: uint8 (H, W, 3) RGB; with ``keep_alpha`` also uint8 (H, W) alpha
        or None.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If the file is empty, truncated or no image that OpenCV can decode.
    """
    if backend_args is None and not Path(path).is_file():
        raise FileNotFoundError(f'no image file {path}' + (' (it is a folder)' if Path(path).is_dir() else ''))
    data = fileio.get(str(path), backend_args)
    if not data:
        raise ImageFileError(f'{path} is empty (0 bytes); replace or remove it')
    if _truncated(data):
        raise ImageFileError(f'{path} is truncated: it ends before its image does ({len(data)} bytes); '
                             'copy or download it again')
    buffer = np.frombuffer(data, np.uint8)
    image = _decode(buffer, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR, path)
    if image is None or image.size == 0:
        raise ImageFileError(f'{path} ({len(data)} bytes) is not an image of 8 or 16 bits that can be decoded '
                             f'(it starts with {data[:8]!r}); replace or remove it')
    image = np.ascontiguousarray(_to_uint8(image)[..., ::-1])
    if not keep_alpha:
        return image
    stored = _decode(buffer, cv2.IMREAD_UNCHANGED, path)
    has_alpha = stored.ndim == 3 and stored.shape[2] == 4 and stored.shape[:2] == image.shape[:2]
    return image, (_to_uint8(stored[..., 3]) if has_alpha else None)


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
        raise ValueError(f'cannot write {path}: suffix {path.suffix!r} is not one of {", ".join(IMAGE_SUFFIXES)}')
    bgr = image[..., ::-1]
    if alpha is not None and suffix in ('.png', '.tif', '.tiff', '.webp'):
        bgr = np.dstack([bgr, alpha])
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix in ('.jpg', '.jpeg') else []
    try:
        ok, encoded = cv2.imencode(suffix, np.ascontiguousarray(bgr), options)
    except cv2.error:
        ok = False
    if not ok:
        raise ValueError(f'OpenCV cannot encode {path}, {image.shape[1]}x{image.shape[0]} pixels, as {suffix}; '
                         'choose another format')
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        temporary.write_bytes(encoded.tobytes())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _decode(buffer, flags, path):
    try:
        return cv2.imdecode(buffer, flags)
    except cv2.error as error:
        raise ImageFileError(f'{path} cannot be decoded: {error.err or error}') from error


def _truncated(data):
    """Whether a JPEG or PNG lacks its end (OpenCV decodes such files to a half-grey image).

    What follows the end does not matter: phones append films to photos.
    """
    if data[:2] == b'\xff\xd8':
        position = 2
        while data[position:position + 1] == b'\xff' and data[position + 1:position + 2] != b'\xda':
            position += 2 + int.from_bytes(data[position + 2:position + 4], 'big')  # a thumbnail's end lies inside
        return b'\xff\xd9' not in data[position:]
    if data[:8] == b'\x89PNG\r\n\x1a\n':
        position = 8
        while position + 8 <= len(data) and data[position + 4:position + 8] != b'IEND':
            position += 12 + int.from_bytes(data[position:position + 4], 'big')
        return position + 8 > len(data)
    return False


def _to_uint8(array):
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype in (np.float32, np.float64):
        return np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    raise ImageFileError(f'images of dtype {array.dtype} are not supported; convert to 8 or 16 bits')
