"""Colour profile, EXIF and XMP of photos: read once, made upright, written into the container of the output."""

from __future__ import annotations

import dataclasses
import re
import struct
import zlib

#: Tags of a TIFF that say what the photo is, and not how its pixels are stored.
KEPT_TAGS = (270, 271, 272, 305, 306, 315, 316, 33432)
DIRECTORIES = (34665, 34853)  # EXIF, GPS
_ORIENTATION = 274


@dataclasses.dataclass(frozen=True)
class Metadata:
    """What travels with the pixels.

    Attributes:
        icc (bytes | None): Colour profile.
        exif (bytes | None): EXIF as a TIFF stream (without the ``Exif`` prefix of JPEG), its orientation 1, its
            thumbnail (which shows the old picture) unlinked.
        xmp (bytes | None): XMP packet; an orientation in it is 1.
        dpi (tuple[float, float] | None): Resolution.
        orientation (int): What the file said, 1 to 8; already applied to pixels that were read with it.
        png (bytes): Chunks of a PNG that say what its numbers mean, as they are; other formats cannot hold them.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int = 1
    png: bytes = b''

    def pillow_options(self, kind: str) -> dict:
        """Return the arguments of Pillow's ``save`` for a format."""
        options = {}
        if self.icc:
            options['icc_profile'] = self.icc
        if self.exif:
            options['exif'] = b'Exif\0\0' + self.exif if kind in ('JPEG', 'WebP') else self.exif
        if self.xmp and kind in ('JPEG', 'WebP', 'AVIF', 'HEIC'):
            options['xmp'] = self.xmp
        if self.dpi and kind == 'JPEG':
            options['dpi'] = self.dpi
        return options


def metadata_of(image) -> Metadata:
    """Return the metadata of an image opened by Pillow.

    Example:
        >>> from PIL import Image
        >>> metadata_of(Image.new('RGB', (1, 1)))
        Metadata(icc=None, exif=None, xmp=None, dpi=None, orientation=1, png=b'')
    """
    info = image.info
    exif, orientation = info.get('exif'), 1
    found = image.getexif()
    if found:
        orientation = found.get(_ORIENTATION, 1)
        if image.format == 'TIFF' or not isinstance(exif, bytes):
            exif = _exif_of_tiff(found)
    # the reader of HEIC turns the image itself
    turned = image.format == 'HEIF'
    xmp = info.get('xmp') or info.get('XML:com.adobe.xmp')
    if xmp is None and image.format == 'TIFF':
        xmp = image.tag_v2.get(700)
    xmp = xmp.encode() if isinstance(xmp, str) else bytes(xmp) if xmp else None
    dpi = info.get('dpi')
    dpi = _possible(tuple(float(value) for value in dpi)) if dpi is not None else None
    return Metadata(icc=info.get('icc_profile') or None, exif=_upright(exif), xmp=_upright_xmp(xmp), dpi=dpi,
                    orientation=orientation if orientation in range(1, 9) and not turned else 1)


def metadata_of_tiff(data: bytes) -> Metadata:
    """Return the metadata of a TIFF of any kind, from its tags."""
    from PIL import Image
    found = Image.Exif()
    found.load(data)
    orientation, icc, xmp = (found.get(tag) for tag in (_ORIENTATION, 34675, 700))
    dpi = tuple(float(found.get(tag, 0)) * (2.54 if found.get(296) == 3 else 1) for tag in (282, 283))
    return Metadata(icc=icc or None, exif=_upright(_exif_of_tiff(found)), xmp=_upright_xmp(xmp), dpi=_possible(dpi),
                    orientation=orientation if orientation in range(1, 9) else 1)


def png_colour(data: bytes) -> bytes:
    """Return the chunks of a PNG that say what its numbers mean beside a profile: gamma, primaries, sRGB, HDR.

    Example:
        >>> png_colour(bytes(8) + _chunk(b'IHDR', bytes(13)) + _chunk(b'sRGB', bytes(1)))[4:8]
        b'sRGB'
    """
    position, found = 8, b''
    while position + 8 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, position)
        if kind in (b'IDAT', b'IEND'):
            break
        if kind in (b'gAMA', b'cHRM', b'sRGB', b'cICP') and length <= 32:
            found += data[position:position + 12 + length]
        position += 12 + length
    return found


def png_with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """Insert the metadata as chunks behind the header of a PNG file."""
    chunks = metadata.png
    if metadata.icc:
        chunks += _chunk(b'iCCP', b'profile\0\0' + zlib.compress(metadata.icc))
    if metadata.dpi:
        chunks += _chunk(b'pHYs', struct.pack('>IIB', *(round(value / 0.0254) for value in metadata.dpi), 1))
    if metadata.exif:
        chunks += _chunk(b'eXIf', metadata.exif)
    if metadata.xmp:
        chunks += _chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0' + metadata.xmp)
    return data[:33] + chunks + data[33:]  # 8 bytes of signature and 25 of the header chunk


def _possible(dpi):
    return dpi if all(0 < value < 1e6 for value in dpi) else None


def _chunk(kind, body):
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def _exif_of_tiff(found):
    """EXIF of the tags of a TIFF (or of a container that Pillow gives no bytes of)."""
    from PIL import Image
    kept = Image.Exif()
    for tag in KEPT_TAGS:
        if tag in found:
            kept[tag] = found[tag]
    for tag in DIRECTORIES:
        if values := found.get_ifd(tag):
            kept.get_ifd(tag).update(values)
    return kept.tobytes() if kept else None


def _upright(exif):
    """EXIF bytes with orientation 1 and no thumbnail; changed in place, so that maker notes stay readable."""
    if not exif:
        return None
    data = bytearray(exif.removeprefix(b'Exif\0\0'))
    if data[:4] not in (b'II*\0', b'MM\0*'):
        return None
    order = '<' if data[:2] == b'II' else '>'
    try:
        start, = struct.unpack_from(order + 'I', data, 4)
        count, = struct.unpack_from(order + 'H', data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + 'HH', data, entry)
            if tag == _ORIENTATION and kind == 3:
                struct.pack_into(order + 'H', data, entry + 8, 1)
        struct.pack_into(order + 'I', data, start + 2 + 12 * count, 0)
    except struct.error:  # cut off: worth nothing to a reader either
        return None
    return bytes(data)


def _upright_xmp(xmp):
    if not xmp:
        return None
    xmp = re.sub(rb'(tiff:Orientation\s*=\s*["\'])[2-8](["\'])', rb'\g<1>1\2', xmp)
    return re.sub(rb'(<tiff:Orientation>\s*)[2-8](\s*</tiff:Orientation>)', rb'\g<1>1\2', xmp)
