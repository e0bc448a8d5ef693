import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from restorekit.files import image_io
from restorekit.files.image_io import ImageFileError, decode_image, read_image, write_image

RGB = np.random.default_rng(0).integers(0, 256, (9, 13, 3), dtype=np.uint8)


def test_png_round_trip_in_rgb(tmp_path):
    write_image(tmp_path / 'sub' / 'ä.png', RGB)
    assert np.array_equal(read_image(tmp_path / 'sub' / 'ä.png'), RGB)
    assert np.array_equal(cv2.imdecode(np.fromfile(tmp_path / 'sub' / 'ä.png', np.uint8), 1)[..., ::-1], RGB)


def test_grey_becomes_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / 'g.png'), RGB[..., 0])
    assert np.array_equal(read_image(tmp_path / 'g.png'), np.repeat(RGB[..., :1], 3, 2))


def test_16_bits_become_8(tmp_path):
    values = np.array([[0, 128, 129, 257, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / 'd.png'), values)
    assert read_image(tmp_path / 'd.png')[0, :, 0].tolist() == [0, 0, 1, 1, 255]


def test_alpha_is_dropped_or_returned(tmp_path):
    alpha = RGB[..., 0]
    write_image(tmp_path / 'a.png', RGB, alpha)
    assert np.array_equal(read_image(tmp_path / 'a.png'), RGB)
    image, kept = read_image(tmp_path / 'a.png', keep_alpha=True)
    assert np.array_equal(image, RGB) and np.array_equal(kept, alpha)
    write_image(tmp_path / 'b.png', RGB)
    assert read_image(tmp_path / 'b.png', keep_alpha=True)[1] is None


def test_palette_becomes_rgb(tmp_path):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', 2, 1, 8, 3, 0, 0, 0)
    data = (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'PLTE', bytes([10, 20, 30, 200, 100, 50]))
            + chunk(b'IDAT', zlib.compress(b'\x00\x01\x00')) + chunk(b'IEND', b''))
    (tmp_path / 'p.png').write_bytes(data)
    assert read_image(tmp_path / 'p.png').tolist() == [[[200, 100, 50], [10, 20, 30]]]


def test_content_decides_not_the_suffix(tmp_path):
    write_image(tmp_path / 'x.png', RGB)
    (tmp_path / 'x.png').rename(tmp_path / 'x.jpg')
    assert np.array_equal(read_image(tmp_path / 'x.jpg'), RGB)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_truncated_is_an_error(tmp_path, suffix):
    big = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    write_image(tmp_path / f'whole{suffix}', big)
    data = (tmp_path / f'whole{suffix}').read_bytes()
    (tmp_path / f'cut{suffix}').write_bytes(data[:len(data) // 2])
    with pytest.raises(ImageFileError, match='cut.* is truncated'):
        read_image(tmp_path / f'cut{suffix}')


def test_empty_and_foreign_files(tmp_path):
    (tmp_path / 'zero.png').write_bytes(b'')
    with pytest.raises(ImageFileError, match='zero.png is empty'):
        read_image(tmp_path / 'zero.png')
    (tmp_path / 'text.jpg').write_text('not an image')
    with pytest.raises(ImageFileError, match="text.jpg .* starts with b'not an i'"):
        read_image(tmp_path / 'text.jpg')
    with pytest.raises(FileNotFoundError, match='it is a folder'):
        read_image(tmp_path)


def test_failed_write_leaves_the_old_file(tmp_path):
    write_image(tmp_path / 'a.png', RGB)
    with pytest.raises(ValueError, match="suffix '.xyz' is not one of"):
        write_image(tmp_path / 'a.xyz', RGB)
    with pytest.raises((cv2.error, ValueError)):
        write_image(tmp_path / 'a.png', np.zeros((0, 4, 3), np.uint8))
    assert np.array_equal(read_image(tmp_path / 'a.png'), RGB)
    assert [p.name for p in tmp_path.iterdir()] == ['a.png']


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_a_film_behind_the_photo_does_no_harm_and_a_thumbnail_hides_no_cut(tmp_path, suffix):
    big = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    write_image(tmp_path / f'a{suffix}', big)
    data = (tmp_path / f'a{suffix}').read_bytes()
    expected = read_image(tmp_path / f'a{suffix}')
    (tmp_path / f'b{suffix}').write_bytes(data + b'film' * 5000)
    assert np.array_equal(read_image(tmp_path / f'b{suffix}'), expected)
    if suffix == '.jpg':
        thumbnail = b'Exif\x00\x00' + b'\xff\xd8 a small picture \xff\xd9'
        segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
        (tmp_path / 'c.jpg').write_bytes(data[:2] + segment + data[2:])
        assert np.array_equal(read_image(tmp_path / 'c.jpg'), expected)
        (tmp_path / 'd.jpg').write_bytes(data[:2] + segment + data[2:-2000])
        with pytest.raises(ImageFileError, match='d.jpg is truncated'):
            read_image(tmp_path / 'd.jpg')


def test_an_image_too_large_to_decode_is_named(tmp_path):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)
    (tmp_path / 'huge.png').write_bytes(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
                                        + chunk(b'IDAT', zlib.compress(b'\x00' * 100)) + chunk(b'IEND', b''))
    with pytest.raises(ImageFileError, match='huge.png'):
        read_image(tmp_path / 'huge.png')


def noisy_photo(height=93, width=141):
    """Smooth with noise, so that PNG writers choose every filter and JPEG has all frequencies."""
    generator = np.random.default_rng(0)
    coarse = cv2.resize(generator.integers(0, 256, (5, 7, 3), dtype=np.uint8), (width, height),
                        interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + generator.normal(0, 4, coarse.shape), 0, 255).astype(np.uint8)


def variants():
    photo = noisy_photo()
    for mode in ('RGB', 'L', 'P', 'RGBA', 'LA', '1'):
        for kind in ('PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP'):
            if kind not in ('JPEG', 'BMP') or mode in ('RGB', 'L', '1'):
                yield f'{kind} {mode}', kind, Image.fromarray(photo).convert(mode), {}
    yield 'every filter', 'PNG', Image.fromarray(photo), dict(optimize=True)
    gamma = PngImagePlugin.PngInfo()
    gamma.add(b'gAMA', (100000).to_bytes(4, 'big'))
    yield 'gamma', 'PNG', Image.fromarray(photo), dict(pnginfo=gamma)
    yield 'transparent colour', 'PNG', Image.fromarray(photo), dict(transparency=tuple(photo[3, 4].tolist()))
    for quality, subsampling, progressive in ((95, 0, False), (60, 2, False), (80, 1, True)):
        yield (f'JPEG {subsampling} {progressive}', 'JPEG', Image.fromarray(photo),
               dict(quality=quality, subsampling=subsampling, progressive=progressive))


@pytest.mark.parametrize('fast', [False, True])
def test_every_pixel_is_what_opencv_decodes(monkeypatch, fast):
    if fast:
        pytest.importorskip('kornia_rs')
    else:
        monkeypatch.setattr(image_io, '_png_decoder', lambda: None)
    for name, kind, image, options in variants():
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        plain = cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        decoded = decode_image(stream.getvalue(), name)
        assert np.array_equal(decoded, plain), name
        assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous and decoded.flags.writeable, name
        assert np.array_equal(decode_image(stream.getvalue(), name, keep_alpha=True)[0], plain), name


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_colours_of_16_bits_keep_their_order(suffix):
    deep = noisy_photo().astype(np.uint16) * 257
    data = cv2.imencode(suffix, deep[..., ::-1])[1].tobytes()
    assert np.array_equal(decode_image(data, 'a'), noisy_photo())


@pytest.mark.parametrize('fast', [False, True])
def test_a_damaged_png_is_an_error_with_either_decoder(monkeypatch, fast):
    if fast:
        pytest.importorskip('kornia_rs')
    else:
        monkeypatch.setattr(image_io, '_png_decoder', lambda: None)
    data = bytearray(cv2.imencode('.png', noisy_photo())[1].tobytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ImageFileError, match='a is .*damaged|a .* is damaged'):
        decode_image(bytes(data), 'a')


def test_the_fast_decoder_is_asked_for_plain_rgb_only(monkeypatch):
    asked = []
    monkeypatch.setattr(image_io, '_png_decoder', lambda: lambda data, size, mode: asked.append((size, mode)))
    for name, kind, image, options in variants():
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        decode_image(stream.getvalue(), name)
    assert asked == [((93, 141), 'rgb')] * 3  # RGB, every filter, gamma
