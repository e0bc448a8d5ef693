"""Every method of configs/domains trains a step on a mixture of cached domains."""

import copy
import functools

import pytest
import torch
from mmengine.dataset import pseudo_collate

from restorekit.checkpoint import weights_digest
from restorekit.config import configs_root, load_config
from restorekit.engine.config_check import check_config
from restorekit.registry import MODELS
from restorekit.structures import RestoreSample

OTHERS = ('tiny', 'spurious', 'two_phases', 'two_phases_reversed')
METHODS = sorted(path.stem for path in (configs_root() / 'domains').glob('*.py') if path.stem not in OTHERS)


@functools.lru_cache
def config(method):
    return load_config(f'domains/{method}').to_dict()


def item(rng, network, domain, digest, size=(64, 96)):
    """What CachedFeatures gives of a random image."""
    sample = RestoreSample(metainfo=dict(domain=domain, img_path='x.png'))
    image, sample.gt = (torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=rng) for _ in range(2))
    maps = network.encode(image[None].float() / 255)
    if digest is not None:
        sample.set_metainfo(dict(cached_maps=len(maps), encoder_digest=digest))
        for i, values in enumerate(maps):
            setattr(sample, f'map_{i}', values[0])
    return dict(inputs=image, data_samples=sample)


def same_but(one, other, place=''):
    """The places at which two nested dicts differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return {found for key in {*one, *other}
                for found in same_but(one.get(key), other.get(key), f'{place}.{key}' if place else key)}
    return set() if one == other else {place}


@pytest.mark.parametrize('method', METHODS)
def test_a_method_trains_a_step(method):
    cfg = config(method)
    check_config(cfg, method)
    model = copy.deepcopy(cfg['model'])
    if model['network']['encoder']['type'] == 'PriorEncoder':
        model['network']['encoder']['features']['pretrained'] = False
    torch.manual_seed(0)
    model = MODELS.build(model).train()
    digest = weights_digest(model.network.encoder) if model.frozen else None
    rng, items = torch.Generator().manual_seed(1), []
    domains = ['indoor', 'fog', 'dust', 'night'] * 2
    with torch.no_grad():
        for domain in domains:
            items.append(item(rng, model.network, domain, digest))
            items[-1]['target'] = item(rng, model.network, 'target', digest)
    data = model.data_preprocessor(pseudo_collate(items), training=True)
    assert ('features' in data) == ('target_features' in data) == (digest is not None)
    total, logged = model.parse_losses(model(**data, mode='loss'))
    total.backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.network.decoder.parameters()
               if p.requires_grad) and torch.isfinite(total)
    wanted = {'group_dro': 'group_weight_max', 'consistency': 'loss_consistency', 'decorrelation': 'reweight_ess',
              'density_ratio': 'reweight_ess'}
    aligned = method.startswith(('coral', 'adversarial')) or method in ('mmd', 'mean_covariance', 'cid')
    assert wanted.get(method, 'loss_pixel') in logged and ('loss_align' in logged) == aligned


@pytest.mark.parametrize('method', sorted(set(METHODS) - {'erm'}))
def test_a_method_is_plain_training_with_one_thing_changed(method):
    keys = ('model', 'train_dataloader', 'custom_hooks', 'optim_wrapper', 'train_cfg', 'val_dataloader',
            'param_scheduler')
    plain, other = ({key: config(name)[key] for key in keys} for name in ('erm', method))
    found = same_but(plain, other)
    parts = {'.'.join(place.split('.')[:2]) for place in found}
    expected = {'mixup': {'train_dataloader.dataset'}, 'natural_mixture': {'train_dataloader.dataset'},
                'coral_sources': {'model.alignment', 'model.align'}, 'cid': {'model.alignment', 'model.reweighter'},
                'consistency': {'model.consistency'}, 'group_dro': {'model.group_weighting'},
                'decorrelation': {'model.reweighter'}, 'density_ratio': {'model.reweighter'},
                'test_time': {'model.type', 'model.steps', 'model.step_size', 'model.perturbation'},
                'adaptive_batch_norm': {'model.frozen', 'model.network', 'custom_hooks', 'train_dataloader.dataset'},
                'trained_encoder': {'model.frozen', 'train_dataloader.dataset'}}
    assert parts == expected.get(method, {'model.alignment'}), found
    assert len((configs_root() / 'domains' / f'{method}.py').read_text().splitlines()) <= 18
