import cv2
import numpy as np
import torch

from restorekit.degradations import JPEG, Blur, Resize


def _photo():
    y, x = np.mgrid[:48, :64] / 64
    image = np.stack([np.sin(9 * x) * 0.4 + 0.5, np.cos(7 * y) * 0.4 + 0.5, (x > 0.5) * 0.8 + 0.1])
    return torch.from_numpy(image).float()[None]


def test_jpeg_is_opencvs():
    image = _photo()
    result = JPEG(quality=40, subsampling='4:2:0')(image, seeds=[0])[0]
    pixels = (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
    data = cv2.imencode('.jpg', pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                                                    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420])[1]
    expected = torch.from_numpy(cv2.imdecode(data, 1)[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    assert torch.equal(result, expected)


def test_lower_quality_and_chroma_subsampling_lose_more():
    image = _photo()

    def error(**settings):
        return (JPEG(**settings)(image, seeds=[0])[0] - image).square().mean()

    assert error(quality=10) > error(quality=50) > error(quality=95)
    assert error(quality=95, subsampling='4:2:0') > 1.5 * error(quality=95, subsampling='4:4:4')


def test_jpeg_draws_every_quality_and_layout():
    params = JPEG(quality=(30, 33)).sample(range(200), 8, 8)
    assert set(params['quality'].tolist()) == {30, 31, 32, 33}
    assert set(params['subsampling'].tolist()) == {0, 1}


def test_blur_is_gaussian():
    impulse = torch.zeros(1, 3, 31, 31)
    impulse[..., 15, 15] = 1
    spread = Blur(sigma=2.)(impulse, seeds=[0])[0][0, 0].double()
    offset = torch.arange(31).double() - 15
    assert abs(spread.sum() - 1) < 1e-5
    assert abs((spread.sum(0) * offset ** 2).sum().sqrt() - 2) < 0.05


def test_resize_keeps_the_size_and_the_mean_and_loses_detail():
    image = torch.rand(1, 3, 40, 56)
    result = Resize(factor=0.5)(image, seeds=[0])[0]
    assert result.shape == image.shape
    assert abs(result.mean() - image.mean()) < 0.01
    assert result.std() < 0.7 * image.std()
