"""Transforms of mmcv in a pipeline of ours, and ours inside mmcv's wrappers."""

import numpy as np
import pytest
from mmengine.registry import DefaultScope

from restorekit.config import ConfigError
from restorekit.datasets import RestoreDataset
from restorekit.engine import check_config
from restorekit.registry import DATASETS, TRANSFORMS

CLEAR = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
HAZY = CLEAR // 2 + 100
DEPTH = np.arange(12 * 16, dtype=np.float32).reshape(12, 16)


@DATASETS.register_module()
class OneTriplet(RestoreDataset):
    def __len__(self):
        return 1

    def load(self, index, seed):
        return dict(inputs=HAZY.copy(), gt=CLEAR.copy(), depth=DEPTH.copy(), img_path='a.png')


def item(*pipeline, seed=0):
    dataset = DATASETS.build(dict(type='OneTriplet', pipeline=list(pipeline)))
    return dataset[0, seed]


@pytest.fixture(autouse=True, params=['mmengine', 'restorekit'])
def scope(request):
    """A pipeline is built by a runner, with our default scope, or from Python, without any."""
    with DefaultScope.overwrite_default_scope(request.param):
        yield


MIRRORED = dict(type='TransformBroadcaster', auto_remap=True, mapping=dict(img=['inputs', 'gt']),
                transforms=[dict(type='mmcv.RandomFlip', prob=1.0)])


def test_a_broadcaster_flips_both_images_and_leaves_depth():
    result = item(MIRRORED)
    assert np.array_equal(result['inputs'], HAZY[:, ::-1].transpose(2, 0, 1))
    assert np.array_equal(result['data_samples'].gt, CLEAR[:, ::-1].transpose(2, 0, 1))
    assert np.array_equal(result['data_samples'].depth[0], DEPTH)


def test_a_key_mapper_lends_one_image():
    grey = dict(type='KeyMapper', auto_remap=True, mapping=dict(img='inputs'),
                transforms=[dict(type='RandomGrayscale', prob=1.0, keep_channels=True)])
    result = item(grey)
    assert np.ptp(result['inputs'].numpy().astype(int), axis=0).max() == 0
    assert np.array_equal(result['data_samples'].gt, CLEAR.transpose(2, 0, 1))
    normalised = dict(grey, transforms=[dict(type='Normalize', mean=[1, 2, 3], std=[1, 1, 1], to_rgb=False)])
    with pytest.raises(ValueError, match='inputs of a.png must be uint8'):
        item(normalised)


@pytest.mark.parametrize('seed', range(4))
def test_a_mixed_pipeline_is_drawn_from_the_items_seed(seed):
    pipeline = [
        dict(type='RandomChoice', transforms=[[dict(type='RandomCrop', size=8)],
                                              [dict(type='CenterCrop', size=8), dict(type='RandomFlip')]]),
        dict(type='RandomApply', prob=0.5, transforms=[MIRRORED]),
        dict(type='RandomRotate90')]
    first, again = item(*pipeline, seed=seed), item(*pipeline, seed=seed)
    assert first['inputs'].shape == (3, 8, 8) and np.array_equal(first['inputs'], again['inputs'])
    assert np.array_equal(first['inputs'], first['data_samples'].gt // 2 + 100)


def test_mmcvs_and_our_transforms_of_one_name():
    assert type(TRANSFORMS.build(dict(type='RandomFlip'))).__module__.startswith('restorekit.')
    assert type(TRANSFORMS.build(dict(type='mmcv.RandomFlip', prob=0.5))).__module__.startswith('mmcv.')


@pytest.mark.parametrize(('step', 'message'), [
    (dict(MIRRORED, transforms=[dict(type='mmcv.RandomFlip', prop=1.0)]), "RandomFlip takes no 'prop'; did you mean '"),
    (dict(type='RandomFlip', swap_seg_labels=None), "RandomFlip takes no 'swap_seg_labels'"),
    (dict(MIRRORED, maping={}), "TransformBroadcaster takes no 'maping'; did you mean 'mapping'"),
    (dict(type='mmcv.RandomFlop'), "'mmcv.RandomFlop' is not in the transform registry; did you mean 'RandomFlip'")])
def test_arguments_of_both_are_checked(step, message):
    with pytest.raises(ConfigError, match=message):
        check_config(dict(train_dataloader=dict(dataset=dict(type='OneTriplet', pipeline=[step]))), 'a.py')


def test_none_drops_a_step():
    assert np.array_equal(item(None, MIRRORED, None)['inputs'], HAZY[:, ::-1].transpose(2, 0, 1))
    dataset = DATASETS.build(dict(type='OneTriplet', pipeline=dict(flip=None, crop=dict(type='CenterCrop', size=8))))
    assert dataset[0]['inputs'].shape == (3, 8, 8)
