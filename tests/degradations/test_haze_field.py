import cv2
import numpy as np
import pytest
import torch

from restorekit.degradations import HazeField, fit_haze_field


def photo(seed, size=(96, 128)):
    rng = np.random.default_rng(seed)
    return cv2.GaussianBlur(rng.integers(0, 256, (*size, 3), dtype=np.uint8), (0, 0), 1)


@pytest.fixture
def folders(tmp_path):
    """Two pairs with even haze, t = 0.4 and 0.7."""
    for part in ('hazy', 'clear'):
        (tmp_path / part).mkdir()
    for name, t in (('a', 0.4), ('b', 0.7)):
        clear = photo(ord(name))
        hazy = np.uint8(np.round(clear * t + np.array([200, 210, 220]) * (1 - t)))
        cv2.imwrite(str(tmp_path / 'clear' / f'{name}.png'), clear[..., ::-1])
        cv2.imwrite(str(tmp_path / 'hazy' / f'{name}.png'), hazy[..., ::-1])
    return str(tmp_path / 'hazy'), str(tmp_path / 'clear')


def test_a_fit_finds_the_transmission_of_each_place():
    clear = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    t = torch.where(torch.arange(64) < 32, 0.3, 0.8).view(1, 1, 1, 64)
    field = fit_haze_field(clear * t + 0.9 * (1 - t), clear, radius=4)
    assert torch.allclose(field[:, 0, :, 8:20], torch.tensor(0.3), atol=0.02)
    assert torch.allclose(field[:, 0, :, 44:56], torch.tensor(0.8), atol=0.02)
    assert torch.allclose(field[:, 1:, :, 8:20], torch.tensor(0.63), atol=0.02)


def test_a_place_without_contrast_takes_the_transmission_of_the_whole():
    clear = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    clear[:, :, :32] = 0.5
    field = fit_haze_field(0.6 * clear + 0.3, clear, radius=4)
    assert torch.allclose(field[:, 0, :16], torch.tensor(0.6), atol=0.01)


def test_the_haze_of_a_pair_is_put_on_another_photo(folders):
    operator = HazeField(*folders, density=1.0)
    image = torch.rand(8, 3, 30, 40, generator=torch.Generator().manual_seed(1))
    hazy, params = operator(image, seeds=list(range(8)))
    t = torch.where(params['field'] == 0, 0.4, 0.7).view(8, 1, 1, 1)
    airlight = torch.tensor([200, 210, 220]).view(1, 3, 1, 1) / 255
    assert len(set(params['field'].tolist())) == 2
    assert torch.allclose(hazy, image * t + airlight * (1 - t), atol=0.03)
    assert torch.allclose(operator.transmission(image, None, params), t.expand(8, 1, 30, 40), atol=0.02)


def test_a_higher_density_is_the_same_haze_of_more_air(folders):
    operator = HazeField(*folders, density=2.0, exclude=['b'])
    image = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(1))
    hazy, _ = operator(image, seeds=[0])
    airlight = torch.tensor([200, 210, 220]).view(1, 3, 1, 1) / 255
    assert torch.allclose(hazy, image * 0.16 + airlight * 0.84, atol=0.04)


def test_folders_that_do_not_pair_are_refused(folders, tmp_path):
    with pytest.raises(ValueError, match='no pair of photos'):
        HazeField(*folders, exclude=['a', 'b'])
    (tmp_path / 'clear' / 'a.png').unlink()
    with pytest.raises(ValueError, match='has no clear photo named a'):
        HazeField(*folders)
