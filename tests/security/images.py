"""Hostile images: a kind is a format and what was done to it; written to a folder, name -> expected.

Expected is ``refused``, or ``either`` where decoders differ in how much damage they bear.
"""

# ruff: noqa: E501 (tables of attacks read better a line each)

import struct
import zlib

import cv2
import numpy as np

FORMATS = ('png', 'jpg', 'bmp', 'tif', 'webp', 'ppm', 'jp2', 'pgm')


def _damages(data):
    half, n = len(data) // 2, len(data)
    yield 'empty', b'', 'refused'
    yield 'one byte', data[:1], 'refused'
    yield 'signature only', data[:8], 'refused'
    yield 'header only', data[:26], 'refused'
    yield 'half', data[:half], 'either'
    yield 'last byte lost', data[:-1], 'either'
    yield 'zeros behind', data + bytes(1000), 'either'
    yield 'zip behind', data + b'PK\x03\x04' + bytes(100), 'either'
    yield 'zeroed body', data[:half] + bytes(n - half), 'either'
    yield 'zeroed header', bytes(30) + data[30:], 'refused'
    yield 'ones in the header', data[:8] + b'\xff' * 16 + data[24:], 'either'
    yield 'reversed', data[::-1], 'refused'
    yield 'twice', data + data, 'either'
    yield 'text', b'<html>not an image</html>', 'refused'
    yield 'pickle', b'\x80\x02cposix\nsystem\nX\x01\x00\x00\x00xR.', 'refused'
    yield 'shifted', b'\x00' + data, 'either'
    yield 'swapped bytes', bytes(byte ^ (0xff if i % 97 == 50 else 0) for i, byte in enumerate(data)), 'either'
    yield 'newlines translated', data.replace(b'\n', b'\r\n'), 'either'


def _chunk(kind, data, crc=None):
    body = kind + data
    return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body) if crc is None else crc)


def _png(width, height, depth=8, colour=2, body=None, before=b'', interlace=0, compression=0, filtering=0):
    head = struct.pack('>IIBBBBB', width, height, depth, colour, compression, filtering, interlace)
    body = zlib.compress(bytes(min(height, 64) * (min(width, 64) * 3 + 1))) if body is None else body
    return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', head) + before + _chunk(b'IDAT', body) + _chunk(b'IEND', b'')


def _tiff(entries, body=b''):
    packed = b''.join(struct.pack('<HHII', *entry) for entry in entries)
    return b'II*\x00' + struct.pack('<I', 8) + struct.pack('<H', len(entries)) + packed + bytes(4) + body


def _special():
    big = 2 ** 31 - 1
    yield 'png of 2**31 squared', _png(big, big), 'refused'
    yield 'png of width 0', _png(0, 8), 'refused'
    yield 'png of height 0', _png(8, 0), 'refused'
    yield 'png of 20,000 squared with a body of nothing', _png(20000, 20000), 'refused'
    yield 'png bomb', _png(60000, 60000, body=zlib.compress(bytes(2 ** 24))), 'refused'
    yield 'png of depth 3', _png(8, 8, depth=3), 'refused'
    yield 'png of colour 5', _png(8, 8, colour=5), 'refused'
    yield 'png without palette', _png(8, 8, colour=3), 'either'
    yield 'png of interlace 9', _png(8, 8, interlace=9), 'refused'
    yield 'png of compression 9', _png(8, 8, compression=9), 'refused'
    yield 'png of filter 9', _png(8, 8, filtering=9), 'refused'
    yield 'png of 100,000 texts', _png(8, 8, before=_chunk(b'tEXt', b'a\0b') * 100000), 'either'
    yield 'png with a profile of garbage', _png(8, 8, before=_chunk(b'iCCP', b'x\0\0' + zlib.compress(b'junk'))), 'either'
    yield 'png with a profile bomb', _png(8, 8, before=_chunk(b'iCCP', b'x\0\0' + zlib.compress(bytes(2 ** 24)))), 'either'
    yield 'png with a wrong check sum', _png(8, 8, before=_chunk(b'tEXt', b'a\0b', 1)), 'either'
    yield 'png with a chunk of 4 GB', _png(8, 8, before=b'\xff\xff\xff\xfftEXt'), 'refused'
    yield 'png with gamma 0', _png(8, 8, before=_chunk(b'gAMA', bytes(4))), 'either'
    yield 'png with exif of garbage', _png(8, 8, before=_chunk(b'eXIf', b'MM\0*' + b'\xff' * 50)), 'either'
    size = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1), (278, 3, 1, 8)]
    yield 'tiff whose strip leads out', _tiff([*size, (273, 4, 1, 10 ** 9), (279, 4, 1, 64)]), 'refused'
    yield 'tiff of no entries', _tiff([]), 'refused'
    yield 'tiff of 2**32 squared', _tiff([(256, 4, 1, 2 ** 32 - 1), (257, 4, 1, 2 ** 32 - 1)]), 'refused'
    yield 'tiff whose directory is itself', b'II*\0' + struct.pack('<IH', 8, 0) + struct.pack('<I', 8), 'refused'
    yield 'tiff of 65,535 entries', b'II*\0' + struct.pack('<IH', 8, 65535), 'refused'
    yield 'tiff of a compression that is not', _tiff([*size[:3], (259, 3, 1, 9999), (273, 4, 1, 200), (279, 4, 1, 64)], bytes(200)), 'refused'
    yield 'tiff of 300 samples', _tiff([*size[:5], (277, 3, 1, 300), (273, 4, 1, 200), (279, 4, 1, 64)], bytes(200)), 'refused'
    jpeg = bytes(cv2.imencode('.jpg', np.full((16, 16, 3), 90, np.uint8))[1])
    frame = jpeg.index(b'\xff\xc0') + 5
    yield 'jpg that claims 64 megapixels', jpeg[:frame] + struct.pack('>HH', 8000, 8000) + jpeg[frame + 4:], 'refused'
    yield 'jpg of 65,535 squared', jpeg[:frame] + b'\xff' * 4 + jpeg[frame + 4:], 'refused'
    yield 'jpg of height 0', jpeg[:frame] + b'\0\0' + jpeg[frame + 2:], 'either'
    yield 'jpg of 255 components', jpeg[:frame + 4] + b'\xff' + jpeg[frame + 5:], 'refused'
    yield 'jpg of 1,000 comments', jpeg[:2] + b'\xff\xfe\x00\x04xx' * 1000 + jpeg[2:], 'either'
    yield 'jpg with exif of garbage', jpeg[:2] + b'\xff\xe1\x00\x0cExif\0\0\xff\xff\xff\xff' + jpeg[2:], 'either'
    yield 'bmp of negative size', b'BM' + bytes(8) + struct.pack('<IIii', 54, 40, -8, -8) + bytes(60), 'refused'
    yield 'bmp of 2**31', b'BM' + bytes(8) + struct.pack('<IIiiHH', 54, 40, 2 ** 31 - 1, 2 ** 31 - 1, 1, 24) + bytes(60), 'refused'
    yield 'ppm of 10**9', b'P6 1000000000 1000000000 255\n', 'refused'
    yield 'ppm of negative size', b'P6 -3 8 255\n' + bytes(100), 'refused'
    yield 'ppm of maximum 0', b'P6 8 8 0\n' + bytes(192), 'either'
    yield 'ppm of letters', b'P6 a b c\n' + bytes(192), 'refused'
    yield 'svg', b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://x.org/a.png"/></svg>', 'refused'
    yield 'postscript', b'%!PS-Adobe-3.0\n(x) run\n', 'refused'
    yield 'gif of 65,535 squared', b'GIF89a\xff\xff\xff\xff\0\0\0', 'refused'


def write_images(folder):
    """Write the corpus; returns file name -> expected."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), (5, 5), 2)
    expected = {}
    for suffix in FORMATS:
        content = image[..., 0] if suffix == 'pgm' else image
        done, data = cv2.imencode(f'.{suffix}', content)
        for i, (_, damaged, what) in enumerate(_damages(bytes(data))):
            name = f'{suffix}_{i:02}.{suffix}'
            (folder / name).write_bytes(damaged)
            expected[name] = what
    for i, (kind, data, what) in enumerate(_special()):
        suffix = kind.split()[0] if kind.split()[0] in FORMATS else {'tiff': 'tif'}.get(kind.split()[0], 'png')
        name = f'special_{i:02}.{suffix}'
        (folder / name).write_bytes(data)
        expected[name] = what
    return expected
