import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

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
    if not alpha:
        assert back.grey == grey
        with Image.open(tmp_path / f'a{suffix}') as stored:
            assert (stored.mode in ('L', 'I;16')) == grey


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
