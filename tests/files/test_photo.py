import struct

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from restorekit.files.image_io import ImageFileError
from restorekit.files.metadata import Metadata
from restorekit.files.photo import Page, Photo, read_photo, to_depth, write_photo

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" photo="lake"/></x:xmpmeta>'
TOPS = {'uint8': 255, 'uint16': 65535, 'float32': 1}


def pixels(dtype=np.uint8, height=9, width=14, channels=3, seed=0):
    top = TOPS[np.dtype(dtype).name]
    values = np.random.default_rng(seed).random((height, width, channels)) * top
    return (values if top == 1 else np.rint(values)).astype(dtype)


def exif(orientation=1):
    made = Image.Exif()
    made[0x0112], made[0x010f], made[0x0132] = orientation, 'Maker', '2020:01:02 03:04:05'
    made.get_ifd(0x8769)[0x829a] = 0.25  # exposure time
    made.get_ifd(0x8825)[1] = 'N'
    return made


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('alpha', [False, True])
@pytest.mark.parametrize('grey', [False, True])
def test_lossless_formats_keep_depth_alpha_and_grey(tmp_path, suffix, dtype, alpha, grey):
    image = pixels(dtype)
    if grey:
        image = np.repeat(image[..., :1], 3, axis=2)
    extra = pixels(dtype, channels=1, seed=1)[..., 0] if alpha else None
    write_photo(tmp_path / f'a{suffix}', Photo([Page(image, extra)], 'PNG', grey=grey))
    back = read_photo(tmp_path / f'a{suffix}')
    assert back.pixels.dtype == dtype and np.array_equal(back.pixels, image)
    assert (back.pages[0].alpha is None) if not alpha else np.array_equal(back.pages[0].alpha, extra)
    if not alpha or dtype == np.uint8:
        assert back.grey == grey
        with Image.open(tmp_path / f'a{suffix}') as stored:
            assert (stored.mode in ('L', 'LA', 'I;16')) == grey


def test_float_tiff_keeps_its_scale(tmp_path):
    image = pixels(np.float32)
    write_photo(tmp_path / 'a.tif', Photo([Page(image)], 'TIFF'))
    assert np.array_equal(read_photo(tmp_path / 'a.tif').pixels, image)
    assert np.array_equal(cv2.imread(str(tmp_path / 'a.tif'), cv2.IMREAD_UNCHANGED)[..., ::-1], image)


@pytest.mark.parametrize('suffix', ['.jpg', '.webp', '.avif', '.bmp'])
def test_lossy_formats_are_close(tmp_path, suffix):
    image = cv2.resize(pixels(), (64, 48), interpolation=cv2.INTER_LINEAR)
    write_photo(tmp_path / f'a{suffix}', Photo([Page(image)], 'PNG'), quality=95)
    difference = np.abs(read_photo(tmp_path / f'a{suffix}').pixels.astype(int) - image)
    assert difference.mean() < (1 if suffix == '.bmp' else 9)


@pytest.mark.parametrize('source', ['jpg', 'png', 'webp', 'tif', 'avif'])
@pytest.mark.parametrize('target', ['jpg', 'png', 'webp', 'tif', 'avif'])
def test_metadata_travel_from_format_to_format(tmp_path, source, target):
    options = dict(xmp=XMP) if source in ('jpg', 'webp', 'avif') else {}
    if source == 'tif':  # Pillow writes no exposure time into TIFF
        metadata = Metadata(icc=PROFILE, exif=exif(1).tobytes().removeprefix(b'Exif\0\0'))
        write_photo(tmp_path / 'a.tif', Photo([Page(pixels())], 'TIFF', metadata=metadata))
    else:
        Image.fromarray(pixels()).save(tmp_path / f'a.{source}', exif=exif(1), icc_profile=PROFILE, **options)
    photo = read_photo(tmp_path / f'a.{source}')
    write_photo(tmp_path / f'b.{target}', photo)
    with Image.open(tmp_path / f'b.{target}') as image:
        assert image.info['icc_profile'] == PROFILE
        kept = image.getexif()
        assert kept[0x010f] == 'Maker' and kept[0x0132] == '2020:01:02 03:04:05'
        assert kept.get_ifd(0x8769)[0x829a] == 0.25 and kept.get_ifd(0x8825)[1] == 'N'
    if options:
        found = read_photo(tmp_path / f'b.{target}').metadata.xmp
        assert b'photo="lake"' in found and b'tiff:Orientation="1"' in found


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif', 'avif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_is_applied_once(tmp_path, suffix, orientation):
    image = np.zeros((40, 64, 3), np.uint8)
    image[:20, :32] = 250
    from PIL import ImageOps
    tagged = Image.fromarray(image)
    tagged.getexif()[0x0112] = orientation
    upright = np.array(ImageOps.exif_transpose(tagged))
    tagged.save(tmp_path / f'a.{suffix}', exif=exif(orientation))
    photo = read_photo(tmp_path / f'a.{suffix}')
    assert photo.pixels.shape == upright.shape and np.abs(photo.pixels.astype(int) - upright).mean() < 12
    write_photo(tmp_path / f'b.{suffix}', photo)
    with Image.open(tmp_path / f'b.{suffix}') as written:
        assert written.getexif().get(0x0112, 1) == 1
    assert np.abs(read_photo(tmp_path / f'b.{suffix}').pixels.astype(int) - upright).mean() < 12


def test_the_thumbnail_of_the_old_picture_is_dropped():
    from restorekit.files.metadata import _upright
    made = exif(6).tobytes()
    with_thumbnail = bytearray(made.removeprefix(b'Exif\0\0'))
    start = int.from_bytes(with_thumbnail[4:8], 'big' if made[6:8] == b'MM' else 'little')
    count = int.from_bytes(with_thumbnail[start:start + 2], 'big' if made[6:8] == b'MM' else 'little')
    link = start + 2 + 12 * count
    with_thumbnail[link:link + 4] = b'\1\2\3\4'
    assert _upright(bytes(with_thumbnail))[link:link + 4] == b'\0\0\0\0'


@pytest.mark.parametrize(('suffix', 'exact'), [('tif', True), ('png', True), ('webp', False), ('gif', False)])
def test_pages_and_frames_travel(tmp_path, suffix, exact):
    frames = [cv2.resize(pixels(height=3, width=4, seed=i), (32, 24), interpolation=cv2.INTER_LINEAR) for i in range(3)]
    source = Photo([Page(frame, duration=40 * (i + 1)) for i, frame in enumerate(frames)], 'PNG', loop=2)
    write_photo(tmp_path / f'a.{suffix}', source)
    back = read_photo(tmp_path / f'a.{suffix}')
    assert len(back.pages) == 3
    for page, frame in zip(back.pages, frames, strict=True):
        assert np.array_equal(page.pixels, frame) if exact else np.abs(page.pixels.astype(int) - frame).mean() < 12
    if suffix != 'tif':
        assert [page.duration for page in back.pages] == [40, 80, 120]
    with pytest.raises(ValueError, match='JPEG holds one image, but the input has 3 pages'):
        write_photo(tmp_path / 'a.jpg', back)


def test_pages_of_16_bits(tmp_path):
    pages = [Page(pixels(np.uint16, seed=i)) for i in range(2)]
    write_photo(tmp_path / 'a.tif', Photo(pages, 'TIFF'))
    for page, given in zip(read_photo(tmp_path / 'a.tif').pages, pages, strict=True):
        assert np.array_equal(page.pixels, given.pixels)


def test_palette_one_bit_and_cmyk(tmp_path):
    image = Image.fromarray(np.full((8, 8, 3), (200, 30, 30), np.uint8))
    image.convert('P', palette=Image.ADAPTIVE).save(tmp_path / 'p.png')
    image.convert('1').save(tmp_path / 'one.png')
    image.convert('CMYK').save(tmp_path / 'c.jpg', quality=100)
    image.convert('CMYK').save(tmp_path / 'c.tif')
    assert np.abs(read_photo(tmp_path / 'p.png').pixels.astype(int) - (200, 30, 30)).max() <= 8
    one = read_photo(tmp_path / 'one.png')
    assert one.grey and set(np.unique(one.pixels)) <= {0, 255}
    for name in ('c.jpg', 'c.tif'):
        cmyk = read_photo(tmp_path / name)
        assert np.abs(cmyk.pixels.astype(int) - (200, 30, 30)).max() <= 8 and cmyk.pages[0].alpha is None


def test_big_sides_that_a_format_cannot_hold_are_refused(tmp_path):
    wide = Photo([Page(np.zeros((1, 16384, 3), np.uint8))], 'PNG')
    with pytest.raises(ValueError, match='WebP holds at most 16383 pixels a side, but the image is 16384x1'):
        write_photo(tmp_path / 'a.webp', wide)
    write_photo(tmp_path / 'a.png', wide)


def test_the_limit_of_pixels_is_the_callers(tmp_path):
    write_photo(tmp_path / 'a.png', Photo([Page(pixels(height=20, width=20))], 'PNG'))
    with pytest.raises(ImageFileError, match='a.png is 20x20'):
        read_photo(tmp_path / 'a.png', max_pixels=399)
    assert read_photo(tmp_path / 'a.png', max_pixels=400).pixels.shape == (20, 20, 3)


def test_depths_convert_by_their_ranges():
    assert to_depth(np.array([0, 257, 65535], np.uint16), np.uint8).tolist() == [0, 1, 255]
    assert to_depth(np.array([1, 255], np.uint8), np.uint16).tolist() == [257, 65535]
    assert to_depth(np.array([-1, 0.5, 2], np.float32), np.uint16).tolist() == [0, 32768, 65535]
    assert to_depth(np.array([255], np.uint8), np.float32).tolist() == [1]


def test_heic(tmp_path):
    pytest.importorskip('pillow_heif')
    image = cv2.resize(pixels(), (64, 48), interpolation=cv2.INTER_LINEAR)
    write_photo(tmp_path / 'a.heic', Photo([Page(image)], 'PNG', metadata=Metadata(icc=PROFILE)))
    back = read_photo(tmp_path / 'a.heic')
    assert back.kind == 'HEIC' and np.abs(back.pixels.astype(int) - image).mean() < 9 and back.metadata.icc == PROFILE


def plain_tiff(*pages, photometric=2, planes=1, extra=None, more=()):
    """An uncompressed TIFF of (H, W, C) arrays as other programs write them; ``more``: (tag, bytes)."""
    data, link = bytearray(b'II*\0\0\0\0\0'), 4
    for page in pages:
        height, width, channels = page.shape
        kind = dict(u=1, i=2, f=3)[page.dtype.kind]
        content = np.moveaxis(page, 2, 0) if planes == 2 else page
        offset, size = len(data), page.nbytes // (channels if planes == 2 else 1)
        data += content.tobytes()
        tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8 * page.itemsize] * channels), 259: (3, [1]),
                262: (3, [photometric]), 277: (3, [channels]), 278: (4, [height]), 284: (3, [planes]),
                273: (4, [offset + i * size for i in range(channels if planes == 2 else 1)]),
                279: (4, [size] * (channels if planes == 2 else 1)), 339: (3, [kind] * channels)}
        if extra is not None:
            tags[338] = (3, [extra])
        tags |= {tag: (7, value) for tag, value in more}
        entries = b''
        for tag, (code, values) in sorted(tags.items()):
            raw = values if code == 7 else np.array(values, {3: '<u2', 4: '<u4'}[code]).tobytes()
            if len(raw) > 4:
                entries += struct.pack('<HHII', tag, code, len(values), len(data))
                data += raw + b'\0' * (len(raw) % 2)
            else:
                entries += struct.pack('<HHI', tag, code, len(values)) + raw.ljust(4, b'\0')
        struct.pack_into('<I', data, link, len(data))
        data += struct.pack('<H', len(tags)) + entries + bytes(4)
        link = len(data) - 4
    return bytes(data)


def test_tiff_as_other_programs_write_it(tmp_path):
    path, rng = tmp_path / 'a.tif', np.random.default_rng(0)
    deep = rng.integers(1, 65536, (9, 7, 3), dtype=np.uint16)

    def read(*pages, **options):
        path.write_bytes(plain_tiff(*pages, **options))
        return read_photo(path)
    assert np.array_equal(read(deep).pixels, deep)
    grey = read(65535 - deep[..., :1], photometric=0)
    assert grey.grey and np.array_equal(grey.pixels[..., 1], deep[..., 0]), 'where 0 is white'
    alpha = np.full((9, 7, 1), 16384, np.uint16)
    colours = (deep // 4 // 4 * 4 * 1.0).astype(np.uint16)
    photo = read(np.dstack([colours, alpha]), extra=1)
    assert np.abs(photo.pixels - colours * (65535 / 16384)).max() <= 1, 'colours are multiplied by alpha'
    assert np.array_equal(photo.pages[0].alpha, alpha[..., 0])
    assert np.array_equal(read(np.dstack([colours, alpha]), extra=2).pixels, colours)
    double = read(deep / 65535.)
    assert double.pixels.dtype == np.float32 and np.abs(double.pixels - deep / 65535.).max() < 1e-6
    floats = (deep / 65535).astype(np.float32)
    pages = read(floats, floats[::-1])
    assert len(pages.pages) == 2 and np.array_equal(pages.pages[1].pixels, floats[::-1])
    found = read(floats, more=[(34675, PROFILE), (700, b'<x:xmpmeta/>')]).metadata
    assert found.icc == PROFILE and found.xmp == b'<x:xmpmeta/>', 'Pillow does not open it'
    for refused, options, words in ((deep.astype(np.int16), {}, 'numbers of type int16'),
                                    (deep, dict(planes=2), 'separate planes')):
        with pytest.raises(ImageFileError, match=words):
            read(refused, **options)
    assert np.array_equal(read((deep // 257).astype(np.uint8), planes=2).pixels, (deep // 257).astype(np.uint8))


@pytest.mark.parametrize('top', [1, 255, 65535])
def test_floats_of_every_scale_become_whole_numbers(tmp_path, top):
    image = pixels(np.float32)
    write_photo(tmp_path / 'a.png', Photo([Page(image * np.float32(top))], 'TIFF'))
    assert np.abs(read_photo(tmp_path / 'a.png').pixels / 65535 - image).max() < 1e-4


def test_a_page_of_a_tiff_above_the_limit_is_refused(tmp_path):
    small, large = np.ones((4, 4, 3), np.uint16), np.ones((50, 50, 3), np.uint16)
    (tmp_path / 'a.tif').write_bytes(plain_tiff(small, large))
    with pytest.raises(ImageFileError, match='50x50'):
        read_photo(tmp_path / 'a.tif', max_pixels=100)


def test_avif_keeps_its_frames(tmp_path):
    frames = [np.full((16, 24, 3), value, np.uint8) for value in (40, 120, 200)]
    write_photo(tmp_path / 'a.avif', Photo([Page(frame, None, 80) for frame in frames], 'AVIF'))
    photo = read_photo(tmp_path / 'a.avif')
    assert [round(float(page.pixels.mean())) for page in photo.pages] == pytest.approx([40, 120, 200], abs=2)
    assert [page.duration for page in photo.pages] == [80, 80, 80]


def test_a_transparent_grey_of_a_png_is_alpha(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / 'a.png', transparency=9)
    photo = read_photo(tmp_path / 'a.png')
    assert photo.grey and photo.pages[0].alpha[1, 1] == 0 and (photo.pages[0].alpha == 255).sum() == 63


def test_what_a_png_says_of_its_numbers_is_kept(tmp_path):
    info = PngInfo()
    info.add(b'gAMA', struct.pack('>I', 100000))
    info.add(b'cICP', bytes((9, 16, 0, 1)))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / 'a.png', pnginfo=info)
    photo = read_photo(tmp_path / 'a.png')
    write_photo(tmp_path / 'b.png', photo)
    data = (tmp_path / 'b.png').read_bytes()
    assert b'gAMA' + struct.pack('>I', 100000) in data
    assert data.index(b'cICP' + bytes((9, 16, 0, 1))) < data.index(b'IDAT')
    assert np.array_equal(read_photo(tmp_path / 'b.png').pixels, photo.pixels)
