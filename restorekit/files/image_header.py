"""What the header of an image file says, read without decoding: size, orientation, frames, whether its end is there."""

import struct
from typing import NamedTuple

WIDTH, HEIGHT, ORIENTATION, SUBFILE, PHOTOMETRIC, SAMPLES = 256, 257, 274, 254, 262, 277  # tags of TIFF and EXIF
PLANES, EXTRA = 284, 338
TOO_SHORT = (struct.error, IndexError, OverflowError)
MAX_PARTS = 2 ** 16  # chunks, segments, blocks, directories or tags: a file of millions would take minutes to read
MAX_DATA_PARTS = 2 ** 18  # chunks of a PNG that hold pixels
MAX_SCANS = 500  # of a progressive JPEG, each of which decoders run over the whole image


class ImageHeader(NamedTuple):
    """What a header says.

    ``height`` and ``width`` are as stored, before the EXIF ``orientation`` (1 to 8) is applied. ``plain``: a PNG of
    nothing but 8-bit RGB, a JPEG of three 8-bit channels in one sequential scan; and shown as stored. ``height_at``:
    where a JPEG keeps its height. ``crowded``: it has so many parts that it was not read to its end. ``cmyk``: a TIFF
    of four inks, whose fourth channel is not alpha; ``alpha``: a TIFF of RGB and alpha; ``premultiplied``: by which its
    colours are multiplied; ``inverted``: a TIFF whose 0 is white; ``planes``: a TIFF of one plane after the other.
    """

    kind: str
    height: int
    width: int
    orientation: int = 1
    frames: int = 1
    whole: bool = True
    plain: bool = False
    height_at: int = 0
    crowded: bool = False
    cmyk: bool = False
    alpha: bool = False
    premultiplied: bool = False
    inverted: bool = False
    planes: bool = False

    @property
    def size(self):
        """(height, width) as shown: orientations 5 to 8 lie on their side."""
        return (self.width, self.height) if self.orientation > 4 else (self.height, self.width)


def read_header(data):
    """Read the header of a PNG, JPEG, WebP, TIFF, BMP or GIF image in microseconds.

    Args:
        data (bytes | mmap): The file; of a memory map only the pages that hold headers are touched.

    Returns:
        ImageHeader | None: None for any other content. A header that ends too soon is not ``whole``, its size may be 0.

    Example:
        >>> read_header(b'BM' + bytes(12) + struct.pack('<Iii', 40, 4, -3)).size
        (3, 4)
    """
    for magic, start, kind, reader in READERS:
        if data[start:start + len(magic)] == magic:
            try:
                return reader(data)
            except _Crowded:
                return ImageHeader(kind, 0, 0, whole=False, crowded=True)
            except TOO_SHORT:
                return ImageHeader(kind, 0, 0, whole=False)
    return None


class _Crowded(Exception):
    pass


def _count(parts, limit=MAX_PARTS):
    if parts > limit:
        raise _Crowded
    return parts + 1


def _png(data):
    height = width = parts = data_parts = 0
    orientation, frames, position, kind, plain = 1, 1, 8, b'', False
    while position + 8 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, position)
        if kind == b'IEND':
            break
        if kind in (b'IDAT', b'fdAT'):
            data_parts = _count(data_parts, MAX_DATA_PARTS)
        else:
            parts = _count(parts)
        if kind == b'IHDR' and not width:
            width, height = struct.unpack_from('>II', data, position + 8)
            plain = data[position + 16:position + 21] == b'\x08\x02\0\0\0'  # 8 bits, RGB, not interlaced
        elif kind == b'tRNS':
            plain = False
        elif kind == b'acTL':
            frames, = struct.unpack_from('>I', data, position + 8)
        elif kind == b'eXIf':
            orientation = _exif(data[position + 8:position + 8 + length])
        position += 12 + length
    return ImageHeader('PNG', height, width, orientation, frames, kind == b'IEND', plain and orientation == 1)


def _jpeg(data):
    height = width = parts = 0
    orientation, position, height_at, sequential = 1, 2, 0, False
    while position + 4 <= len(data):
        parts = _count(parts)
        if data[position] != 0xff:  # decoders skip stray bytes between segments
            marked = data.find(b'\xff', position)
            position = marked if marked > 0 else len(data)
            continue
        marker = data[position + 1]
        if marker == 0xda:  # the image itself
            sequential = sequential and data[position + 4] == 3  # channels of this scan
            break
        if marker in (0xff, 0x00, 0x01) or 0xd0 <= marker <= 0xd8:  # padding, or no content
            position += 1 if marker == 0xff else 2
            continue
        length, = struct.unpack_from('>H', data, position + 2)
        if 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):
            height, width = struct.unpack_from('>HH', data, position + 5)
            height_at = position + 5
            sequential = marker <= 0xc1 and data[position + 4] == 8 and data[position + 9] == 3
        elif marker == 0xe1 and data[position + 4:position + 10] == b'Exif\0\0':
            orientation = _exif(data[position + 10:position + 2 + length])
        position += 2 + length  # skips the end of a thumbnail within a segment
    if not sequential:
        _count(_scans(data, position), MAX_SCANS)
    return ImageHeader('JPEG', height, width, orientation, whole=data.rfind(b'\xff\xd9', position) >= 0,
                       plain=sequential and orientation == 1, height_at=height_at)


def _scans(data, position):
    """Number of scans from ``position`` on, counted no further than is allowed."""
    scans = 0
    while scans <= MAX_SCANS and (position := data.find(b'\xff\xda', position)) >= 0:
        scans, position = scans + 1, position + 2
    return scans


def _webp(data):
    height = width = frames = parts = 0
    orientation, position = 1, 12
    end = 8 + struct.unpack_from('<I', data, 4)[0]
    while position + 8 <= min(end, len(data)):
        kind, length = struct.unpack_from('<4sI', data, position)
        parts = _count(parts)
        body = position + 8
        if kind == b'VP8X':
            width, height = (1 + int.from_bytes(data[i:i + 3], 'little') for i in (body + 4, body + 7))
        elif kind == b'VP8 ' and not width:
            width, height = (value & 0x3fff for value in struct.unpack_from('<HH', data, body + 6))
        elif kind == b'VP8L' and not width:
            bits, = struct.unpack_from('<I', data, body + 1)
            width, height = 1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)
        elif kind == b'EXIF':
            orientation = _exif(data[body:body + length].removeprefix(b'Exif\0\0'))
        frames += kind == b'ANMF'
        position = body + length + length % 2
    return ImageHeader('WebP', height, width, orientation, max(frames, 1), end <= len(data))


def _tiff(data):
    pages = _directories(data)
    first, frames = next(pages, {}), 1
    try:
        for page in pages:
            frames += not page.get(SUBFILE, 0) & 0b101  # previews and masks are no pages
    except TOO_SHORT:
        pass  # damage behind the first page does it no harm
    return ImageHeader('TIFF', first.get(HEIGHT, 0), first.get(WIDTH, 0), _valid(first.get(ORIENTATION, 1)), frames,
                       cmyk=first.get(PHOTOMETRIC) == 5,
                       alpha=first.get(PHOTOMETRIC) == 2 and first.get(SAMPLES) == 4,
                       premultiplied=first.get(EXTRA) == 1, inverted=first.get(PHOTOMETRIC) == 0,
                       planes=first.get(PLANES) == 2 and first.get(SAMPLES, 1) > 1)


def tiff_sizes(data):
    """Return (height, width) of every page of a TIFF, as stored; of one that is cut off, those up to there."""
    sizes = []
    try:
        for page in _directories(data):
            sizes.append((page.get(HEIGHT, 0), page.get(WIDTH, 0)))
    except (*TOO_SHORT, _Crowded):
        pass
    return sizes


def _bmp(data):
    length, = struct.unpack_from('<I', data, 14)
    if length not in (12, 40, 52, 56, 64, 108, 124):  # text may start with BM
        return None
    if length == 12:  # the header of OS/2
        width, height = struct.unpack_from('<HH', data, 18)
    else:
        width, height = struct.unpack_from('<ii', data, 18)
    return ImageHeader('BMP', abs(height), abs(width))


def _gif(data):
    width, height, flags = struct.unpack_from('<HHB', data, 6)
    position, frames, parts = 13 + _colours(flags), 0, 0
    while (kind := data[position]) in (0x2c, 0x21):
        frames += kind == 0x2c
        position += 11 + _colours(data[position + 9]) if kind == 0x2c else 2
        while data[position]:
            parts = _count(parts, MAX_DATA_PARTS)
            position += 1 + data[position]
        parts = _count(parts, MAX_DATA_PARTS)
        position += 1
    return ImageHeader('GIF', height, width, frames=max(frames, 1), whole=kind == 0x3b)


def _colours(flags):
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _exif(data):
    try:
        return _valid(next(_directories(data)).get(ORIENTATION, 1))
    except (*TOO_SHORT, StopIteration, _Crowded):
        return 1


def _valid(orientation):
    return orientation if 1 <= orientation <= 8 else 1


def _directories(data):
    """Yield the tags with one whole number of every directory of a TIFF (or BigTIFF) stream."""
    order = '<' if data[:2] == b'II' else '>'
    big = struct.unpack_from(order + 'H', data, 2)[0] == 43
    count, offset, step, at = ('Q', 'Q', 20, 12) if big else ('H', 'I', 12, 8)
    position, = struct.unpack_from(order + offset, data, 8 if big else 4)
    seen, parts = set(), 0
    while position and position not in seen:
        seen.add(position)
        entries, = struct.unpack_from(order + count, data, position)
        parts = _count(parts + entries)
        position += struct.calcsize(order + count)
        tags = {}
        for i in range(entries):
            tag, kind = struct.unpack_from(order + 'HH', data, position + i * step)
            if kind in (3, 4):
                value, = struct.unpack_from(order + ('H' if kind == 3 else 'I'), data, position + i * step + at)
                tags.setdefault(tag, value)  # of a tag that is there twice decoders take the first
        yield tags
        position, = struct.unpack_from(order + offset, data, position + entries * step)


READERS = ((b'\x89PNG\r\n\x1a\n', 0, 'PNG', _png), (b'\xff\xd8', 0, 'JPEG', _jpeg), (b'WEBP', 8, 'WebP', _webp),
           *((magic, 0, 'TIFF', _tiff) for magic in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')),
           (b'BM', 0, 'BMP', _bmp), (b'GIF8', 0, 'GIF', _gif))
