import pickle
import tracemalloc

import cv2
import numpy as np
import pytest
import torch

from restorekit.degradations import AtmosphericScattering, ProxyDepth, convert_depth, read_depth
from restorekit.files.image_io import ImageFileError


def test_ground_plane_by_hand():
    proxy = ProxyDepth(horizon=0.25, camera_height=0.25, tilt=0., noise=0., noise_only=0.)
    depth = proxy(torch.full((1, 3, 64, 64), 0.5), [0])[0, 0]
    assert torch.all(depth[:8] > 0.999)
    # half-way down: 0.25 / (0.5 - 0.25 + 0.25)
    assert abs(depth[32, 32] - 0.5) < 0.02 and abs(depth[63, 32] - 0.25) < 0.03
    assert (depth[1:, 32] <= depth[:-1, 32] + 1e-4).all()


def test_proxy_is_a_function_of_seed_and_image():
    image = torch.rand(3, 3, 50, 40)
    depth = ProxyDepth()(image, torch.tensor([1, 2, 3]))
    assert depth.shape == (3, 1, 50, 40) and depth.min() >= 0 and depth.max() <= 1
    assert torch.equal(depth[1:2], ProxyDepth()(image[1:2], [2]))
    assert not torch.equal(depth[1:2], ProxyDepth()(image[1:2], [3]))


def test_proxy_follows_the_edges_of_the_photo():
    image = torch.zeros(1, 3, 64, 64)
    image[..., 30:] = 1
    depth = ProxyDepth(noise_only=1.)(image, [5])[0, 0]
    steps = (depth[:, 1:] - depth[:, :-1]).abs().mean(0)
    assert steps.argmax() == 29


def test_haze_without_depth_uses_the_proxy_of_its_seed():
    image = torch.rand(1, 3, 20, 30)
    operator = AtmosphericScattering()
    hazy, params = operator(image, seeds=[4])
    assert torch.equal(hazy, operator.apply(image, ProxyDepth()(image, params['proxy_seed']), params))


def test_png_and_npy_are_read_alike(tmp_path):
    values = np.array([[0, 1000], [30000, 65535]], np.uint16)
    cv2.imwrite(str(tmp_path / 'd16.png'), values)
    cv2.imwrite(str(tmp_path / 'd8.png'), np.array([[0, 51], [102, 255]], np.uint8))
    cv2.imwrite(str(tmp_path / 'grey.png'), np.full((2, 2, 3), 51, np.uint8))
    np.save(tmp_path / 'd.npy', values.astype(np.float64) / 65535)
    np.testing.assert_allclose(read_depth(tmp_path / 'd16.png'), values / 65535, rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / 'd16.png', scale=65.535), values / 1000, rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / 'd.npy'), values / 65535, rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / 'd8.png'), [[0, 0.2], [0.4, 1]], rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / 'grey.png'), np.full((2, 2), 0.2), rtol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / 'd8.png', inverted=True), [[1, 0.8], [0.6, 0]], atol=1e-6)
    np.testing.assert_allclose(read_depth(tmp_path / 'd8.png', log_base=80., scale=0.0125),
                               [[0.0125, 80 ** 0.2 / 80], [80 ** 0.4 / 80, 1]], rtol=1e-6)
    assert read_depth(tmp_path / 'd8.png').dtype == np.float32


def test_disparity_is_inverted():
    depth = convert_depth(np.array([[2., 7., 12.]]), kind='disparity', near=0.2, scale=3.)
    np.testing.assert_allclose(depth, [[3., 3 * 0.2 / 0.6, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(convert_depth(np.full((2, 2), 5.), kind='disparity'), np.ones((2, 2)))


@pytest.mark.parametrize('values, options, message', [
    (np.array([[np.nan, 1.]]), {}, '1 of 2 values are NaN or infinite'),
    (np.array([[-1., 1.]]), {}, 'must be >= 0, the lowest is -1'),
    (np.zeros((0, 4)), {}, 'not be empty'),
    (np.zeros(4), {}, r'shape \(H,W\)'),
    (np.ones((2, 2)) * 3, {'inverted': True}, 'inverted=True needs values in'),
    (np.ones((2, 2)), {'kind': 'inverse'}, "kind must be one of 'depth', 'disparity'"),
    (np.ones((2, 2)), {'scale': -1}, 'scale'),
    (np.ones((2, 2)), {'log_base': 0.5}, 'log_base'),
])
def test_bad_maps_are_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        convert_depth(values, **options)


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_depth(tmp_path / 'none.png')
    for name, content in [('a.png', b''), ('b.png', b'no image'), ('c.npy', b'no array'), ('d.tiff', b'x')]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            read_depth(tmp_path / name)
    cv2.imwrite(str(tmp_path / 'cut.tif'), np.random.default_rng(0).integers(0, 9, (200, 200)).astype(np.uint16))
    (tmp_path / 'cut.tif').write_bytes((tmp_path / 'cut.tif').read_bytes()[:-900])
    with pytest.raises(ValueError, match='depth map .*cut.tif'):
        read_depth(tmp_path / 'cut.tif')
    cv2.imwrite(str(tmp_path / 'whole.tif'), np.ones((2, 2), np.int32))
    with pytest.raises(ValueError, match='whole.tif must hold 8 or 16 bits or floats, but got int32'):
        read_depth(tmp_path / 'whole.tif')
    with pytest.raises(ValueError, match='d.bmp must be a .png, .tif, .tiff or .npy file'):
        (tmp_path / 'd.bmp').touch()
        read_depth(tmp_path / 'd.bmp')
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[..., 0] = 9
    cv2.imwrite(str(tmp_path / 'colour.png'), colour)
    with pytest.raises(ValueError, match='is a colour image'):
        read_depth(tmp_path / 'colour.png')
    np.save(tmp_path / 'words.npy', np.array(['a']))
    with pytest.raises(ValueError, match='must hold numbers'):
        read_depth(tmp_path / 'words.npy')


@pytest.mark.parametrize('values', [
    np.array([[0, 51, 255]], np.uint8), np.array([[0, 1000, 65535]], np.uint16), np.array([[0, 1.5, 1e3]], np.float32)])
def test_tiff_is_read(tmp_path, values):
    for name in ('a.tif', 'b.TIFF'):
        assert cv2.imwrite(str(tmp_path / name), values)
        expected = values if values.dtype == np.float32 else values / np.iinfo(values.dtype).max
        np.testing.assert_allclose(read_depth(tmp_path / name), expected, rtol=1e-6)


@pytest.mark.parametrize('values', [
    np.arange(6, dtype='>i2').reshape(2, 3), np.asfortranarray(np.arange(6.).reshape(2, 3)),
    np.arange(6, dtype=np.float16).reshape(1, 2, 3)])
def test_every_npy_of_numbers_is_read(tmp_path, values):
    np.save(tmp_path / 'a.npy', values)
    for version in ((1, 0), (2, 0), (3, 0)):
        with open(tmp_path / 'b.npy', 'wb') as file:
            np.lib.format.write_array(file, values, version)
        for name in ('a.npy', 'b.npy'):
            assert read_depth(tmp_path / name).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_maps_beyond_the_limit_of_pixels_are_refused_unread(tmp_path, monkeypatch):
    for name in ('a.png', 'a.tif'):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30), np.uint16))
    np.save(tmp_path / 'a.npy', np.zeros((20, 30, 1)))
    monkeypatch.setenv('RESTOREKIT_MAX_PIXELS', '599')
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('decoded'))
    for name in ('a.png', 'a.tif', 'a.npy'):
        with pytest.raises(ImageFileError, match=f'{name} is .* more than the limit .* RESTOREKIT_MAX_PIXELS=600'):
            read_depth(tmp_path / name)


def npy(header, content=b''):
    return b'\x93NUMPY\x01\0' + len(header).to_bytes(2, 'little') + header.encode() + content


@pytest.mark.parametrize('content', [
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000), }"),
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", bytes(8)),
    npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2, "), npy("{'descr': '<f8'}"), npy('('),
    npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }", pickle.dumps([1])), pickle.dumps([1]),
    npy('x\n\t \n  y'), npy('-' * 9000 + '1'), b'PK\x03\x04 no archive',
    b'\x93NUMPY', b'\x93NUMPY\x09\0' + bytes(90)])
def test_no_npy_breaks_the_reader(tmp_path, content):
    (tmp_path / 'a.npy').write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match='depth map .*a.npy'):
            read_depth(tmp_path / 'a.npy')
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_an_npz_is_no_depth_map(tmp_path):
    np.savez(tmp_path / 'a.npz', np.ones((2, 2)))
    (tmp_path / 'a.npz').rename(tmp_path / 'a.npy')
    with pytest.raises(ValueError, match='a.npy cannot be read: it is not an npy file'):
        read_depth(tmp_path / 'a.npy')
