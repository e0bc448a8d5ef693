import json
import os
import pathlib

import cv2
import pytest
import torch

from restorekit.degradations import AtmosphericScattering, NonHomogeneousHaze, read_depth, scatter

SHARED = pathlib.Path(os.environ.get('RESTOREKIT_SHARED', pathlib.Path(__file__).resolve().parents[3] / 'shared'))
SOTS = SHARED / 'data' / 'sots_indoor'


def test_scatter_by_hand():
    image = torch.tensor([0.2, 0.4, 0.6]).reshape(1, 3, 1, 1)
    depth = torch.full((1, 1, 1, 1), 2.)
    half = torch.tensor([0.5]).log().neg() / 2
    hazy = scatter(image, depth, torch.tensor([[1., 0.8, 0.6]]), half)
    torch.testing.assert_close(hazy.flatten(), torch.tensor([0.6, 0.6, 0.6]))
    per_channel = scatter(image, depth, torch.ones(1, 3), torch.stack([half[0] * 0, half[0], half[0] * 2])[None])
    torch.testing.assert_close(per_channel.flatten(), torch.tensor([0.2, 0.7, 0.9]))
    spatial = scatter(image.expand(1, 3, 1, 2), depth.expand(1, 1, 1, 2), torch.ones(1, 3),
                      torch.stack([half[0] * 0, half[0]]).reshape(1, 1, 1, 2))
    torch.testing.assert_close(spatial[0, :, 0], torch.tensor([[0.2, 0.6], [0.4, 0.7], [0.6, 0.8]]))


def test_an_infinitely_far_point_shows_the_airlight():
    operator = AtmosphericScattering(beta=1., airlight=0.7, airlight_jitter=0.1, airlight_saturation=0.2)
    image = torch.rand(2, 3, 2, 2)
    hazy, params = operator(image, torch.full((2, 1, 2, 2), 1000.), seeds=[0, 1])
    torch.testing.assert_close(hazy, params['airlight'][:, :, None, None].expand_as(hazy))


def test_wavelength_exponent_makes_blue_extinction_strongest():
    params = AtmosphericScattering(beta=1., wavelength_exponent=1.).sample([0], 4, 4)
    torch.testing.assert_close(params['beta'], torch.tensor([[1., 0.62 / 0.54, 0.62 / 0.46]]))


def test_drawn_values_keep_to_their_ranges():
    params = AtmosphericScattering(beta=(0.6, 1.8), airlight=(0.7, 1.)).sample(range(500), 4, 4)
    assert 0.6 <= params['beta'].min() < 0.65 and 1.75 < params['beta'].max() <= 1.8
    assert 0.7 <= params['airlight'].min() < 0.72 and 0.98 < params['airlight'].max() <= 1
    assert torch.equal(params['airlight'][:, 0], params['airlight'][:, 2])
    coloured = AtmosphericScattering(airlight_saturation=0.3, airlight=0.8).sample(range(50), 4, 4)['airlight']
    torch.testing.assert_close(coloured.amin(1), torch.full((50,), 0.56))
    torch.testing.assert_close(coloured.amax(1), torch.full((50,), 0.8))


def test_patches_vary_the_transmission_and_contrast_zero_is_homogeneous():
    black, depth = torch.zeros(1, 3, 64, 64), torch.full((1, 1, 64, 64), 0.8)
    patchy = NonHomogeneousHaze(contrast=1., beta=1., airlight=1., depth_floor=0.)(black, depth, seeds=[2])[0]
    assert patchy.min() < 0.01 and patchy.max() > 0.75
    even, params = NonHomogeneousHaze(contrast=0., beta=1., airlight=1., depth_floor=0.)(black, depth, seeds=[2])
    torch.testing.assert_close(even, scatter(black, depth, params['airlight'], params['beta']))


@pytest.mark.skipif(not SOTS.exists(), reason=f'no SOTS-indoor data at {SOTS}; set RESTOREKIT_SHARED')
def test_the_published_hazy_images_of_sots_indoor_come_back():
    scenes = json.loads((SOTS / 'meta.json').read_text())['scenes']
    operator = AtmosphericScattering(missing_depth='error')
    paths = sorted((SOTS / 'hazy').glob('*.png'))
    assert paths
    for path in paths:
        scene, number = path.stem.split('_')
        truth = _read(path)
        clear = _read(SOTS / 'clear' / f'{scene}.png')
        depth = torch.from_numpy(read_depth(SOTS / 'depth' / f'{scene}.png'))[None, None]
        params = {'airlight': torch.full((1, 3), float(scenes[scene]['A'])),
                      'beta': torch.tensor([scenes[scene]['beta'][int(number) - 1]])}
        error = (operator.apply(clear, depth, params) * 255).round() / 255 - truth
        psnr = -10 * error.square().mean().log10()
        assert psnr >= 54, f'{path.name}: {psnr:.2f} dB'


def _read(path):
    return torch.from_numpy(cv2.imread(str(path))[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
