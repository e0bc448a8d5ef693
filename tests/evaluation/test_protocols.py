import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorekit.evaluation import PROTOCOLS, PSNR, SSIM, Protocol, check_comparable, get_protocol


def _images(seed=0, size=(7, 9)):
    generator = torch.Generator().manual_seed(seed)
    pred = torch.rand(3, *size, generator=generator) * 1.2 - 0.1
    return pred, torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8)


def test_rgb_clamps_and_does_not_round():
    pred, gt = _images()
    prepared, truth = get_protocol('rgb').prepare(pred, gt)
    assert torch.equal(prepared[0], pred.clamp(0, 1))
    np.testing.assert_allclose(truth[0].numpy(), gt.numpy() / 255, rtol=1e-6)


def test_rgb_uint8_is_what_a_written_file_holds():
    pred, gt = _images()
    prepared, _ = get_protocol('rgb-uint8').prepare(pred, gt)
    written = np.clip(np.rint(pred.numpy().astype(np.float32) * 255), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(np.rint(prepared[0].numpy() * 255).astype(np.uint8), written)
    again, _ = get_protocol('rgb-uint8').prepare(torch.from_numpy(written), gt)
    assert torch.equal(again, prepared)


def test_y_matlab_equals_the_written_out_conversion():
    pred, gt = _images()
    prepared, truth = get_protocol('y-matlab').prepare(pred, gt)
    for image, y in ((np.rint(np.clip(pred.numpy(), 0, 1) * 255), prepared), (gt.numpy(), truth)):
        red, green, blue = image.astype(np.float64)
        expected = np.rint(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255)
        assert y.shape == (1, 1, 7, 9)
        np.testing.assert_allclose(y[0, 0].numpy() * 255, expected, atol=1e-4)


@pytest.mark.parametrize('side', [10, 32])
def test_y_basicsr_gives_the_numbers_of_mmagics_tests(side):
    """8-bit images of ones and of twos: luma differs by 219 / 255, and is not rounded."""
    pred, gt = (torch.full((3, side, side), level, dtype=torch.uint8) for level in (1, 2))
    psnr, ssim = _measured('y-basicsr', pred, gt)
    assert psnr == pytest.approx(49.4527218, abs=2e-4) and ssim == pytest.approx(0.9987801, abs=2e-7)
    assert _measured('y-matlab', pred, gt)[0] == pytest.approx(48.1308, abs=1e-4)  # rounded, it differs by 1


@pytest.mark.parametrize('size, start', [((36, 20), (2, 2)), ((37, 23), (1, 1)), ((32, 31), (0, 1)),
                                         ((46, 47), (7, 1))])
def test_the_central_crop_of_cid(size, start):
    """An even remainder is cut in halves; of an odd one a pixel from the start and the others from the end."""
    pred, gt = _images(size=size)
    kept = [side // 16 * 16 for side in size]
    prepared, truth = get_protocol('crop16-centre').prepare(pred, gt)
    rows, columns = (slice(at, at + length) for at, length in zip(start, kept, strict=True))
    assert torch.equal(prepared[0], pred[:, rows, columns].clamp(0, 1)) and truth.shape == prepared.shape
    own, _ = Protocol('mine', crop_border=3, crop_multiple=8, crop_place='centre').prepare(pred, gt)
    assert torch.equal(own[0], Protocol('mine', crop_multiple=8, crop_place='centre').prepare(
        pred[:, 3:-3, 3:-3], gt[:, 3:-3, 3:-3])[0][0])


@pytest.mark.parametrize('level, luma', [(0, 16), (255, 235)])
def test_luma_is_of_limited_range(level, luma):
    image = torch.full((3, 4, 4), level, dtype=torch.uint8)
    y, _ = get_protocol('y-matlab').prepare(image, image)
    assert y.mean().item() * 255 == pytest.approx(luma, abs=1e-4)


def test_border_is_cut_before_anything():
    pred, gt = _images()
    prepared, truth = Protocol('mine', crop_border=2).prepare(pred[None], gt[None])
    assert torch.equal(prepared, pred[None, :, 2:-2, 2:-2].clamp(0, 1))
    assert truth.shape == (1, 3, 3, 5)
    with pytest.raises(ValueError, match='cuts 4 pixels from each side, which leaves nothing of an image of 7x9'):
        Protocol('mine', crop_border=4).prepare(pred, gt)


def _smooth_pair(size, seed=3):
    """A smooth image and the same with noise, a cast and values outside [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 7, generator=generator), size, mode='bicubic')[0]
    gt = (image.clamp(0, 1) * 255).round().byte()
    cast = torch.tensor([0.08, 0.0, -0.05]).view(3, 1, 1)
    return gt / 255 + cast + 0.06 * torch.randn(3, *size, generator=generator), gt


def _channels(pred, gt):
    """Both images clamped, as float64 (3, H, W)."""
    return np.clip(pred.numpy(), 0, 1).astype(np.float64), gt.numpy() / 255


def _gaussian_ssim(x, y):
    """scikit-image's SSIM where the window lies inside."""
    full = structural_similarity(y, x, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5, full=True,
                                 use_sample_covariance=False)[1]
    return full[:, 5:-5, 5:-5].mean()


def _written_out_ssim(x, y, half=5, border=0):
    """SSIM with zeros around the image, of a window of 2 half + 1, without ``border`` pixels."""
    kernel = np.exp(-np.arange(-half, half + 1) ** 2 / (2 * 1.5 ** 2))
    kernel /= kernel.sum()

    def mean(values):
        return correlate1d(correlate1d(values, kernel, axis=1, mode='constant'), kernel, axis=2, mode='constant')

    mu_x, mu_y = mean(x), mean(y)
    s_x, s_y, s_xy = mean(x * x) - mu_x ** 2, mean(y * y) - mu_y ** 2, mean(x * y) - mu_x * mu_y
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    full = (2 * mu_x * mu_y + c1) * (2 * s_xy + c2) / ((mu_x ** 2 + mu_y ** 2 + c1) * (s_x + s_y + c2))
    return full[:, border:x.shape[1] - border, border:x.shape[2] - border].mean()


def _uniform_ssim(x, y):
    return structural_similarity(y, x, channel_axis=0, data_range=1.0)


def _block_means(image):
    """Averages over the fractional blocks of adaptive pooling, written out."""
    height, width = image.shape[1:]
    ratio = max(1, round(min(height, width) / 256))
    rows, columns = int(height / ratio), int(width / ratio)
    starts = [[(i * n // m, -(-(i + 1) * n // m)) for i in range(m)] for n, m in ((height, rows), (width, columns))]
    image = np.stack([image[:, top:bottom].mean(axis=1) for top, bottom in starts[0]], axis=1)
    return np.stack([image[:, :, left:right].mean(axis=2) for left, right in starts[1]], axis=2)


def _resized(image):
    return np.stack([np.asarray(Image.fromarray(channel.astype(np.float32)).resize((256, 256), Image.BILINEAR))
                     for channel in image]).astype(np.float64)


def _reference(name, pred, gt):
    """PSNR and SSIM by a protocol, without restorekit and without torch."""
    x, y = _channels(pred, gt)
    ssim = _gaussian_ssim
    if name in ('rgb-uint8', 'y-matlab', 'y-basicsr'):
        x = np.rint(x * 255) / 255
    if name in ('y-matlab', 'y-basicsr'):
        x, y = ((16 + 65.481 * r + 128.553 * g + 24.966 * b)[None] / 255 for r, g, b in (x, y))
    if name == 'y-matlab':
        x, y = np.rint(x * 255) / 255, np.rint(y * 255) / 255
    if name in ('crop16', 'crop16-centre'):
        height, width = (side - side % 16 for side in x.shape[1:])
        top, left = (0, 0) if name == 'crop16' else (1 if side % 2 else side % 16 // 2 for side in x.shape[1:])
        x, y = x[:, top:top + height, left:left + width], y[:, top:top + height, left:left + width]
    if name == 'size-256':
        x, y = _resized(x), _resized(y)
    psnr = peak_signal_noise_ratio(y, x, data_range=1.0)
    if name in ('ffa', 'size-256'):
        ssim = _written_out_ssim
    if name in ('crop16', 'crop16-centre', 'skimage7'):
        ssim = _uniform_ssim
    if name == 'dehazeformer':
        x, y = _block_means(x), _block_means(y)
    return psnr, ssim(x, y)


def _measured(name, pred, gt):
    values = []
    for metric in (PSNR(name, baseline=False), SSIM(name, baseline=False)):
        metric.process(None, [{'pred': pred, 'gt': gt}])
        values += metric.evaluate(1).values()
    return values


@pytest.mark.parametrize('size', [(64, 64), (37, 53), (391, 403)], ids=str)
@pytest.mark.parametrize('name', PROTOCOLS)
def test_protocol_equals_an_independent_implementation(name, size):
    pred, gt = _smooth_pair(size)
    expected = _reference(name, pred, gt)
    assert _measured(name, pred, gt) == pytest.approx(expected, abs=2e-5)
    # brighter, and hardly wrong: other parts of the scale
    for other in (gt / 255 * 0.5712345 + 0.41, gt / 255 + 6e-3):
        assert _measured(name, other, gt) == pytest.approx(_reference(name, other, gt), abs=2e-4, rel=2e-5)


@pytest.mark.parametrize('size, half', [((6, 9), 2), ((11, 7), 3), ((3, 3), 1)], ids=str)
def test_an_image_smaller_than_the_window(size, half):
    pred, gt = _smooth_pair(size)
    x, y = _channels(pred, gt)
    inside = _written_out_ssim(x, y, half, half)  # the largest odd window that fits
    assert _measured('rgb', pred, gt)[1] == _measured('dehazeformer', pred, gt)[1] == pytest.approx(inside, abs=2e-5)
    assert _measured('ffa', pred, gt)[1] == pytest.approx(_written_out_ssim(x, y), abs=2e-5)
    uniform = structural_similarity(y, x, channel_axis=0, data_range=1.0, win_size=min(7, 2 * half + 1))
    assert _measured('skimage7', pred, gt)[1] == pytest.approx(uniform, abs=2e-5)


def test_the_same_images_give_other_numbers_by_other_protocols():
    pred, gt = _smooth_pair((391, 520))
    psnr, ssim = ({name: values[i] for name, values in ((name, _measured(name, pred, gt)) for name in PROTOCOLS)}
                  for i in (0, 1))
    assert psnr['y-matlab'] > psnr['size-256'] + 1 > psnr['rgb'] + 2
    assert psnr['rgb'] == psnr['ffa'] == psnr['dehazeformer'] == psnr['skimage7']
    assert 0 < abs(psnr['rgb'] - psnr['rgb-uint8']) < 0.02 and psnr['crop16'] != psnr['rgb']
    assert ssim['dehazeformer'] > ssim['ffa'] + 0.05 and ssim['ffa'] > ssim['rgb']
    assert len({round(value, 5) for value in ssim.values()}) == len(PROTOCOLS)


def test_cropping_to_multiples_keeps_the_top_left():
    pred, gt = _images(size=(35, 50))
    prepared, _ = get_protocol('crop16').prepare(pred, gt)
    assert torch.equal(prepared[0], pred[:, :32, :48].clamp(0, 1))
    with pytest.raises(ValueError, match="'crop16' cuts 0 pixels .* multiples of 16, which leaves nothing .* 15x50"):
        get_protocol('crop16').prepare(pred[:, :15], gt[:, :15])


def test_half_a_block_rounds_to_even_as_the_published_code_does():
    pool = get_protocol('dehazeformer').pool
    assert [pool(torch.zeros(1, 3, side, 700)).shape[-2:] for side in (383, 385, 640)] == [
        (383, 700), (192, 350), (320, 350)]


def test_an_own_protocol_from_a_config():
    pred, gt = _smooth_pair((40, 44))
    metric = PSNR(protocol={'name': 'mine', 'crop_border': 4}, baseline=False)
    metric.process(None, [{'pred': pred, 'gt': gt}])
    assert metric.evaluate(1) == {'PSNR@mine': _measured('rgb', pred[:, 4:-4, 4:-4], gt[:, 4:-4, 4:-4])[0]}


@pytest.mark.parametrize('choices, message', [
    ({'crop_border': 4}, "a protocol needs a name.*Write dict"),
    ({'name': 'mine', 'crop_boarder': 4}, "'crop_boarder' is not in the list of what .*; did you mean 'crop_border'"),
    ({'name': 'rgb', 'crop_border': 4}, "'rgb' exists with other choices .crop_border is 4 in the one, 0 in the")])
def test_an_own_protocol_that_cannot_be(choices, message):
    with pytest.raises(ValueError, match=message):
        get_protocol(choices)


def test_fingerprints_tell_settings_apart_and_not_names():
    prints = {name: protocol.fingerprint for name, protocol in PROTOCOLS.items()}
    assert len(set(prints.values())) == len(PROTOCOLS)
    assert prints['ffa'] == '0b276b9b'
    assert Protocol('other').fingerprint == prints['rgb'] == '44136fa3'
    again = Protocol('again', **PROTOCOLS['size-256'].settings)
    assert again.fingerprint == prints['size-256'] and again.resize == (256, 256)


def test_numbers_by_one_protocol_compare():
    check_comparable('PSNR@rgb', 'PSNR@rgb')
    check_comparable('NIQE@pyiqa', 'NIQE@pyiqa')
    check_comparable('PSNR@mine', 'PSNR@mine', Protocol('mine', crop_border=1), {'crop_border': 1})
    check_comparable('PSNR@size-256', 'PSNR@size-256', None, {'resize': (256, 256), 'ssim_padding': 'zero'})


@pytest.mark.parametrize('labels, protocols, message', [
    (('SSIM@rgb', 'SSIM@ffa'), (), "SSIM@rgb and SSIM@ffa cannot.*: ssim_padding is 'valid' in the one, 'zero' in the"),
    (('PSNR@rgb', 'PSNR@y-matlab'), (), "quantize is False .* True .*, colour is 'rgb' in the one, 'y-bt601'"),
    (('PSNR@rgb', 'SSIM@rgb'), (), 'PSNR and SSIM are different quantities'),
    (('NIQE@pyiqa', 'NIQE@other'), (), 'measured by pyiqa and by other'),
    (('PSNR@mine', 'PSNR@rgb'), (), 'measured by mine and by rgb'),
    (('PSNR@mine', 'PSNR@rgb'), (Protocol('mine'),), 'alike, but for the name. Measure both under one protocol'),
    (('PSNR@mine', 'PSNR@mine'), (Protocol('mine'), {'crop_border': 2}), 'crop_border is 0 in the one, 2 in the other'),
    (('PSNR@a', 'PSNR@a'), ({'of a later version': 1}, {}), 'of a later version is 1 in the one, None in the other'),
    (('PSNR@rgb', 'PSNR@rgb'), (Protocol('rgb', crop_border=2),), 'crop_border is 2 in the one, 0 in the other')])
def test_numbers_by_two_protocols_do_not_compare(labels, protocols, message):
    with pytest.raises(ValueError, match=message):
        check_comparable(*labels, *protocols)


def test_settings_of_ssim_decide_no_psnr():
    narrow, wide = (get_protocol(dict(name='mine', ssim_window=window)) for window in (7, 11))
    for label in ('PSNR@mine', 'a/PSNR@mine', 'LPIPS-alex@mine'):
        check_comparable(label, label, narrow, wide)
    for label in ('SSIM@mine', 'MS-SSIM@mine', 'WorstPixel@mine'):
        with pytest.raises(ValueError, match='ssim_window is 7 in the one, 11 in the other. Measure'):
            check_comparable(label, label, narrow, wide)


def test_names():
    assert set(PROTOCOLS) == {'rgb', 'rgb-uint8', 'y-matlab', 'y-basicsr', 'ffa', 'dehazeformer', 'size-256', 'crop16',
                              'crop16-centre', 'skimage7'}
    assert all(PROTOCOLS[name].name == name for name in PROTOCOLS)
    assert get_protocol(PROTOCOLS['rgb']) is PROTOCOLS['rgb']
    with pytest.raises(ValueError, match="'rgb-uint' is not in the list of protocols.*did you mean 'rgb-uint8'"):
        get_protocol('rgb-uint')


@pytest.mark.parametrize('options, message', [
    ({'colour': 'lab'}, "colour must be one of 'rgb', 'y-bt601', but got 'lab'"),
    ({'crop_border': -1}, 'crop_border .* must not be negative'), ({'ssim_window': 8}, 'window must be odd'),
    ({'crop_multiple': 0.5}, 'crop_multiple is a whole number and must be at least 1, but got 0.5'),
    ({'resize': [256]}, r'\(height, width\), but got'),
    ({'ssim_sigma': 0}, 'or None for a uniform window, but got 0'), ({'name': 'a/b'}, 'a text without / and @')])
def test_wrong_choices(options, message):
    with pytest.raises(ValueError, match=message):
        Protocol(**({'name': 'mine'} | options))


def test_sizes_that_differ():
    with pytest.raises(ValueError, match=r'a prediction \(3, 7, 9\) and a ground truth \(3, 7, 8\)'):
        get_protocol('rgb').prepare(*(image[..., :k] for image, k in zip(_images(), (9, 8), strict=True)))
