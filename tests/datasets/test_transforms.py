import numpy as np
import pytest
import torch

from restorekit.datasets.base import pack
from restorekit.datasets.transforms import Degrade
from restorekit.degradations import params_from_json
from restorekit.random import seeded_generators
from restorekit.registry import DEGRADATIONS, TRANSFORMS


def sample(height=20, width=30):
    """An image whose channels are its coordinates, and a depth that follows them."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([y, x, y * 0], 2).astype(np.uint8)
    return dict(inputs=image.copy(), gt=image.copy(), depth=(y + 100 * x).astype(np.float32), img_path='a.png')


@pytest.mark.parametrize('transform', [
    dict(type='RandomCrop', size=(8, 12)), dict(type='CenterCrop', size=8), dict(type='RandomFlip', prob=1.0),
    dict(type='RandomRotate90'), dict(type='RandomCrop', size=(26, 34))])
def test_images_and_depth_move_together(transform):
    for seed in range(6):
        with seeded_generators(seed):
            out = TRANSFORMS.build(transform)(sample())
        assert np.array_equal(out['inputs'], out['gt'])
        assert np.array_equal(out['depth'], out['gt'][..., 0] + 100.0 * out['gt'][..., 1])


def test_crop_sizes_and_positions():
    crop = TRANSFORMS.build(dict(type='RandomCrop', size=(8, 12)))
    corners = set()
    for seed in range(60):
        with seeded_generators(seed):
            out = crop(sample())['gt']
        assert out.shape == (8, 12, 3)
        corners.add((int(out[0, 0, 0]), int(out[0, 0, 1])))
    assert {corner[0] for corner in corners} == set(range(13)) and max(c[1] for c in corners) in (17, 18)
    assert TRANSFORMS.build(dict(type='CenterCrop', size=8))(sample())['gt'][0, 0].tolist() == [6, 11, 0]


def test_resize_keeps_the_aspect_and_the_minimum():
    out = TRANSFORMS.build(dict(type='RandomResize', scale=(0.5, 0.5)))(sample())
    assert out['gt'].shape == (10, 15, 3) and out['depth'].shape == (10, 15)
    out = TRANSFORMS.build(dict(type='RandomResize', scale=(0.1, 0.1), min_size=16))(sample())
    assert out['gt'].shape == (16, 24, 3)
    assert TRANSFORMS.build(dict(type='LimitSize', max_size=15))(sample())['gt'].shape == (10, 15, 3)
    assert TRANSFORMS.build(dict(type='LimitSize', max_size=99))(sample())['gt'].shape == (20, 30, 3)


@pytest.mark.parametrize(('config', 'message'), [
    (dict(type='RandomCrop', size=0), 'RandomCrop.size must be one or two numbers of pixels'),
    (dict(type='RandomFlip', prob=1.5), r'prob must be in \[0, 1\]'),
    (dict(type='RandomResize', scale=(2, 1)), '0 < low <= high')])
def test_wrong_arguments(config, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(config)


def test_transforms_say_what_they_miss():
    with pytest.raises(KeyError, match='RandomFlip found none of'):
        TRANSFORMS.build(dict(type='RandomFlip'))(dict(img=1))
    with pytest.raises(KeyError, match='Degrade needs the clear image under gt'):
        TRANSFORMS.build(dict(type='Degrade', degradation=dict(type='AtmosphericScattering')))(dict(inputs=1, seed=0))


def test_degrade_keeps_the_parameters_that_replay_it():
    degradation = dict(type='Sequential', children=[dict(type='AtmosphericScattering'),
                                                    dict(type='PoissonGaussianNoise')])
    start = dict(sample(), seed=77)
    out = TRANSFORMS.build(dict(type='Degrade', degradation=degradation))(dict(start))
    clear = torch.from_numpy(start['gt'].transpose(2, 0, 1)).float()[None] / 255
    depth = torch.from_numpy(start['depth'])[None, None]
    again = DEGRADATIONS.build(degradation).apply(clear, depth, params_from_json([out['degradation']]))
    assert np.array_equal((again[0] * 255).round().byte().permute(1, 2, 0).numpy(), out['inputs'])
    assert np.array_equal(out['gt'], start['gt']) and not np.array_equal(out['inputs'], out['gt'])


def test_pack_refuses_what_is_no_image():
    with pytest.raises(ValueError, match=r'inputs of a.png must be uint8 .* float32 \(20, 30\)'):
        pack(dict(inputs=sample()['depth'], img_path='a.png'))
    with pytest.raises(ValueError, match='differ in size'):
        pack(dict(sample(), gt=sample(20, 29)['gt']))
    with pytest.raises(ValueError, match='neither inputs nor gt'):
        pack(dict(img_path='a.png'))


def test_degraded_images_are_packed_without_another_copy():
    gt = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    results = Degrade(dict(type='JPEG'))(dict(gt=gt, img_path='a.png', seed=3))
    inputs, clear = results['inputs'], results['gt']
    assert inputs.shape == clear.shape == (8, 12, 3) and np.array_equal(clear, gt)
    item = pack(results)
    assert np.shares_memory(item['inputs'].numpy(), inputs)
    assert np.shares_memory(item['data_samples'].gt.numpy(), clear)
