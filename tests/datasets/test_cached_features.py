"""Cached features: the same gradients as from images, and never those of other data or another encoder."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from tiny import fork

from restorekit.datasets import CachedFeatures, CacheError, DomainPairDataset
from restorekit.messages import InputError
from restorekit.models import CIDRestorer
from restorekit.registry import DATASETS, MODELS

NETWORKS = dict(
    cid=dict(type='EncoderDecoder',
             encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16),
             decoder=dict(type='AffineDecoder', channels=8, head_channels=4)),
    low_resolution=dict(type='LowResolutionAffine', size=(32, 32),
                        encoder=dict(type='PriorEncoder', features=dict(type='EfficientNetLite', out_stages=(3,))),
                        decoder=dict(type='GridAffineDecoder', channels=8, blocks=1)))
HAZE = dict(type='Degrade', degradation=dict(type='AtmosphericScattering'))


@pytest.fixture
def folder(tmp_path):
    for name in ('a', 'b', 'c'):
        image = np.random.default_rng(ord(name)).integers(0, 256, (50, 60, 3), dtype=np.uint8)
        (tmp_path / 'clear').mkdir(exist_ok=True)
        assert cv2.imwrite(str(tmp_path / 'clear' / f'{name}.png'), image)
    return tmp_path


@pytest.fixture(params=NETWORKS)
def network(request, tmp_path):
    """A network, its config, and a checkpoint of it."""
    torch.manual_seed(1)
    built = MODELS.build(NETWORKS[request.param])
    with torch.no_grad():
        for parameter in built.parameters():  # so that no head is zero
            parameter.add_(0.05 * torch.randn_like(parameter))
    torch.save(dict(state_dict={f'network.{key}': value for key, value in built.state_dict().items()}),
               tmp_path / 'network.pth')
    return built, NETWORKS[request.param], str(tmp_path / 'network.pth')


def clear(folder, size=64):
    return dict(type='ClearDepthDataset', clear_dir=str(folder / 'clear'), domain='haze',
                pipeline=[dict(type='RandomCrop', size=size), dict(type='RandomFlip'), HAZE])


def cached(folder, network, **kwargs):
    return CachedFeatures(**{**dict(dataset=clear(folder), network=network[1], weights=network[2], copies=2,
                                    cache=str(folder / 'cache')), **kwargs})


def restorer(network, **kwargs):
    model = CIDRestorer(network[1], losses=dict(pixel=dict(type='L1Loss')), frozen=['network.encoder'], **kwargs)
    model.network.load_state_dict(network[0].state_dict())
    return model.train()


def gradients(model, batch, **kwargs):
    torch.manual_seed(7)
    data = model.data_preprocessor(batch, training=True)
    total, _ = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def without_features(batch):
    """The same batch as a dataset of images would give it."""
    for samples in (batch['data_samples'], batch.get('target', {}).get('data_samples', ())):
        for sample in samples:
            sample.set_metainfo(dict(cached_maps=None))
    return batch


@pytest.mark.parametrize('ingredients', [
    {}, dict(alignment=dict(type='CORALLoss', loss_weight=10.0), reweighter=dict(type='DecorrelationReweighter'))],
    ids=['supervised', 'everything'])
def test_gradients_are_those_of_the_images(folder, network, ingredients):
    data = cached(folder, network)
    pairs = DomainPairDataset(data, cached(folder, network, seed=5)) if ingredients else data
    batch = pseudo_collate([pairs[i] for i in range(6)])
    from_cache = gradients(restorer(network, **ingredients), batch)
    from_images = gradients(restorer(network, **ingredients), without_features(batch))
    assert from_cache.keys() == from_images.keys() and len(from_cache) > 4
    assert any(gradient.abs().max() > 1e-4 for gradient in from_images.values())
    for name, gradient in from_images.items():
        scale = gradient.abs().max().clamp_min(1)
        assert (from_cache[name] - gradient).abs().max() <= 1e-5 * scale, name


def test_items_are_draws_of_the_dataset_and_copies_differ(folder, network):
    data = cached(folder, network)
    assert len(data) == 6 and data.domain is None and data[0]['data_samples'].domain == 'haze'
    assert data.files(4) == data.dataset.files(1)
    plain = DATASETS.build(clear(folder))
    from restorekit.datasets import Draw
    from restorekit.random import derive_seed
    expected = plain[Draw(1, 4, derive_seed(0, 4))]
    assert torch.equal(data[4]['inputs'], expected['inputs'])
    assert torch.equal(data[4]['data_samples'].gt, expected['data_samples'].gt)
    assert data[4]['data_samples'].degradation == expected['data_samples'].degradation
    assert not torch.equal(data[1]['inputs'], data[4]['inputs'])


def test_without_a_network_the_images_are_cached_alone(folder, network):
    data = cached(folder, (None, None, None))
    with_maps = cached(folder, network)
    assert data.folder != with_maps.folder and torch.equal(data[4]['inputs'], with_maps[4]['inputs'])
    model = CIDRestorer(network[1], losses=dict(pixel=dict(type='L1Loss'))).train()  # its encoder may learn
    found = gradients(model, pseudo_collate([data[i] for i in range(4)]))
    assert any('encoder' in name for name in found)


def count(folder):
    return len([path for path in (folder / 'cache').iterdir() if path.is_dir()])


def test_whatever_the_content_depends_on_names_the_cache(folder, network, tmp_path):
    first = cached(folder, network)
    assert cached(folder, network).folder == first.folder and count(folder) == 1
    changed = dict(clear(folder))
    changed['pipeline'] = changed['pipeline'][:1] + changed['pipeline'][2:]
    others = [cached(folder, network, seed=1), cached(folder, network, copies=1),
              cached(folder, network, dataset=changed)]
    state = torch.load(network[2])
    name = next(key for key, value in state['state_dict'].items() if 'encoder' in key and value.is_floating_point())
    state['state_dict'][name] += 1e-3
    torch.save(state, tmp_path / 'other.pth')
    others.append(cached(folder, network, weights=str(tmp_path / 'other.pth')))
    image = cv2.imread(str(folder / 'clear' / 'b.png'))
    image[0, 0] ^= 1
    cv2.imwrite(str(folder / 'clear' / 'b.png'), image)
    others.append(cached(folder, network))
    assert len({data.folder for data in (first, *others)}) == 6 == count(folder)


def test_training_refuses_features_of_another_encoder_and_an_encoder_that_learns(folder, network):
    batch = pseudo_collate([cached(folder, network)[i] for i in range(2)])
    model = restorer(network)
    with torch.no_grad():
        next(iter(model.network.encoder.parameters())).add_(1e-3)
    with pytest.raises(InputError, match='made by another encoder'):
        gradients(model, batch)
    model = CIDRestorer(network[1], losses=dict(pixel=dict(type='L1Loss'))).train()
    with pytest.raises(InputError, match=r"the encoder cannot learn; set frozen=\['network.encoder'\]"):
        gradients(model, batch)
    model = CIDRestorer(dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss'))).train()
    with pytest.raises(InputError, match='need a network of an encoder and a decoder, but got AODNet'):
        gradients(model, batch)


def test_a_damaged_cache_is_refused(folder, network):
    data = cached(folder, network)
    path = data.folder / 'map_0.npy'
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(CacheError, match='cannot be used.*Remove that folder'):
        cached(folder, network)
    path.write_bytes(whole)
    (data.folder / 'record.json').write_text('{}')
    with pytest.raises(CacheError, match='belongs to something else'):
        cached(folder, network)
    (data.folder / 'record.json').unlink()  # as a machine that lost power may leave it: made again
    assert len(cached(folder, network)) == 6
    shutil.rmtree(data.folder)
    assert len(cached(folder, network)) == 6


def test_images_that_differ_in_size_or_need_padding_are_refused(folder, network):
    cv2.imwrite(str(folder / 'clear' / 'd.png'), np.zeros((40, 44, 3), np.uint8))
    data = dict(clear(folder), pipeline=[HAZE])
    with pytest.raises(CacheError, match='cached items must have one size'):
        cached(folder, network, dataset=data)
    if network[0].size_divisor > 1:
        with pytest.raises(CacheError, match='do not fit the network without padding'):
            cached(folder, network, dataset=clear(folder, size=50))
    assert not [path for path in (folder / 'cache').iterdir() if path.is_dir()]  # nothing half made is left


def test_processes_make_a_cache_once(folder, network):
    def make(rank):
        data = cached(folder, network)
        (folder / f'inode{rank}').write_text(str((data.folder / 'map_0.npy').stat().st_ino))
    assert fork(make, ranks=3) == [0, 0, 0]
    assert len({(folder / f'inode{rank}').read_text() for rank in range(3)}) == 1 == count(folder)
