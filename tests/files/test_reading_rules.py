"""Files of real people: floats of any range, JPEG files without an end, odd TIFFs, files of a million parts."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from restorekit.datasets import PairedDataset, SingleDataset
from restorekit.files.image_io import IMAGE_SUFFIXES, ImageFileError, decode_image, read_image, unit_scale, write_image
from restorekit.files.jpeg import is_complete_jpeg

RGB = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8), (48, 40),
                 interpolation=cv2.INTER_LINEAR)


def encode(suffix, image=RGB, *options):
    if suffix == '.tif':  # OpenCV 4 rounds floats to LogLuv unless told
        options = (cv2.IMWRITE_TIFF_COMPRESSION, 1, *options)
    return cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]), list(options))[1].tobytes()


@pytest.mark.parametrize('scale', [1 / 255, 1, 257], ids=['0..1', '0..255', '0..65535'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_floats_of_any_range_are_read_by_one_rule(scale, dtype):
    image = RGB.astype(dtype) * dtype(scale)
    assert unit_scale(image) == {1 / 255: 1, 1: 255, 257: 65535}[scale]
    assert np.array_equal(decode_image(encode('.tif', image), 'float.tif'), RGB)


@pytest.mark.parametrize(('value', 'words'), [
    (np.nan, 'bad.tif holds NaN or infinite'), (np.inf, 'bad.tif holds NaN or infinite'),
    (-0.1, 'bad.tif holds floats from -0.1'), (1e6, 'they must be in 0 to 1, 0 to 255 or 0 to 65535')])
def test_floats_that_are_no_image_are_refused_in_training_too(tmp_path, value, words, make_images):
    image = RGB.astype(np.float32) / 255
    image[3, 4, 1] = value
    (tmp_path / 'hazy').mkdir()
    (tmp_path / 'hazy/bad.tif').write_bytes(encode('.tif', image))
    for kind in ('hazy', 'clear'):
        make_images(tmp_path / kind, ['good.png'], size=RGB.shape[:2])
    make_images(tmp_path / 'clear', ['bad.png'], size=RGB.shape[:2])
    with pytest.raises(ImageFileError, match=words):
        read_image(tmp_path / 'hazy/bad.tif')
    with pytest.raises(ImageFileError, match=words):
        PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'))[0]
    skipping = PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), on_error='skip')
    assert skipping[0]['data_samples'].broken and skipping.broken() == [f'{tmp_path}/hazy/bad.tif']


KINDS = {'sequential': (), 'progressive': (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
         'restarts': (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)}


@pytest.mark.parametrize('kind', KINDS)
def test_a_jpeg_without_its_end_marker_is_read_with_a_warning(tmp_path, kind, caplog, monkeypatch):
    pytest.importorskip('simplejpeg')
    whole = encode('.jpg', RGB, *KINDS[kind])
    (tmp_path / 'a.jpg').write_bytes(whole[:-2])
    said = []
    monkeypatch.setattr('restorekit.files.image_io.log', said.append)
    assert np.array_equal(read_image(tmp_path / 'a.jpg'), decode_image(whole, 'whole'))
    assert said == [f'{tmp_path}/a.jpg lacks the end marker of a JPEG file; its pixels are all there, so it is read']
    read_image(tmp_path / 'a.jpg')
    assert len(said) == 1
    cropped = SingleDataset(str(tmp_path), pipeline=[dict(type='CenterCrop', size=16)])[0]['inputs'].numpy()
    assert np.array_equal(cropped.transpose(1, 2, 0), decode_image(whole, 'whole')[12:28, 16:32])


@pytest.mark.parametrize('kind', KINDS)
def test_a_jpeg_without_its_last_pixels_is_refused(kind):
    pytest.importorskip('simplejpeg')
    whole = encode('.jpg', RGB, *KINDS[kind])
    for cut in (3, 4, 10, 60, len(whole) // 2):
        with pytest.raises(ImageFileError, match='is truncated'):
            decode_image(whole[:-cut], 'cut.jpg')


def test_a_progressive_jpeg_without_its_last_scan_is_refused():
    pytest.importorskip('simplejpeg')
    whole = encode('.jpg', RGB, *KINDS['progressive'])
    starts = [at for at in range(len(whole)) if whole[at:at + 2] == b'\xff\xda']
    assert len(starts) > 3 and is_complete_jpeg(whole) and is_complete_jpeg(whole[:-2])
    for start in starts[1:]:  # the scans before are whole
        tables = whole.rfind(b'\xff\xc4', 0, start)
        for end in (start, tables):
            assert not is_complete_jpeg(whole[:end]), start
    for damaged in (b'', b'\xff\xd8', whole[:20], whole[:starts[0] + 4]):
        assert not is_complete_jpeg(damaged)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('options', [{}, dict(compression='deflate'), dict(photometric='minisblack')],
                         ids=['plain', 'deflate', 'grey'])
def test_tiffs_of_small_tiles_are_read(dtype, options):
    tifffile = pytest.importorskip('tifffile')
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    grey = options.get('photometric') == 'minisblack'
    image = (RGB[..., 0] if grey else RGB) * dtype(scale)
    file = io.BytesIO()
    tifffile.imwrite(file, image.astype(dtype), tile=(16, 16), **{'photometric': 'rgb', **options})
    expected = np.repeat(RGB[..., :1], 3, axis=2) if grey else RGB
    assert np.array_equal(decode_image(file.getvalue(), 'tiles.tif'), expected)


def test_the_fourth_ink_of_a_tiff_is_no_alpha():
    file = io.BytesIO()
    Image.fromarray(RGB).convert('CMYK').save(file, 'TIFF')
    image, alpha = decode_image(file.getvalue(), 'inks.tif', keep_alpha=True)
    assert alpha is None and np.array_equal(image, RGB)


@pytest.mark.parametrize('strength', [0, 128])
@pytest.mark.parametrize('kind', ['TIFF', 'PNG', 'WebP'])
def test_colours_under_alpha_are_taken_as_stored(kind, strength):
    alpha = np.full(RGB.shape[:2], strength, np.uint8)
    file, options = io.BytesIO(), dict(lossless=True, exact=True) if kind == 'WebP' else {}
    Image.fromarray(np.dstack([RGB, alpha])).save(file, kind, **options)
    image, seen = decode_image(file.getvalue(), 'alpha', keep_alpha=True)
    assert np.array_equal(image, RGB) and np.array_equal(seen, alpha)
    assert np.array_equal(decode_image(file.getvalue(), 'alpha'), RGB)


@pytest.mark.parametrize('suffix', ['.jfif', '.jpe', '.JPG'])
def test_jpeg_has_four_suffixes(tmp_path, suffix):
    write_image(tmp_path / f'a{suffix}', RGB)
    assert (tmp_path / f'a{suffix}').read_bytes() == encode('.jpg', RGB, cv2.IMWRITE_JPEG_QUALITY, 95)
    assert len(SingleDataset(str(tmp_path))) == 1 and suffix.lower() in IMAGE_SUFFIXES


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def crowded(kind):
    """A file of about a million parts."""
    many = 10 ** 6
    if kind in ('PNG text', 'PNG data'):
        whole = encode('.png')
        return whole[:33] + (chunk(b'tEXt', b'a\0b') if kind == 'PNG text' else chunk(b'IDAT', b'')) * many + whole[33:]
    if kind == 'JPEG comments':
        whole = encode('.jpg')
        return whole[:2] + b'\xff\xfe\0\3x' * many + whole[2:]
    if kind == 'JPEG scans':
        whole = encode('.jpg', RGB, *KINDS['progressive'])
        last = whole.rfind(b'\xff\xda')
        return whole[:-2] + whole[last:-2] * 2000 + whole[-2:]
    if kind == 'WebP chunks':
        body = encode('.webp')[8:] + (b'ABCD' + bytes(4)) * many
        return b'RIFF' + struct.pack('<I', len(body)) + body
    if kind == 'TIFF pages':
        return b'II*\0\x08\0\0\0' + b''.join(struct.pack('<HI', 0, 14 + 6 * k) for k in range(many))
    assert kind == 'TIFF tags'
    return b'II+\0\x08\0\0\0' + struct.pack('<QQ', 16, 2 ** 40) + bytes(20 * many)


@pytest.mark.parametrize('kind', ['PNG text', 'PNG data', 'JPEG comments', 'JPEG scans', 'WebP chunks', 'TIFF pages',
                                  'TIFF tags'])
def test_a_file_of_a_million_parts_is_refused_undecoded(kind, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *args: pytest.fail('it was decoded'))
    with pytest.raises(ImageFileError, match='of so many parts'):
        decode_image(crowded(kind), 'crowded')


def test_some_thousand_parts_are_no_crowd():
    whole = encode('.png')
    assert np.array_equal(decode_image(whole[:33] + chunk(b'tEXt', b'a\0b') * 9000 + whole[33:], 'text.png'), RGB)
