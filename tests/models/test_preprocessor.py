import numpy as np
import pytest
import torch

from restorekit.datasets import ProceduralScenes
from restorekit.datasets.transforms import Degrade
from restorekit.models import RestorePreprocessor
from restorekit.registry import DEGRADATIONS
from restorekit.structures import RestoreSample

HAZE = dict(type='Sequential', children=[
    dict(type='AtmosphericScattering', beta=(0.5, 2.0)), dict(type='PoissonGaussianNoise'), dict(type='JPEG')])


class Network:
    """Declares what the preprocessor binds to."""

    def __init__(self, size_divisor=8, min_size=1, input_range=(-1.0, 1.0)):
        self.size_divisor, self.min_size, self.input_range = size_divisor, min_size, input_range


def image(height, width, seed=0):
    return torch.randint(0, 256, (3, height, width), generator=torch.Generator().manual_seed(seed)).byte()


def preprocessor(degradation=None, **network):
    made = RestorePreprocessor(degradation)
    made.bind(Network(**network))
    return made


def test_values_and_padding_are_those_declared():
    x, sample = image(5, 9), RestoreSample()
    out = preprocessor(size_divisor=4, input_range=(-1.0, 1.0))(dict(inputs=[x], data_samples=[sample]))
    assert out['inputs'].shape == (1, 3, 8, 12) and out['data_samples'][0].padding == (1, 2, 1, 2)
    inner = out['inputs'][0, :, 1:6, 1:10]
    assert torch.allclose(inner, x.float() / 255 * 2 - 1)
    assert torch.equal(out['inputs'][0, :, 0, 1:10], inner[:, 1])  # reflected


def test_16_bits_keep_their_steps():
    deep = torch.arange(3 * 8 * 8).reshape(3, 8, 8).to(torch.uint16)
    out = preprocessor(input_range=(0.0, 1.0))(dict(inputs=[deep], data_samples=[RestoreSample()]))['inputs']
    assert torch.equal((out[0] * 65535).round().to(torch.int32), deep.to(torch.int32))


def test_min_size_is_kept_for_a_single_pixel():
    sample = RestoreSample()
    out = preprocessor(size_divisor=8, min_size=20)(dict(inputs=[image(1, 1)], data_samples=[sample]))
    assert out['inputs'].shape == (1, 3, 24, 24)
    assert (out['inputs'] == out['inputs'][:, :, :1, :1]).all()


def test_images_of_different_padded_size_are_not_stacked():
    samples = [RestoreSample(), RestoreSample(), RestoreSample()]
    out = preprocessor()(dict(inputs=[image(5, 9), image(8, 16), image(9, 9)], data_samples=samples))['inputs']
    assert isinstance(out, list) and [tuple(x.shape) for x in out] == [(3, 8, 16), (3, 8, 16), (3, 16, 16)]
    out = preprocessor()(dict(inputs=[image(5, 9), image(8, 16)], data_samples=samples[:2]))
    assert out['inputs'].shape == (2, 3, 8, 16)
    assert [sample.padding for sample in out['data_samples']] == [(3, 4, 1, 2), (0, 0, 0, 0)]


def test_batch_of_one_tensor_is_taken_too():
    out = preprocessor()(dict(inputs=torch.stack([image(8, 8), image(8, 8, 1)])))
    assert out['inputs'].shape == (2, 3, 8, 8) and out['data_samples'] is None


def test_target_is_prepared_alike():
    batch = dict(inputs=[image(8, 8)], data_samples=[RestoreSample()],
                 target=dict(inputs=[image(4, 4)], data_samples=[RestoreSample()]))
    out = preprocessor()(batch, training=True)
    assert out['target'].shape == (1, 3, 8, 8) and out['target'].min() >= -1


@pytest.mark.parametrize('bad', [torch.rand(3, 8, 8), torch.zeros(1, 8, 8, dtype=torch.uint8),
                                 torch.zeros(8, 8, dtype=torch.uint8)])
def test_only_eight_bit_rgb_is_taken(bad):
    with pytest.raises(ValueError, match=r'a batch holds uint8 or uint16 \(3, H, W\) images, but got'):
        preprocessor()(dict(inputs=[bad], data_samples=[RestoreSample()]))


def test_a_placeholder_is_no_training_image():
    broken = RestoreSample(metainfo=dict(img_path='a/1.png', broken=True))
    batch = dict(inputs=[image(8, 8), image(8, 16)], data_samples=[RestoreSample(), broken])
    with pytest.raises(ValueError, match="a/1.png could not be read, .* sampler=dict\\(type='CounterSampler'\\)"):
        preprocessor()(batch, training=True)


def test_training_sizes_must_agree():
    batch = dict(inputs=[image(8, 8), image(8, 16)], data_samples=[RestoreSample(), RestoreSample()])
    with pytest.raises(ValueError, match=r'\[\(8, 8\), \(8, 16\)\] \(height, width\); put RandomCrop'):
        preprocessor()(batch, training=True)


@pytest.mark.parametrize('with_depth', [True, False])
def test_batched_degradation_equals_that_of_the_dataset(with_depth):
    scenes = ProceduralScenes(length=3, height=16, width=24)
    draws = [(i, 10 + i) for i in range(3)]
    items = [scenes[draw] for draw in draws]
    if not with_depth:
        for item in items:
            del item['data_samples'].depth
    transform = Degrade(HAZE)
    expected = []
    for item in items:
        sample = item['data_samples']
        results = dict(gt=item['inputs'].permute(1, 2, 0).numpy(), seed=sample.seed)
        if with_depth:
            results['depth'] = sample.depth[0].numpy()
        expected.append(transform(results)['inputs'])
    batch = dict(inputs=[item['inputs'] for item in items], data_samples=[item['data_samples'] for item in items])
    out = preprocessor(HAZE, size_divisor=1, input_range=(0.0, 1.0))(batch, training=True)
    got = (out['inputs'] * 255).numpy().transpose(0, 2, 3, 1)
    assert np.abs(got - np.rint(got)).max() < 1e-3, 'not rounded to 1/255'
    assert np.array_equal(np.rint(got).astype(np.uint8), np.stack(expected))
    for item, sample in zip(items, out['data_samples'], strict=True):
        assert torch.equal(sample.gt, item['inputs']) and 'gt' not in item['data_samples']


def test_degradation_is_for_training_and_for_clear_images_only():
    made = preprocessor(DEGRADATIONS.build(HAZE), input_range=(0.0, 1.0))
    sample = RestoreSample(metainfo=dict(seed=3))
    plain = made(dict(inputs=[image(8, 8)], data_samples=[sample]))
    assert torch.equal(plain['inputs'][0], image(8, 8).float() / 255) and 'gt' not in sample
    sample.gt = image(8, 8)
    with pytest.raises(ValueError, match='already has ground truth'):
        made(dict(inputs=[image(8, 8)], data_samples=[sample]), training=True)
