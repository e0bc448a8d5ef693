"""The contracts of restorekit's components as functions: hold your own component to them in one line each.

Example::

    from restorekit.testing import check_degradation

    def test_my_degradation():
        check_degradation(dict(type='MyDegradation'))
"""

import copy
import math

import torch

from restorekit.registry import DATASETS, DEGRADATIONS, MODELS
from restorekit.structures import RestoreSample


def _build(registry, component):
    return registry.build(copy.deepcopy(component)) if isinstance(component, dict) else component


def _images(n, height, width, seed=0):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def _check_state_round_trip(module, other):
    state = module.state_dict()
    other.load_state_dict(state, strict=True)
    for (name, a), b in zip(state.items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), f'{name} does not survive a state dict round trip'


def _check_gradients(output, module):
    for parameter in module.parameters():
        parameter.grad = None
    (output * torch.linspace(0.5, 1.5, output.numel()).view_as(output)).sum().backward()
    without = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, f'trainable parameters without a gradient (they break distributed training): {without}'
    bad = [name for name, p in module.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    assert not bad, f'gradients of {bad} are not finite'


def check_network(component):
    """A network keeps its declared sizes and ranges, passes gradients on, round-trips, and restores odd sizes.

    Args:
        component (dict | RestorationNetwork): Config (or instance) of the network.
    """
    network = _build(MODELS, component)
    divisor, minimum = network.size_divisor, network.min_size
    low, high = network.input_range
    size = math.ceil(max(minimum, 2 * divisor) / divisor) * divisor
    x = _images(2, size, size + divisor) * (high - low) + low
    network.train()
    output = network(x)
    assert isinstance(output, torch.Tensor) and output.shape == x.shape, 'forward returns one image of the input size'
    assert torch.isfinite(output).all()
    if network.embedding_dim is None:
        _check_gradients(output, network)
    network.eval()
    with torch.no_grad():
        output = network(x)
        alone = torch.cat([network(image[None]) for image in x])
        assert torch.allclose(output, alone, atol=1e-4), 'in eval mode a batch must equal its images one by one'
        if network.embedding_dim is not None:
            image, embedding = network.forward_features(x)
            assert embedding.dim() == 4 and embedding.shape[:2] == (2, network.embedding_dim)
            assert torch.allclose(image, output, atol=1e-5), 'forward_features and forward give different images'
            assert torch.allclose(embedding, network.embed(x), atol=1e-5), 'embed and forward_features differ'
    if network.embedding_dim is not None:
        network.train()
        image, embedding = network.forward_features(x)
        _check_gradients(torch.cat([image.flatten(), embedding.flatten()]), network)
    if isinstance(component, dict):
        _check_state_round_trip(network, _build(MODELS, component))
    restorer = MODELS.build(dict(type='Restorer', network=network)).eval()
    for height, width in ((1, 1), (3, 17), (size + 1, size - 1)):
        image = (_images(1, height, width)[0] * 255).byte()
        sample = RestoreSample(metainfo=dict(ori_shape=(height, width)))
        pred = restorer.test_step(dict(inputs=[image], data_samples=[sample]))[0].pred
        assert pred.shape == (3, height, width), f'{height}x{width} was restored to {tuple(pred.shape[-2:])}'
        assert pred.min() >= 0 and pred.max() <= 1 and torch.isfinite(pred).all()


def check_encoder(component):
    """An encoder returns the maps it declares by ``channels`` and ``strides``, shallow to deep."""
    encoder = _build(MODELS, component).train()
    assert len(encoder.channels) == len(encoder.strides) > 0
    assert list(encoder.strides) == sorted(encoder.strides)
    size = 2 * max(encoder.strides)
    maps = encoder(_images(2, size, 2 * size))
    assert isinstance(maps, (tuple, list)) and len(maps) == len(encoder.channels)
    for features, channels, stride in zip(maps, encoder.channels, encoder.strides, strict=True):
        assert features.shape == (2, channels, size // stride, 2 * size // stride)
    _check_gradients(torch.cat([features.flatten() for features in maps]), encoder)
    if isinstance(component, dict):
        _check_state_round_trip(encoder, _build(MODELS, component))


def check_decoder(component, in_channels=(32, 64, 128), strides=(4, 8, 16)):
    """A decoder turns maps and the image into an image, and says which map the embedding is."""
    def build():
        return MODELS.build(dict(component, in_channels=in_channels, strides=strides))
    decoder = build().train()
    divisor = math.lcm(decoder.size_divisor, strides[-1])
    size = math.ceil(max(decoder.min_size, 2 * divisor) / divisor) * divisor
    image = _images(2, size, size)
    features = tuple(torch.rand(2, c, size // s, size // s) for c, s in zip(in_channels, strides, strict=True))
    output, embedding = decoder.forward_features(features, image)
    assert output.shape == image.shape and embedding.shape[:2] == (2, decoder.embedding_dim)
    assert torch.allclose(decoder(features, image), output, atol=1e-5)
    assert torch.allclose(decoder.embed(features), embedding, atol=1e-5)
    assert len(decoder.output_range) == len(decoder.input_range) == 2
    _check_gradients(torch.cat([output.flatten(), embedding.flatten()]), decoder)
    _check_state_round_trip(decoder, build())


def check_loss(component):
    """A loss is a finite scalar, least for equal images, and takes weights per sample and per pixel."""
    loss = _build(MODELS, component)
    target = _images(3, 24, 20, seed=1)
    pred = _images(3, 24, 20, seed=2).requires_grad_()
    value = loss(pred, target)
    assert value.dim() == 0 and torch.isfinite(value) and value >= 0
    value.backward()
    assert torch.isfinite(pred.grad).all() and pred.grad.abs().sum() > 0
    assert loss(target, target) <= value, 'equal images must cost no more than different ones'
    for ones in (torch.ones(3), torch.ones(3, 1, 24, 20)):
        assert torch.allclose(loss(pred, target, weight=ones), value, rtol=1e-4), 'a weight of one changes the loss'
    only = loss(pred, target, weight=torch.tensor([3., 0., 0.]))
    assert torch.allclose(only, loss(pred[:1], target[:1]), rtol=1e-4), 'a sample of weight 0 still counts'
    heavier = copy.deepcopy(loss)
    heavier.loss_weight = 2 * loss.loss_weight
    assert torch.allclose(heavier(pred, target), 2 * value)


def check_reweighter(component, dim=16):
    """A reweighter gives positive weights that sum to one, follow their samples, and survive degenerate input."""
    z = torch.randn(12, dim, generator=torch.Generator().manual_seed(0))
    weights = _build(MODELS, component)(z)
    assert weights.shape == (12,) and not weights.requires_grad
    assert (weights >= 0).all() and torch.allclose(weights.sum(), torch.ones(()), atol=1e-4)
    assert torch.isfinite(_build(MODELS, component)(torch.ones(6, dim))).all()
    assert torch.allclose(_build(MODELS, component)(z[:1]), torch.ones(1))
    reweighter = _build(MODELS, component)
    reweighter(z)
    assert all(isinstance(value, float) for value in reweighter.log.values())


def check_alignment(component, dim=16):
    """An alignment is about zero for equal batches, larger for different ones, with gradients to both."""
    alignment = _build(MODELS, component)
    source = torch.randn(24, dim, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = (3 * torch.randn(20, dim, generator=torch.Generator().manual_seed(1)) + 1).requires_grad_()
    value = alignment(source, target)
    assert value.dim() == 0 and torch.isfinite(value)
    assert value > alignment(source, source)
    value.backward()
    assert source.grad.abs().sum() > 0 and target.grad.abs().sum() > 0


def check_degradation(component):
    """A degradation stays in [0, 1], replays exactly, and treats each sample of a batch as if it were alone."""
    degradation = _build(DEGRADATIONS, component)
    clear = _images(3, 33, 27)
    depth = torch.linspace(0.1, 1, 33).view(1, 1, 33, 1).expand(3, 1, 33, 27).contiguous()
    seeds = [5, 123456789, 2**62 + 1]
    params = degradation.sample(seeds, 33, 27)
    hazy = degradation.apply(clear, depth, params)
    assert hazy.shape == clear.shape and hazy.dtype == clear.dtype
    assert torch.isfinite(hazy).all() and hazy.min() >= 0 and hazy.max() <= 1
    assert torch.equal(degradation.apply(clear, depth, params), hazy), 'the same parameters gave another image'
    again = degradation.apply(clear, depth, degradation.sample(seeds, 33, 27))
    assert torch.equal(again, hazy), 'the same seeds gave another image'
    for i, seed in enumerate(seeds):
        single = degradation.apply(clear[i:i + 1], depth[i:i + 1], degradation.sample([seed], 33, 27))
        assert torch.equal(single[0], hazy[i]), f'sample {i} differs between a batch and alone'
    assert degradation.apply(clear, None, params).shape == clear.shape, 'photos without depth must work'


def check_dataset(component):
    """A dataset's items are packed, and depend on their index and draw only."""
    dataset = _build(DATASETS, component)
    assert len(dataset) > 0
    item, again, other = dataset[(0, 7)], dataset[(0, 7)], dataset[(0, 8)]
    assert item['inputs'].dtype == torch.uint8 and item['inputs'].dim() == 3 and item['inputs'].shape[0] == 3
    assert torch.equal(item['inputs'], again['inputs']), 'the same draw gave another image'
    assert isinstance(item['data_samples'], RestoreSample) and isinstance(other['data_samples'], RestoreSample)
    if 'gt' in item['data_samples']:
        assert item['data_samples'].gt.shape == item['inputs'].shape
    state = torch.get_rng_state()
    dataset[0]
    assert torch.equal(torch.get_rng_state(), state), 'reading an item changed the global random state'

