"""One degradation in the dataset, in the preprocessor and in the offline writer: the same pixels."""

import zlib

import numpy as np
import pytest
import torch

from restorekit.datasets import ClearDepthDataset
from restorekit.datasets.base import pack
from restorekit.degradations import build_degradation, load_preset
from restorekit.files.image_io import read_image
from restorekit.models.preprocessor import RestorePreprocessor
from restorekit.random import derive_seed
from restorekit.registry import DEGRADATIONS
from restorekit.tasks.synthesize import synthesize


def test_dataset_preprocessor_and_writer_give_the_same_image(tmp_path, make_images):
    make_images(tmp_path / 'clear', [f'{k}.png' for k in range(5)], size=(40, 56))
    preset = load_preset('cid_multi_domain')
    assert synthesize('cid_multi_domain', tmp_path / 'clear', tmp_path / 'out', workers=1).failures == []
    jobs = [(index, str(index)) for index in range(5)]
    seeds = [derive_seed(0, zlib.crc32(name.encode()), 1) for _, name in jobs]
    clear = ClearDepthDataset(str(tmp_path / 'clear'))
    degraded = ClearDepthDataset(str(tmp_path / 'clear'), pipeline=[dict(type='Degrade', degradation=preset)])

    batch = [pack(dict(clear.load(index, 0), seed=seed)) for (index, _), seed in zip(jobs, seeds, strict=True)]
    data = dict(inputs=[item['inputs'] for item in batch], data_samples=[item['data_samples'] for item in batch])
    prepared = RestorePreprocessor(degradation=preset)(data, training=True)
    online, samples = prepared['inputs'], prepared['data_samples']
    for row, (job, seed) in enumerate(zip(jobs, seeds, strict=True)):
        written = read_image(tmp_path / f'out/hazy/{job[1]}_1.png')
        results = dict(degraded.load(job[0], 0), seed=seed)
        assert np.array_equal(degraded.pipeline[0](results)['inputs'], written)
        assert np.array_equal((online[row] * 255).round().byte().permute(1, 2, 0).numpy(), written)
        assert np.array_equal(samples[row].gt.permute(1, 2, 0).numpy(), clear.load(job[0], 0)['gt'])


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('name', ['AtmosphericScattering', 'NonHomogeneousHaze', 'NightHaze', 'Dust', 'CIDScattering',
                                  'LowLight', 'ColourCast', 'PoissonGaussianNoise', 'Blur', 'Resize', 'Rain', 'Snow',
                                  'Underwater', 'JPEG'])
def test_cpu_and_cuda_agree(name):
    operator = DEGRADATIONS.build(dict(type=name))
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(4, 3, 61, 83, generator=generator)
    depth = torch.rand(4, 1, 61, 83, generator=generator)
    for d in (depth, None):
        result, params = operator(image, d, seeds=range(4))
        on_device = operator.apply(image.cuda(), None if d is None else d.cuda(), params)
        assert on_device.device.type == 'cuda'
        torch.testing.assert_close(on_device.cpu(), result, atol=1e-4, rtol=0)
        assert torch.equal(operator.apply(image.cuda(), None if d is None else d.cuda(), params), on_device)


def test_compositions_leave_their_input_alone():
    chain = build_degradation(load_preset('cid_multi_domain'))
    image, depth = torch.rand(32, 3, 12, 16), torch.rand(32, 1, 12, 16)
    before = image.clone(), depth.clone()
    for names in ([chain], chain.children, [build_degradation(dict(type='Shuffle', children=chain.children))]):
        for operator in names:
            result, _ = operator(image, depth, seeds=range(32))
            assert torch.equal(image, before[0]) and torch.equal(depth, before[1])
            assert result.data_ptr() != image.data_ptr()
