import itertools

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from restorekit.datasets import CounterSampler, DomainPairDataset, PairedDataset, ProceduralScenes, collate
from restorekit.degradations import AtmosphericScattering, build_degradation
from restorekit.models.preprocessor import RestorePreprocessor


@pytest.fixture
def pairs(tmp_path, make_images):
    for kind in ('hazy', 'clear'):
        make_images(tmp_path / kind, [f'{k}.png' for k in range(5)], size=(24, 32))
    return PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), pipeline=[dict(type='RandomCrop', size=16)])


@pytest.mark.parametrize('workers', [0, 1])
def test_a_plain_data_loader_gives_batches_that_the_preprocessor_takes(pairs, workers):
    seen = 0
    for batch in DataLoader(pairs, batch_size=2, num_workers=workers, collate_fn=collate):
        count = len(batch['data_samples'])
        assert batch['inputs'].shape == (count, 3, 16, 16) and batch['inputs'].dtype == torch.uint8
        for k in range(count):
            assert torch.equal(batch['inputs'][k], pairs[seen + k]['inputs'])
            assert torch.equal(batch['data_samples'][k].gt, pairs[seen + k]['data_samples'].gt)
        prepared = RestorePreprocessor()(batch, training=True)
        assert torch.allclose(prepared['inputs'], batch['inputs'].float() / 255)
        seen += count
    assert seen == 5


def test_sizes_that_differ_stay_a_list_and_targets_are_joined():
    batch = collate([dict(inputs=torch.zeros(3, 8 + k, 9), data_samples=k) for k in range(2)])
    assert [image.shape for image in batch['inputs']] == [(3, 8, 9), (3, 9, 9)] and batch['data_samples'] == [0, 1]
    scenes = dict(type='ProceduralScenes', length=3, height=16, width=16)
    pair = DomainPairDataset(source=scenes, target=dict(scenes, style='highland'))
    loader = DataLoader(pair, batch_size=3, collate_fn=collate)
    batch = next(iter(loader))
    assert batch['target']['inputs'].shape == (3, 3, 16, 16) and len(batch['target']['data_samples']) == 3


def test_the_counter_sampler_draws_anew_in_every_epoch(pairs):
    loader = DataLoader(pairs, batch_size=5, sampler=CounterSampler(pairs, shuffle=False), collate_fn=collate)
    first, second = (batch['inputs'] for batch in itertools.islice(loader, 2))
    assert not torch.equal(first, second)


def test_degradations_stand_in_a_compose_of_torchvision():
    image, depth = torch.rand(3, 24, 32), torch.rand(1, 24, 32)
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.RandomCrop(16),
                            build_degradation(dict(type='OneOf', children=[dict(type='Dust'), dict(type='JPEG')]))])
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    torch.manual_seed(3)
    first, second = transform(pixels), transform(pixels)
    assert first.shape == (3, 16, 16) and first.min() >= 0 and first.max() <= 1 and not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(transform(pixels), first)  # seeds come from torch's generator
    haze = AtmosphericScattering(beta=1., airlight=1.)
    expected = image * torch.exp(-depth) + 1 - torch.exp(-depth)
    hazy, same = v2.Compose([haze])(image, depth)
    assert torch.allclose(hazy, expected, atol=1e-6) and torch.equal(same, depth)
    batch, depths = haze(image[None].repeat(2, 1, 1, 1), depth[None].repeat(2, 1, 1, 1))
    assert batch.shape == (2, 3, 24, 32) and torch.allclose(batch[1], expected, atol=1e-6)


@pytest.mark.parametrize(('image', 'message'), [
    (torch.zeros(3, 8, 8, dtype=torch.uint8), 'convert uint8'), (np.zeros((3, 8, 8), np.float32), 'float tensor'),
    (torch.zeros(8, 8), r'shape \(N,3,H,W\)'), (torch.zeros(1, 8, 8), r'shape \(N,3,H,W\)')])
def test_what_is_no_image_is_refused_without_seeds_too(image, message):
    with pytest.raises((TypeError, ValueError), match=message):
        AtmosphericScattering()(image)


def test_scenes_load_in_a_plain_loader():
    batch = next(iter(DataLoader(ProceduralScenes(length=2, height=16, width=24), batch_size=2, collate_fn=collate)))
    assert batch['inputs'].shape == (2, 3, 16, 24) and batch['data_samples'][0].depth.shape == (1, 16, 24)
