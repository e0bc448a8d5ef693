"""Headers, sizes, frames and the limit of pixels, against Pillow's writers and OpenCV's decoder."""

import io
import struct
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from restorekit.files import image_io
from restorekit.files.image_header import read_header
from restorekit.files.image_io import ImageFileError, decode_image, image_size, read_image, write_image

RGB = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
FORMATS = ('PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP', 'GIF')


def encoded(kind, image=RGB, frames=1, **options):
    stream = io.BytesIO()
    if frames > 1:
        options.update(save_all=True, append_images=[Image.fromarray(np.roll(image, i, 0)) for i in range(1, frames)])
    Image.fromarray(image).save(stream, kind, **options)
    return stream.getvalue()


def oriented(kind, orientation, image=RGB):
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(kind, image, exif=exif)


TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
         5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
         8: Image.Transpose.ROTATE_90}


def turned(image, orientation):
    """``image`` as Pillow shows it."""
    return image if orientation == 1 else np.array(Image.fromarray(image).transpose(TURNS[orientation]))


def png(width, height, row, depth=1, colours=0):
    """A PNG of equal rows: small, however large the image."""
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    packer = zlib.compressobj(1)
    body = b''.join(packer.compress(b'\0' + row) for _ in range(height)) + packer.flush()
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colours, 0, 0, 0))
            + chunk(b'IDAT', body) + chunk(b'IEND', b''))


@pytest.mark.parametrize('kind', FORMATS)
@pytest.mark.parametrize('shape', [(1, 1, 3), (20, 31, 3), (20, 31)])
def test_size_is_that_of_the_decoded_image(tmp_path, kind, shape):
    path = tmp_path / 'ä.png'
    path.write_bytes(encoded(kind, np.resize(RGB, shape)))
    assert image_size(path) == shape[:2]
    if kind != 'GIF':  # not in every build of OpenCV
        assert read_image(path).shape[:2] == shape[:2]
    header = read_header(path.read_bytes())
    assert (header.kind.upper(), header.frames, header.whole) == (kind, 1, True)


@pytest.mark.parametrize(('name', 'dtype'), [
    ('a.bmp', np.uint8), ('a.webp', np.uint8), ('a.jpg', np.uint8), ('a.png', np.uint8), ('a.png', np.uint16),
    ('a.tiff', np.uint8), ('a.tiff', np.uint16), ('a.tiff', np.float32)])
def test_what_opencv_writes(tmp_path, name, dtype):
    options = [cv2.IMWRITE_TIFF_COMPRESSION, 1] if dtype is np.float32 else []  # OpenCV 4 rounds to LogLuv unless told
    assert cv2.imwrite(str(tmp_path / name), np.resize(RGB, (70, 90, 3)).astype(dtype), options)
    assert image_size(tmp_path / name) == (70, 90) == read_image(tmp_path / name).shape[:2]


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation(tmp_path, kind, orientation):
    path = tmp_path / 'a'
    path.write_bytes(oriented(kind, orientation))
    expected = turned(decode_image(encoded(kind), 'a'), orientation)
    assert image_size(path) == expected.shape[:2] == ((31, 20) if orientation > 4 else (20, 31))
    if kind == 'JPEG':
        assert np.array_equal(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)[..., ::-1], expected)
    assert np.array_equal(read_image(path), expected)


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_alpha_is_turned_with_its_image(kind, orientation):
    rgba = np.dstack([RGB, RGB[..., 0]])
    rgba[..., :3] = RGB[..., :1]  # the alpha equals each colour, however both are turned
    options = dict(lossless=True, exact=True) if kind == 'WEBP' else {}
    exif = Image.Exif()
    exif[274] = orientation
    image, alpha = decode_image(encoded(kind, rgba, exif=exif, **options), 'a', keep_alpha=True)
    if kind == 'TIFF':  # OpenCV multiplies the colours of a TIFF with its alpha
        assert alpha.shape == image.shape[:2]
        image = turned(rgba[..., 3:].repeat(3, 2), orientation)
    assert np.array_equal(image[..., 0], alpha)


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF', 'GIF'])
def test_several_frames_are_refused_and_counted(tmp_path, kind):
    path = tmp_path / 'film.png'
    path.write_bytes(encoded(kind, frames=3))
    for read in (read_image, image_size):
        with pytest.raises(ImageFileError, match=r'film.png is a \w+ file of 3 frames, .* extract its frames'):
            read(path)


def test_a_preview_in_a_tiff_is_no_second_frame():
    stream = io.BytesIO()
    preview = Image.fromarray(RGB[::4, ::4])
    preview.encoderinfo = dict(tiffinfo={254: 1})
    Image.fromarray(RGB).save(stream, 'TIFF', save_all=True, append_images=[preview])
    assert Image.open(stream).n_frames == 2 and read_header(stream.getvalue()).frames == 1
    assert np.array_equal(decode_image(stream.getvalue(), 'a'), RGB)


@pytest.mark.parametrize('kind', FORMATS)
def test_any_cut_is_a_clear_error(tmp_path, kind):
    data = encoded(kind)
    for length in (*range(1, 60), len(data) // 2, len(data) - 15):
        (tmp_path / 'cut').write_bytes(data[:length])
        with pytest.raises(ImageFileError, match='cut.*(truncated|damaged)'):
            read_image(tmp_path / 'cut')
        try:
            assert image_size(tmp_path / 'cut') == (20, 31)  # the header is whole
        except ImageFileError as error:
            assert 'damaged' in str(error)


def test_100_megapixels_are_refused_before_anything_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / 'bomb.png'
    path.write_bytes(png(10000, 10000, bytes(1250)))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    tracemalloc.start()
    try:
        with pytest.raises(ImageFileError, match=r'bomb.png is 10000x10000 = 100.0 megapixels, more than the limit of '
                                                 r'67.1 .* RESTOREKIT_MAX_PIXELS=100000000'):
            read_image(path)
        assert image_size(path) == (10000, 10000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_environment_sets_the_limit(tmp_path, monkeypatch):
    write_image(tmp_path / 'a.png', RGB)
    monkeypatch.setenv('RESTOREKIT_MAX_PIXELS', '619')
    with pytest.raises(ImageFileError, match='set the environment variable RESTOREKIT_MAX_PIXELS=620'):
        read_image(tmp_path / 'a.png')
    monkeypatch.setenv('RESTOREKIT_MAX_PIXELS', '620')
    assert np.array_equal(read_image(tmp_path / 'a.png'), RGB)
    monkeypatch.delenv('RESTOREKIT_MAX_PIXELS')
    monkeypatch.setattr(image_io, 'MAX_PIXELS', 5)
    with pytest.raises(ImageFileError, match='megapixels'):
        read_image(tmp_path / 'a.png')
    for wrong in ('', '0', '-1', '1e9', 'all'):
        monkeypatch.setenv('RESTOREKIT_MAX_PIXELS', wrong)
        with pytest.raises(ValueError, match=f'must be a whole number of pixels, at least 1, but got {wrong!r}'):
            read_image(tmp_path / 'a.png')


def test_stores_of_mmengine(tmp_path):
    lmdb = pytest.importorskip('lmdb')
    write_image(tmp_path / 'a.png', RGB)
    with lmdb.open(str(tmp_path / 'x.lmdb')) as store, store.begin(write=True) as changes:
        changes.put(b'sub/a.png', (tmp_path / 'a.png').read_bytes())
    backend = dict(backend='lmdb', db_path=str(tmp_path / 'x.lmdb'))
    assert np.array_equal(read_image('sub/a.png', backend_args=backend), RGB)
    assert image_size('sub/a.png', backend) == (20, 31)
    with pytest.raises(FileNotFoundError, match='no image sub/b.png in .*x.lmdb'):
        read_image('sub/b.png', backend_args=backend)
    assert np.array_equal(read_image(tmp_path / 'a.png', backend_args=dict(backend='local')), RGB)


def test_files_without_a_size(tmp_path):
    (tmp_path / 'empty').write_bytes(b'')
    (tmp_path / 'text').write_text('BMs are text here, not an image at all')
    (tmp_path / 'tiff').write_bytes(b'II*' + bytes(90))  # of no page
    for name, message in (('empty', 'is empty'), ('tiff', 'damaged TIFF header, which gives no size'),
                          ('text', "starts with b'BMs are '")):
        with pytest.raises(ImageFileError, match=message):
            image_size(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='it is a folder'):
        image_size(tmp_path)


def test_large_fields_of_a_jpeg_are_skipped():
    data = encoded('JPEG', exif=b'Exif\0\0' + b'MM\0*\0\0\0\x08' + b'\0\1\1\x12\0\3\0\0\0\1\0\6\0\0' + bytes(4))
    padded = data[:2] + b'\xff\xe2\xff\xff' + bytes(65533) + b'\xff\xff\xff' + data[2:]  # an ICC profile, padding
    assert read_header(padded).size == (31, 20) and read_header(padded).orientation == 6
    assert decode_image(padded, 'a').shape == (31, 20, 3)


@pytest.mark.parametrize('stray', [b'\x11', b'\x11\xff\0\x22', b'\xff\xff', b'\xff\x01\xff\xd3', bytes(999)])
def test_stray_bytes_in_a_jpeg_hide_no_size(monkeypatch, stray):
    data = oriented('JPEG', 6)
    for marker in (b'\xff\xdb', b'\xff\xc0', b'\xff\xda'):
        at = data.index(marker)
        odd = data[:at] + stray + data[at:]
        assert read_header(odd)[:4] == read_header(data)[:4] == ('JPEG', 20, 31, 6)
        assert np.array_equal(decode_image(odd, 'a'), decode_image(data, 'a'))
    monkeypatch.setattr(image_io, 'MAX_PIXELS', 619)
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    with pytest.raises(ImageFileError, match='31x20|20x31'):
        decode_image(odd, 'a')


@pytest.mark.parametrize('kind', FORMATS)
def test_a_file_whose_header_gives_no_size_is_not_decoded(monkeypatch, kind):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    monkeypatch.setattr(image_io, 'read_header', lambda data: read_header(data)._replace(height=0))
    with pytest.raises(ImageFileError, match='a has a damaged .* header, which gives no size'):
        decode_image(encoded(kind), 'a')


@pytest.mark.parametrize('suffix', ['.ppm', '.jp2', '.avif', '.hdr', '.pfm', '.ras'])
def test_other_formats_are_refused_and_not_decoded(tmp_path, monkeypatch, suffix):
    try:
        cv2.imwrite(str(tmp_path / f'a{suffix}'), RGB.astype(np.float32 if suffix in ('.hdr', '.pfm') else np.uint8))
        (tmp_path / f'a{suffix}').rename(tmp_path / 'a.png')
    except (cv2.error, OSError):
        pytest.skip('this OpenCV does not write it')
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    for read in (read_image, image_size):
        with pytest.raises(ImageFileError, match=r'a.png \(\d+ bytes\) is not a PNG, JPEG, .* starts with .*; convert'):
            read(tmp_path / 'a.png')


def test_of_two_sizes_the_first_counts():
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    twice = encoded('PNG')[:33] + chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0)) + encoded('PNG')[33:]
    assert read_header(twice).size == (20, 31)
    entries = [struct.pack('<HHII', tag, 4, 1, value) for tag, value in ((256, 31), (256, 1), (257, 20), (257, 1))]
    assert read_header(b'II*\0\x08\0\0\0\x04\0' + b''.join(entries) + bytes(4)).size == (20, 31)


@pytest.mark.parametrize('suffix', image_io.IMAGE_SUFFIXES)
@pytest.mark.parametrize('image', [RGB, RGB[..., 0], RGB.astype(np.uint16) * 257], ids=['rgb', 'grey', '16bit'])
def test_every_suffix_is_read(tmp_path, suffix, image):
    if image.dtype == np.uint16 and suffix not in ('.png', '.tif', '.tiff'):
        pytest.skip('8 bits only')
    written = '.jpg' if suffix in image_io.JPEG_SUFFIXES else suffix
    assert cv2.imwrite(str(tmp_path / f'a{written}'), image[..., ::-1] if image.ndim == 3 else image)
    (tmp_path / f'a{written}').rename(tmp_path / f'a{suffix}')
    expected = RGB if image.ndim == 3 else np.repeat(RGB[..., :1], 3, 2)
    decoded = read_image(tmp_path / f'a{suffix}')
    assert np.array_equal(decoded, expected) or suffix in (*image_io.JPEG_SUFFIXES, '.webp')
    assert image_size(tmp_path / f'a{suffix}') == decoded.shape[:2] == (20, 31)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from([*FORMATS, 'BigTIFF', 'EXIF']), st.integers(0, 900), st.binary(max_size=24), st.booleans())
def test_no_damage_breaks_the_reader(kind, at, noise, cut):
    data = DAMAGED[kind]
    header = read_header(data[:at] + noise + (b'' if cut else data[at + len(noise):]))
    assert header is None or (header.height >= 0 and header.width >= 0 and 1 <= header.orientation <= 8)


DAMAGED = {kind: encoded(kind) for kind in FORMATS}
DAMAGED['EXIF'] = oriented('JPEG', 6)
DAMAGED['BigTIFF'] = encoded('TIFF', big_tiff=True)


def test_bigtiff():
    assert DAMAGED['BigTIFF'][2] == 43 and read_header(DAMAGED['BigTIFF']).size == (20, 31)
