"""Whether a JPEG file that lacks its end marker lacks pixels too."""

from __future__ import annotations


def is_complete_jpeg(data: bytes) -> bool:
    """Return whether the scans of a JPEG give every coefficient of the image.

    The last scan is decoded by simplejpeg, which tells when its data ends too soon; of a progressive JPEG the scans
    must, besides, refine every coefficient to its last bit. Without simplejpeg the answer is False.

    Args:
        data (bytes): The file, with or without its end marker.

    Example:
        >>> is_complete_jpeg(b'')
        False
    """
    try:
        from simplejpeg import decode_jpeg
    except ImportError:
        return False
    if not _covers_every_coefficient(data):
        return False
    try:
        decode_jpeg(bytes(data) + b'\xff\xd9', 'GRAY')  # strict: a scan that ends too soon is an error
    except ValueError:
        return False
    return True


def _covers_every_coefficient(data: bytes) -> bool:
    """Whether the headers of the scans promise everything (ITU-T T.81, G.1.1.1.1); a sequential scan does."""
    components: set[int] = set()
    exact: set[tuple[int, int]] = set()
    progressive, position = False, 2
    while 0 <= (position := data.find(b'\xff', position)) < len(data) - 4:
        marker, position = data[position + 1], position + 1
        if marker in (0x00, 0xff) or 0xd0 <= marker <= 0xd8 or marker == 0x01:  # within a scan, padding, or alone
            continue
        length = int.from_bytes(data[position + 1:position + 3], 'big')
        body = data[position + 3:position + 1 + length]
        if len(body) < length - 2 or length < 2:
            return False
        if 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):
            if len(body) < 6 or len(body) < 6 + 3 * body[5]:
                return False
            progressive = marker in (0xc2, 0xc6, 0xca, 0xce)
            components = {body[6 + 3 * i] for i in range(body[5])}
        elif marker == 0xda:
            count = body[0] if body else 0
            if len(body) < 4 + 2 * count:
                return False
            first, last, bits = body[1 + 2 * count:4 + 2 * count]
            if bits & 0x0f == 0 or not progressive:  # down to the last bit
                exact.update((body[1 + 2 * i], k) for i in range(count)
                             for k in (range(first, last + 1) if progressive else range(64)))
        position += 1 + length
    return bool(components) and all((component, k) in exact for component in components for k in range(64))
