"""Photos with everything that belongs to them: pixels of any depth, alpha, pages, colour profile, EXIF and XMP."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import struct
import threading
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from restorekit.messages import InputError, MissingDependencyError

from .image_header import read_header, tiff_sizes
from .image_io import ImageFileError, as_stored_light, check_header, check_pixels, decode_image, unit_scale
from .metadata import Metadata, metadata_of, metadata_of_tiff, png_colour

#: Suffix -> the format written. A file is read by its content, whatever its suffix.
FORMATS = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.jpe': 'JPEG', '.jfif': 'JPEG', '.png': 'PNG', '.apng': 'PNG',
           '.tif': 'TIFF', '.tiff': 'TIFF', '.webp': 'WebP', '.bmp': 'BMP', '.gif': 'GIF', '.avif': 'AVIF',
           '.heic': 'HEIC', '.heif': 'HEIC'}
#: Formats that have a quality.
LOSSY = ('JPEG', 'WebP', 'AVIF', 'HEIC')
PHOTO_SUFFIXES = tuple(FORMATS)
#: Formats that hold several pages or frames.
PAGED = ('PNG', 'TIFF', 'WebP', 'GIF', 'AVIF')
#: Greatest width or height that a format can say.
MAX_SIDE = {'JPEG': 65500, 'WebP': 16383, 'GIF': 65535, 'AVIF': 65536, 'HEIC': 16384}

_LIMIT_LOCK = threading.Lock()
#: What Pillow's parsers raise on damage; RuntimeError is that of pillow-heif.
_DAMAGE = (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error, EOFError, IndexError, RuntimeError)


@dataclasses.dataclass
class Page:
    """One page or frame.

    Attributes:
        pixels (ndarray): (H, W, 3) RGB: uint8, uint16, or float32 as the file has it. Upright.
        alpha (ndarray | None): (H, W) of the same dtype, not premultiplied.
        duration (float): Milliseconds a frame is shown; 0 for a page.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    duration: float = 0


@dataclasses.dataclass
class Photo:
    """What an image file holds.

    Attributes:
        pages (list[Page]): At least one.
        kind (str): 'JPEG', 'PNG', 'TIFF', 'WebP', 'BMP', 'GIF', 'AVIF' or 'HEIC'.
        grey (bool): Whether the file has one colour channel; ``pixels`` repeat it three times.
        metadata (Metadata): Colour profile, EXIF (upright) and XMP.
        loop (int): How often an animation repeats; 0: for ever.
    """

    pages: list[Page]
    kind: str
    grey: bool = False
    metadata: Metadata = dataclasses.field(default_factory=Metadata)
    loop: int = 0

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of the first page."""
        return self.pages[0].pixels


def read_photo(path: str | os.PathLike, max_pixels: int | None = None) -> Photo:
    """Read an image file with its depth, alpha, pages and metadata.

    The content decides, not the suffix. Orientation is applied, once, and the metadata say so. 16-bit stays uint16,
    float TIFF stays float32 in the scale of the file. Grey is repeated to three channels and marked. A palette becomes
    RGB, 1 bit becomes 8-bit grey, CMYK is converted to sRGB (through its profile, where it has one). A profile of
    RGB or grey is not applied but kept: the numbers mean what they meant.

    Args:
        path (str | Path): A regular file.
        max_pixels (int, optional): Most pixels of a page; default: the limit of
            :func:`~restorekit.files.image_io.max_pixels`.

    Raises:
        FileNotFoundError: If it is not a regular file.
        ImageFileError: If it is empty, truncated, damaged, too large, or not an image.
        MissingDependencyError: If it is HEIC and pillow-heif is not installed.

    Example:
        >>> read_photo('scan.tif').pixels.dtype  # doctest: +SKIP
        dtype('uint16')
    """
    from .image_io import read_bytes
    data = read_bytes(path, None)
    header = read_header(data) if data else None
    if header is None and data[4:8] == b'ftyp':
        return _read_pillow(data, path, 'AVIF' if b'avi' in data[8:32] else 'HEIC', max_pixels)
    if header is not None and header.frames > 1 and header.kind in PAGED:
        _check_size(header, path, max_pixels)
        if not header.whole:
            raise ImageFileError(f'{path} is truncated: it ends before its images do ({len(data)} bytes); copy or '
                                 'download it again')
        return _read_tiff_pages(data, path, header, max_pixels) or _read_pages(data, path, header.kind, max_pixels)
    header = check_header(data, path, max_pixels)
    if header.kind == 'GIF' or _needs_pillow(data, path, header.kind):
        return _read_pillow(data, path, header.kind, max_pixels)
    metadata, mode = _describe(data, header.kind)
    pixels, alpha = decode_image(data, path, keep_alpha=True, keep_depth=True, max_pixels=max_pixels)
    return Photo([Page(pixels, alpha)], header.kind, _is_grey(data, header.kind, mode), metadata)


def write_photo(path: str | os.PathLike, photo: Photo, quality: int = 95) -> None:
    """Write a photo whole or not at all; the suffix chooses the format.

    The depth is that of the pixels where the format has it: PNG 8 and 16 bits, TIFF 8, 16 and float, the others 8.
    JPEG and BMP hold no alpha, which is dropped; BMP no metadata. Only PNG, TIFF, WebP and GIF hold several pages.

    Args:
        path (str | Path): Target; its folder is made.
        photo (Photo): Pixels are uint8 or uint16 RGB, or float32 in 0 to 1, 255 or 65535 (written as they are to TIFF).
        quality (int): 0 to 100, for JPEG, WebP, AVIF and HEIC.

    Raises:
        ValueError: If the suffix is none of :data:`FORMATS`, or the format cannot hold the photo.
        OSError: If it cannot be written; what was there before stays.

    Example:
        >>> write_photo('out/a.webp', Photo([Page(np.zeros((4, 4, 3), np.uint8))], 'PNG'))  # doctest: +SKIP
    """
    from .atomic import atomic_write_bytes
    path = Path(path)
    data = encode_photo(photo, path, quality)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(data, path, sync=False)


def encode_photo(photo: Photo, path: str | os.PathLike, quality: int = 95) -> bytes:
    """Return the bytes of the file that :func:`write_photo` writes to ``path``."""
    kind = FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(f'cannot write {path}: its suffix must be one of {", ".join(FORMATS)}, '
                         f'but got {Path(path).suffix!r}')
    if len(photo.pages) > 1 and kind not in PAGED:
        raise InputError(f'cannot write {path}: {kind} holds one image, but the input has {len(photo.pages)} pages or '
                         'frames; choose .tif, .webp, .png or .gif')
    for page in photo.pages:
        side = max(page.pixels.shape[:2])
        if side > MAX_SIDE.get(kind, side):
            raise InputError(f'cannot write {path}: {kind} holds at most {MAX_SIDE[kind]} pixels a side, but the image '
                             f'is {page.pixels.shape[1]}x{page.pixels.shape[0]}; choose .png or .tif')
    if kind != 'TIFF':
        photo = dataclasses.replace(photo, pages=[_in_unit(page, path) for page in photo.pages])
    if kind == 'TIFF':
        from .tiff import encode_tiff
        # no reader of ours knows grey with alpha at more than 8 bits
        return encode_tiff([_channels(page, photo.grey and (page.alpha is None or page.alpha.dtype == np.uint8))
                            for page in photo.pages], photo.metadata)
    if kind == 'PNG' and len(photo.pages) == 1:
        return _encode_png(photo, path)
    return _encode_pillow(photo, kind, quality, path)


def _in_unit(page, path):
    """A page whose floats are in [0, 1], whatever the scale of their file."""
    if page.pixels.dtype.kind == 'u':
        return page
    scale = np.float32(unit_scale(page.pixels, path))
    return Page(page.pixels / scale, None if page.alpha is None else page.alpha / scale, page.duration)


def to_depth(pixels: np.ndarray, dtype: npt.DTypeLike) -> np.ndarray:
    """Return pixels of uint8, uint16 or float32 in [0, 1] as another of these types; a range belongs to a dtype.

    Example:
        >>> to_depth(np.array([0, 65535, 300], np.uint16), np.uint8).tolist()
        [0, 255, 1]
    """
    dtype, top = np.dtype(dtype), {'uint8': 255, 'uint16': 65535}
    if pixels.dtype == dtype:
        return pixels
    if pixels.dtype == np.uint16 and dtype == np.uint8:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype == np.uint8 and dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(257)
    if dtype.kind == 'u':
        return np.rint(np.clip(pixels, 0, 1) * top[dtype.name]).astype(dtype)
    return pixels.astype(dtype) / dtype.type(top.get(pixels.dtype.name, 1))


def _channels(page, grey):
    """Pixels and alpha as (H, W, C) with C of 1 to 4, grey as one channel."""
    pixels = to_grey(page.pixels)[..., None] if grey else page.pixels
    return pixels if page.alpha is None else np.concatenate([pixels, page.alpha[..., None]], axis=2)


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Return the luma (ITU-R BT.601) of (H, W, 3) RGB as (H, W) of the same dtype."""
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return np.ascontiguousarray(pixels[..., 0])
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)


def _encode_png(photo, path):
    from .metadata import png_with_metadata
    page = photo.pages[0]
    depth = np.uint16 if page.pixels.dtype != np.uint8 else np.uint8
    grey = photo.grey and (page.alpha is None or depth == np.uint8)
    image = _channels(Page(to_depth(page.pixels, depth), None if page.alpha is None else to_depth(page.alpha, depth)),
                      grey)
    if image.shape[2] == 2:  # which OpenCV cannot write
        from PIL import Image
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'PNG')
        return png_with_metadata(file.getvalue(), photo.metadata)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[image.shape[2]]
    try:
        ok, encoded = cv2.imencode('.png', np.ascontiguousarray(image[..., order]))
    except cv2.error:
        ok = False
    if not ok:
        raise InputError(f'OpenCV cannot encode {path}, {image.shape[1]}x{image.shape[0]} pixels, as PNG; choose .tif')
    return png_with_metadata(encoded.tobytes(), photo.metadata)


def _encode_pillow(photo, kind, quality, path):
    from PIL import Image
    images = []
    for page in photo.pages:
        alpha = None if kind in ('JPEG', 'BMP') or page.alpha is None else to_depth(page.alpha, np.uint8)
        grey = photo.grey and kind in ('JPEG', 'BMP', 'GIF', 'PNG') and alpha is None
        images.append(Image.fromarray(np.squeeze(_channels(Page(to_depth(page.pixels, np.uint8), alpha), grey))
                                      if not grey else to_grey(to_depth(page.pixels, np.uint8))))
    options = dict(quality=quality)
    if kind != 'BMP' and kind != 'GIF':
        options |= photo.metadata.pillow_options(kind)
    if len(images) > 1:
        durations = [round(page.duration) for page in photo.pages]
        options |= dict(save_all=True, append_images=images[1:], duration=durations, loop=photo.loop)
        if kind == 'GIF':
            options |= dict(disposal=2)
    if kind == 'WebP':
        options |= dict(method=4, exact=True)
    if kind == 'PNG':
        options.pop('quality')
    if kind == 'HEIC':
        _heif()
    file = io.BytesIO()
    try:
        images[0].save(file, 'HEIF' if kind == 'HEIC' else kind.upper(), **options)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f'Pillow cannot write {path} as {kind}: {error}; choose .png or .tif') from error
    return file.getvalue()


def _describe(data, kind):
    """Return (metadata, Pillow's mode or None) of an image; of an odd file, no metadata."""
    with contextlib.suppress(*_DAMAGE, AttributeError), _open(data) as image:
        metadata = metadata_of(image)
        return dataclasses.replace(metadata, png=png_colour(data)) if kind == 'PNG' else metadata, image.mode
    if kind == 'TIFF':  # Pillow opens no colours in floats
        with contextlib.suppress(*_DAMAGE, AttributeError):
            return metadata_of_tiff(data), None
    return Metadata(), None


@contextlib.contextmanager
def _open(data):
    """Open with Pillow; its own limit of pixels gives way to ours, which was applied to the header."""
    from PIL import Image
    with _LIMIT_LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(io.BytesIO(data))
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _needs_pillow(data, path, kind):
    """CMYK (its profile tells the colours), palettes, 1 bit, grey of which one is transparent, and alpha in TIFF of 8
    bits are Pillow's."""
    if kind not in ('JPEG', 'PNG', 'TIFF'):
        return False
    try:
        with _open(data) as image:
            if image.mode in ('RGBA', 'RGBX', 'LA') and kind == 'TIFF':
                return max(image.tag_v2.get(258, (8,))) <= 8
            return image.mode in ('CMYK', 'P', 'PA', '1', 'LAB') or \
                kind == 'PNG' and image.mode == 'L' and 'transparency' in image.info
    except _DAMAGE:
        return False


def _is_grey(data, kind, mode):
    if kind == 'PNG':
        return data[25] in (0, 4)
    if kind == 'JPEG':
        return mode == 'L'
    return mode in ('L', '1', 'LA', 'I', 'F') or (mode or '').startswith('I;')


def _check_size(header, path, max_pixels):
    check_pixels(*header.size, path, max_pixels)


def _read_pillow(data, path, kind, max_pixels):
    if kind == 'HEIC':
        _heif()
    try:
        with _open(data) as image:
            check_pixels(image.height, image.width, path, max_pixels)
            if kind == 'AVIF' and getattr(image, 'n_frames', 1) > 1:
                return _read_pages(data, path, kind, max_pixels)
            metadata = metadata_of(image)
            page, grey = _page(image, metadata)
            if image.mode == 'CMYK':
                metadata = dataclasses.replace(metadata, icc=None)
    except ImageFileError:
        raise
    except _DAMAGE as error:
        raise ImageFileError(f'{path} ({len(data)} bytes) cannot be decoded as {kind}: {_reason(error)}; replace or '
                             'remove it') from error
    return Photo([page], kind, grey, metadata)


def _read_pages(data, path, kind, max_pixels):
    pages, grey = [], True
    try:
        with _open(data) as image:
            metadata, loop = metadata_of(image), image.info.get('loop', 0)
            for number in range(image.n_frames):
                image.seek(number)
                check_pixels(image.height, image.width, path, max_pixels)
                page, page_grey = _page(image, metadata)
                page.duration = image.info.get('duration', 0) or 0
                pages.append(page)
                grey = grey and page_grey
    except ImageFileError:
        raise
    except _DAMAGE as error:
        raise ImageFileError(f'{path}: page {len(pages) + 1} cannot be decoded: {_reason(error)}; replace or remove '
                             'the file') from error
    return Photo(pages, kind, grey, metadata, loop)


def _read_tiff_pages(data, path, header, max_pixels):
    """Pages of a TIFF of 16 bits or floats, which Pillow cannot give; None for another file."""
    if header.kind != 'TIFF':
        return None
    for height, width in tiff_sizes(data):
        check_pixels(height, width, path, max_pixels)
    ok, arrays = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if not ok or not arrays or all(array.dtype == np.uint8 for array in arrays):
        return None
    pages = []
    for array in arrays:
        array = as_stored_light(array, header, path)
        array = array[..., None] if array.ndim == 2 else array
        grey = array.shape[2] == 1
        pixels = np.repeat(array, 3, axis=2) if grey else np.ascontiguousarray(array[..., 2::-1])
        pages.append((Page(pixels, array[..., 3].copy() if array.shape[2] == 4 else None), grey))
    return Photo([page for page, _ in pages], 'TIFF', all(grey for _, grey in pages), _describe(data, 'TIFF')[0])


def _page(image, metadata):
    """Turn Pillow's current frame into a Page of 8 bits; returns (page, whether it is grey)."""
    from PIL import ImageOps
    mode = image.mode
    grey = mode in ('1', 'L', 'LA')
    has_alpha = mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in image.info
    if mode == 'CMYK':
        frame = _cmyk_to_srgb(image)
    else:
        frame = image.convert('RGBA' if has_alpha else 'RGB')
    if metadata.orientation != 1:
        frame.getexif()[0x0112] = metadata.orientation
        frame = ImageOps.exif_transpose(frame)
    array = np.array(frame)
    pixels, alpha = np.ascontiguousarray(array[..., :3]), array[..., 3].copy() if has_alpha else None
    return Page(pixels, alpha), grey


def _cmyk_to_srgb(image):
    from PIL import ImageCms
    profile = image.info.get('icc_profile')
    if profile:
        try:
            return ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                                             ImageCms.createProfile('sRGB'), outputMode='RGB')
        except (ImageCms.PyCMSError, OSError):  # a damaged profile
            pass
    return image.convert('RGB')


def _reason(error):
    """What Pillow says is wrong; where it names its buffer in memory, that the file is damaged."""
    return 'it is damaged' if 'BytesIO' in str(error) else error


def _heif():
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingDependencyError('HEIC files need pillow-heif: pip install "restorekit[heic]"') from error
    pillow_heif.register_heif_opener()


def describe_photo(path: str | os.PathLike) -> dict:
    """Return what a photo is: format, size, depth, alpha, pages, and which metadata it has.

    Example:
        >>> describe_photo('photo.jpg')['width']  # doctest: +SKIP
        4032
    """
    photo = read_photo(path)
    height, width = photo.pixels.shape[:2]
    names = {'uint8': '8 bits', 'uint16': '16 bits', 'float32': '32-bit float'}
    return dict(format=photo.kind, width=width, height=height, depth=names[photo.pixels.dtype.name],
                channels='grey' if photo.grey else 'RGB', alpha=photo.pages[0].alpha is not None,
                pages=len(photo.pages), orientation=photo.metadata.orientation,
                profile=_profile_name(photo.metadata.icc), exif=photo.metadata.exif is not None,
                xmp=photo.metadata.xmp is not None)


def _profile_name(icc):
    if icc is None:
        return None
    from PIL import ImageCms
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip()
    except (ImageCms.PyCMSError, OSError):
        return 'damaged'
