"""Crops of undecoded images against crops of decoded ones."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from restorekit.files import lazy_image
from restorekit.files.image_header import read_header
from restorekit.files.image_io import ImageFileError, decode_image, read_image, write_image
from restorekit.files.lazy_image import LazyJpeg, open_image


def photo(height, width):
    generator = np.random.default_rng(0)
    coarse = cv2.resize(generator.integers(0, 256, (5, 7, 3), dtype=np.uint8), (width, height),
                        interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + generator.normal(0, 9, coarse.shape), 0, 255).astype(np.uint8)


def jpeg(height=95, width=131, **options):
    stream = io.BytesIO()
    Image.fromarray(photo(height, width)).save(stream, 'JPEG', **options)
    return stream.getvalue()


@pytest.fixture
def rows_decoded(monkeypatch):
    """Heights the fast decoder was asked for."""
    decoder = pytest.importorskip('simplejpeg').decode_jpeg
    heights = []

    def decode(data, *args, **kwargs):
        heights.append(read_header(data).height)
        return decoder(data, *args, **kwargs)
    monkeypatch.setattr(lazy_image, '_jpeg_decoder', lambda: decode)
    return heights


KINDS = [dict(quality=95, subsampling=0), dict(quality=90, subsampling=1), dict(quality=75, subsampling=2),
         dict(quality=20, subsampling=2, optimize=True), dict(quality=80, restart_marker_blocks=3),
         dict(quality=90, progressive=True)]


@pytest.mark.parametrize('options', KINDS)
def test_every_window_has_the_pixels_of_opencv(options, capfd, rows_decoded):
    data = jpeg(**options)
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    image = LazyJpeg(data, 'a', read_header(data)) if not options.get('progressive') else decode_image(data, 'a')
    assert image.shape == whole.shape and image.dtype == np.uint8 and image.ndim == 3

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(st.integers(-100, 100), st.integers(-100, 100), st.integers(0, 130))
    def check(start, stop, left):
        assert np.array_equal(image[start:stop, left:left + 32], whole[start:stop, left:left + 32])
    check()
    for stop in range(1, 96):
        assert np.array_equal(image[:stop], whole[:stop])
    for key in (3, slice(None, None, -1), slice(5, 90, 7), (slice(None), slice(None, None, -1)), (..., 0)):
        assert np.array_equal(image[key], whole[key])
    assert np.array_equal(np.asarray(image), whole) and np.array_equal(np.rot90(image), np.rot90(whole))
    assert capfd.readouterr().err == ''  # the bytes left over are not complained of
    assert bool(rows_decoded) == (not options.get('progressive'))


def test_only_the_rows_needed_are_decoded(tmp_path, rows_decoded):
    write_image(tmp_path / 'a.jpg', photo(400, 64))
    crop = open_image(tmp_path / 'a.jpg')[40:72, 8:40]
    assert rows_decoded == [74] and np.array_equal(crop, read_image(tmp_path / 'a.jpg')[40:72, 8:40])


@pytest.mark.parametrize('case', ['png', 'grey', 'progressive', 'turned', 'not installed'])
def test_everything_else_is_decoded_at_once(tmp_path, monkeypatch, case):
    monkeypatch.setattr(lazy_image, '_jpeg_decoder',
                        lambda: None if case == 'not installed' else lambda *_, **__: pytest.fail('not for this file'))
    exif = Image.Exif()
    exif[274] = 3
    image, path = Image.fromarray(photo(40, 50)), tmp_path / 'a.jpg'
    image.convert('L' if case == 'grey' else 'RGB').save(
        path, 'PNG' if case == 'png' else 'JPEG', **{'progressive': dict(progressive=True), 'turned': dict(exif=exif)}
        .get(case, {}))
    opened = open_image(path)
    assert isinstance(opened, np.ndarray) and np.array_equal(opened, read_image(path))


def test_faults_of_the_file(tmp_path, monkeypatch, rows_decoded):
    data = jpeg(300, 300)
    (tmp_path / 'cut.jpg').write_bytes(data[:len(data) // 2])
    with pytest.raises(ImageFileError, match='cut.jpg is truncated'):
        open_image(tmp_path / 'cut.jpg')
    (tmp_path / 'a.jpg').write_bytes(data)
    monkeypatch.setenv('RESTOREKIT_MAX_PIXELS', '10')
    with pytest.raises(ImageFileError, match='a.jpg is 300x300 = 0.1 megapixels'):
        open_image(tmp_path / 'a.jpg')
    monkeypatch.delenv('RESTOREKIT_MAX_PIXELS')
    (tmp_path / 'b.jpg').write_bytes(data.replace(b'\xff\xdb', b'\xff\xfe'))  # comments, and no quantisation table
    image = open_image(tmp_path / 'b.jpg')
    with pytest.raises(ImageFileError, match='b.jpg .* is damaged'):
        image[:20]
    with pytest.raises(FileNotFoundError, match='no image file'):
        open_image(tmp_path / 'c.jpg')
