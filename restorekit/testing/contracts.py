"""The contracts of restorekit's components as functions: hold your own component to them in one line each.

Example::

    from restorekit.testing import check_degradation

    def test_my_degradation():
        check_degradation(dict(type='MyDegradation'))
"""

import contextlib
import copy
import math
import pickle
import random

import numpy as np
import torch

from restorekit.degradations import params_from_json, params_to_json
from restorekit.evaluation.protocols import CHOICES
from restorekit.models.losses import TeacherOutput
from restorekit.models.restorers.restorer import extra_arguments
from restorekit.registry import DATASETS, DEGRADATIONS, METRICS, MODELS
from restorekit.structures import RestoreSample

TILINGS = ('exact', 'approximate', 'coefficients', 'never')


def _build(registry, component):
    return registry.build(copy.deepcopy(component)) if isinstance(component, dict) else component


def _images(n, height, width, seed=0):
    return torch.rand(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


@contextlib.contextmanager
def _draws_nothing(what):
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    yield
    after = random.getstate(), np.random.get_state()[1], torch.get_rng_state()
    same = before[0] == after[0] and (before[1] == after[1]).all() and torch.equal(before[2], after[2])
    assert same, f'{what} changed the global random state; draw from the seeds that are given'


def _check_state_round_trip(module, other):
    state = module.state_dict()
    other.load_state_dict(state, strict=True)
    for (name, a), b in zip(state.items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), f'{name} does not survive a state dict round trip'
    return other


def _check_range(name, value):
    assert len(value) == 2 and value[0] < value[1], f'{name} must be (low, high), but is {value}'


def _check_gradients(output, module):
    """Gradients exist and are finite (they may be zero: before a head that starts at zero they all are)."""
    for parameter in module.parameters():
        parameter.grad = None
    if output.requires_grad:
        (output * torch.linspace(0.5, 1.5, output.numel()).view_as(output)).sum().backward()
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return  # nothing to train
    without = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, f'trainable parameters without a gradient (they break distributed training): {without}'
    assert any(p.grad.any() for p in module.parameters() if p.grad is not None), 'every gradient is zero'
    bad = [name for name, p in module.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    assert not bad, f'gradients of {bad} are not finite'


def _all_outputs(network, x):
    return network.forward_all(x) if hasattr(network, 'forward_all') else (network(x),)


def check_network(component):
    """A network keeps its declared sizes and ranges, passes gradients on, round-trips, and restores odd sizes.

    Args:
        component (dict | RestorationNetwork): Config (or instance) of the network.
    """
    network = _build(MODELS, component)
    divisor, minimum = network.size_divisor, network.min_size
    for name in ('size_divisor', 'min_size'):
        value = getattr(network, name)
        assert isinstance(value, int) and value >= 1, f'{name} must be a whole number of at least 1, but is {value!r}'
    _check_range('input_range', network.input_range)
    _check_range('output_range', network.output_range)
    assert network.tiling in TILINGS, f'tiling must be one of {TILINGS}, but is {network.tiling!r}'
    assert (network.tiling == 'exact') == isinstance(network.receptive_field, int), 'receptive_field goes with exact'
    low, high = network.input_range
    size = math.ceil(max(minimum, 2 * divisor) / divisor) * divisor
    x = _images(2, size, size + divisor) * (high - low) + low
    given = x.clone()
    x.requires_grad_()
    network.train()
    output = network(x)
    assert torch.equal(x, given), 'forward changed its input in place'
    assert isinstance(output, torch.Tensor) and output.shape == x.shape, 'forward returns one image of the input size'
    assert torch.isfinite(output).all()
    outputs = _all_outputs(network, x)
    assert outputs[-1].shape == x.shape, 'the last output of forward_all is the final image'
    if network.embedding_dim is None:
        _check_gradients(torch.cat([image.flatten() for image in outputs]), network)
        assert torch.isfinite(x.grad).all() and x.grad.any(), 'no gradient reaches the image'
    x = x.detach()
    network.eval()
    with torch.no_grad():
        output = network(x)
        assert torch.allclose(_all_outputs(network, x)[-1], output, atol=1e-5), 'forward_all and forward differ'
        alone = torch.cat([network(image[None]) for image in x])
        assert torch.allclose(output, alone, atol=1e-4), 'in eval mode a batch must equal its images one by one'
        if network.embedding_dim is not None:
            image, embedding = network.forward_features(x)
            assert embedding.dim() == 4 and embedding.shape[:2] == (2, network.embedding_dim)
            assert torch.allclose(image, output, atol=1e-5), 'forward_features and forward give different images'
            assert torch.allclose(embedding, network.embed(x), atol=1e-5), 'embed and forward_features differ'
    if network.embedding_dim is not None:
        network.train()
        maps = [network.forward_features(x)[1], *_all_outputs(network, x)]
        _check_gradients(torch.cat([values.flatten() for values in maps]), network)
    if isinstance(component, dict):
        network.eval()
        with torch.no_grad():
            other = _check_state_round_trip(network, _build(MODELS, component)).eval()
            assert torch.allclose(other(x), network(x), atol=1e-6), 'the output needs more than the state dict'
    restorer = MODELS.build(dict(type='Restorer', network=network)).eval()
    for height, width in ((1, 1), (1, 40), (3, 17), (size + 1, max(size - 1, 1))):
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
        other = _check_state_round_trip(encoder, _build(MODELS, component))
        x = _images(1, size, size)
        for a, b in zip(encoder.eval()(x), other.eval()(x), strict=True):
            assert torch.allclose(a, b, atol=1e-6), 'the maps need more than the state dict'


def check_decoder(component, in_channels=(64, 128, 256), strides=(4, 8, 16)):
    """A decoder turns maps and the image into an image, and says which map the embedding is.

    Args:
        component (dict): Config of the decoder, without ``in_channels`` and ``strides``.
        in_channels (Sequence[int]): Channels of the maps it is held to, shallow to deep.
        strides (Sequence[int]): Their strides.
    """
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
    _check_range('input_range', decoder.input_range)
    _check_range('output_range', decoder.output_range)
    _check_gradients(torch.cat([output.flatten(), embedding.flatten()]), decoder)
    _check_state_round_trip(decoder, build())


def _asked_for(loss, n=slice(None)):
    """What a loss asks for beyond the two images, for the samples ``n`` of :func:`check_loss`."""
    height, width = 24, 20
    maps = torch.rand(3, 4, 6, 5, generator=torch.Generator().manual_seed(4))
    scores = torch.nn.Conv2d(3, 1, 3, padding=1)
    torch.nn.init.constant_(scores.weight, 0.1)
    torch.nn.init.zeros_(scores.bias)
    have = dict(input=_images(3, height, width, seed=3)[n], embedding=maps[n].requires_grad_(), discriminator=scores,
                teacher=TeacherOutput(_images(3, height, width, seed=5)[n], maps.flip(1, 2)[n]))
    return {name: have[name] for name in extra_arguments(loss)}


def check_loss(component):
    """A loss is a finite scalar, least for equal images, and takes weights per sample and per pixel.

    A loss with ``compares = False`` looks at the prediction alone, or at more than the two images: it may be negative,
    and need not be least for equal images.
    """
    loss = _build(MODELS, component)
    compares = getattr(loss, 'compares', True)
    target = _images(3, 24, 20, seed=1)
    pred = _images(3, 24, 20, seed=2).requires_grad_()
    more = _asked_for(loss)
    value = loss(pred, target, **more)
    assert value.dim() == 0 and torch.isfinite(value)
    value.backward()
    graph = pred.grad is not None or not compares  # a loss of embeddings does not touch the image
    assert graph and (pred.grad is None or torch.isfinite(pred.grad).all() and pred.grad.abs().sum() > 0)
    if compares:
        same = target.clone().requires_grad_()
        least = loss(same, target, **more)
        least.backward()
        assert value >= 0 and least <= value, 'equal images must cost no more than different ones'
        assert torch.isfinite(same.grad).all(), 'the gradient of equal images is not finite'
    for ones in (torch.ones(3), torch.ones(3, 1, 24, 20), torch.ones(3, 3, 24, 20)):
        assert torch.allclose(loss(pred, target, weight=ones, **more), value, rtol=1e-4), 'a weight of one changes it'
    only = loss(pred, target, weight=torch.tensor([3., 0., 0.]), **more)
    first = loss(pred[:1], target[:1], **_asked_for(loss, slice(1)))
    assert torch.allclose(only, first, rtol=1e-4), 'a sample of weight 0 still counts'
    hole = torch.ones(3, 1, 24, 20)
    hole[:, :, 12, 10] = 0
    assert loss(pred, target, weight=hole, **more).abs() < value.abs(), 'a pixel of weight 0 still counts'
    heavier = copy.deepcopy(loss)
    heavier.loss_weight = 2 * loss.loss_weight
    assert torch.allclose(heavier(pred, target, **more), 2 * value)


def check_reweighter(component, dim=16):
    """A reweighter gives positive weights that sum to one, the same each time, and survives degenerate input."""
    z = torch.randn(12, dim, generator=torch.Generator().manual_seed(0)).requires_grad_()
    reweighter = _build(MODELS, component)
    with _draws_nothing('a reweighter'):
        weights = reweighter(z)
    assert weights.shape == (12,) and not weights.requires_grad
    assert (weights > 0).all() and torch.allclose(weights.sum(), torch.ones(()), atol=1e-4)
    assert reweighter.log and all(isinstance(v, float) and math.isfinite(v) for v in reweighter.log.values())
    if isinstance(component, dict):
        assert torch.equal(_build(MODELS, component)(z), weights), 'the same embeddings gave other weights'
        _check_state_round_trip(reweighter, _build(MODELS, component))
    for degenerate in (torch.ones(6, dim), torch.full((6, dim), math.nan), 1e6 * torch.randn(6, dim), z[:1]):
        weights = _build(MODELS, component)(degenerate)
        assert torch.isfinite(weights).all() and torch.allclose(weights.sum(), torch.ones(()), atol=1e-4)


def check_alignment(component, dim=16):
    """An alignment is about zero for equal batches, larger for different ones, with gradients to both."""
    alignment = _build(MODELS, component)
    source = torch.randn(24, dim, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = (3 * torch.randn(20, dim, generator=torch.Generator().manual_seed(1)) + 1).requires_grad_()
    value = alignment(source, target)
    assert value.dim() == 0 and torch.isfinite(value)
    assert value > alignment(source, source)
    value.backward()
    for name, gradient in (('source', source.grad), ('target', target.grad)):
        assert torch.isfinite(gradient).all() and gradient.any(), f'the gradient of {name} is zero or not finite'
    heavier = copy.deepcopy(alignment)
    heavier.loss_weight = 2 * alignment.loss_weight
    assert torch.allclose(heavier(source, target), 2 * value), 'loss_weight does not scale the alignment'


def check_degradation(component):
    """A degradation stays in [0, 1], replays exactly, and treats each sample of a batch as if it were alone."""
    degradation = _build(DEGRADATIONS, component)
    clear = _images(3, 33, 27)
    depth = torch.linspace(0.1, 1, 33).view(1, 1, 33, 1).expand(3, 1, 33, 27).contiguous()
    seeds = [5, 123456789, 2**62 + 1]
    given = clear.clone(), depth.clone()
    with _draws_nothing('a degradation'):
        params = degradation.sample(seeds, 33, 27)
        hazy = degradation.apply(clear, depth, params)
    assert torch.equal(clear, given[0]) and torch.equal(depth, given[1]), 'apply changed its input in place'
    assert hazy.shape == clear.shape and hazy.dtype == clear.dtype
    assert torch.isfinite(hazy).all() and hazy.min() >= 0 and hazy.max() <= 1
    assert torch.equal(degradation.apply(clear, depth, params), hazy), 'the same parameters gave another image'
    again = degradation.apply(clear, depth, degradation.sample(seeds, 33, 27))
    assert torch.equal(again, hazy), 'the same seeds gave another image'
    replayed = degradation.apply(clear, depth, params_from_json(params_to_json(params)))
    assert torch.allclose(replayed, hazy, atol=1e-6), 'the parameters do not survive being written as plain data'
    if not degradation.composite:
        assert degradation.headline is None or degradation.headline in params, \
            f'headline {degradation.headline!r} is not among the parameters drawn: {", ".join(params)}'
        assert not degradation.children, 'a degradation with children says composite = True'
    for drawn in params_to_json(params):
        assert all(degradation.describe(drawn, every=True)), 'describe gave an empty phrase'
    for i, seed in enumerate(seeds):
        single = degradation.apply(clear[i:i + 1], depth[i:i + 1], degradation.sample([seed], 33, 27))
        assert torch.equal(single[0], hazy[i]), f'sample {i} differs between a batch and alone'
    assert degradation.apply(clear, None, params).shape == clear.shape, 'photos without depth must work'
    for height, width in ((1, 1), (1, 9), (5, 2)):
        small, near = clear[:1, :, :height, :width], depth[:1, :, :height, :width]
        out = degradation.apply(small, near, degradation.sample(seeds[:1], height, width))
        assert out.shape == small.shape and torch.isfinite(out).all(), f'an image of {height}x{width} does not work'


def check_metric(component):
    """A metric gives one row per image, whatever the batch and the order, and calls equal images the best.

    Args:
        component (dict | ImageMetric): Config (or instance) of the metric.
    """
    metric = _build(METRICS, component)
    variant = f'-{metric.variant}' if metric.variant else ''
    assert metric.quantity and metric.source and metric.label == f'{metric.quantity}{variant}@{metric.source}'
    assert isinstance(metric.higher_is_better, bool) and isinstance(metric.unit, str)
    assert {*metric.depends_on} <= {*CHOICES}, f'depends_on names choices of a protocol: {", ".join(CHOICES)}'
    side = max(metric.min_size, 24)
    samples, inputs = [], []
    for index, (height, width) in enumerate([(side, side + 5), (side + 3, side), (side, side + 5), (side, side + 5)]):
        gt = (_images(1, height, width, index)[0] * 255).byte()
        pred = (gt / 255 + 0.1 * (index + 1) * (_images(1, height, width, index + 9)[0] - 0.5)).clamp(0, 1)
        samples.append(dict(img_path=f'{index}.png', domain='ab'[index % 2], gt=gt, pred=pred, test_index=index))
        inputs.append(gt // 2)
    samples += [dict(samples[0], img_path='no gt', gt=None, test_index=4),
                dict(img_path='unreadable', broken=True, domain='a', test_index=5)]
    inputs += [inputs[0], torch.zeros(3, 8, 8, dtype=torch.uint8)]
    given = copy.deepcopy((samples, inputs))

    def rows(*batches):
        metric.results.clear()
        for batch in batches:
            metric.process(dict(inputs=[inputs[i] for i in batch]), [samples[i] for i in batch])
        return sorted(metric.results, key=lambda row: row['index'])

    with _draws_nothing('a metric'):
        alone = rows([0], [1], [2], [3], [4], [5])
    assert [row['index'] for row in alone] == list(range(6)), 'a metric appends one row per sample, always'
    assert set(alone[0]) == {'index', 'img_path', 'domain', 'value', 'baseline'}
    for row in alone:
        measured = row['index'] < (4 if metric.needs_gt else 5)
        for field in ('value', 'baseline'):
            value = row[field]
            assert isinstance(value, float) and math.isfinite(value) if measured else value is None, f'{field}: {row}'
    assert rows([3, 0, 1], [5, 2, 4]) == alone, 'a number depends on the batch or the order'
    for old, new in zip([*given[0], *given[1]], [*samples, *inputs], strict=True):
        for a, b in zip(*(x.values() if isinstance(x, dict) else [x] for x in (old, new)), strict=True):
            assert torch.equal(a, b) if torch.is_tensor(a) else a == b, 'process changed what it was given'
    same = [0, 2, 3]
    gt = torch.stack([samples[i]['gt'] for i in same]) if metric.needs_gt else None
    values = metric.measure(*metric.prepare(torch.stack([samples[i]['pred'] for i in same]), gt))
    expected = torch.tensor([alone[i]['value'] for i in same], dtype=torch.float64)
    assert values.shape == (3,) and torch.allclose(values.double(), expected, atol=1e-4), 'measure: (N,) for N images'

    means = metric.evaluate(6)
    assert set(means) == {f'{domain}/{kind}{metric.label}' for domain in 'ab' for kind in ('', 'input_')}
    assert metric.last_results == [row for row in alone if row['value'] is not None]
    of_b = [row['value'] for row in alone if row['domain'] == 'b']
    assert means[f'b/{metric.label}'] == math.fsum(of_b) / len(of_b), 'means are math.fsum(values) / number'
    if metric.needs_gt:
        values = torch.tensor([row['value'] for row in alone[:4]])
        samples[:4] = [dict(sample, pred=sample['gt'] / 255) for sample in samples[:4]]
        perfect = torch.tensor([row['value'] for row in rows([0, 1, 2, 3])])
        better = perfect > values if metric.higher_is_better else perfect < values
        assert better.all(), f'equal images must be the best: {perfect.tolist()} against {values.tolist()}'


def check_dataset(component):
    """A dataset's items are packed, depend on their index and draw only, and travel to worker processes."""
    dataset = _build(DATASETS, component)
    assert len(dataset) > 0
    with _draws_nothing('reading an item'):
        item, other, again = dataset[(0, 7)], dataset[(len(dataset) - 1, 8)], dataset[(0, 7)]
    _check_item(other)
    for a, b in zip(_check_item(item), _check_item(again), strict=True):
        assert torch.equal(a, b), 'the same draw gave another item'
    copy_of_it = pickle.loads(pickle.dumps(dataset))
    for a, b in zip(_check_item(item), _check_item(copy_of_it[(0, 7)]), strict=True):
        assert torch.equal(a, b), 'a copy of the dataset in another process would give another item'
    assert dataset.list_hash() == copy_of_it.list_hash(), 'list_hash() of a copy is another'
    assert all(isinstance(path, str) for path in dataset.files(0).values()), 'files(index) is a dict of paths'
    assert all(len(leaf) > 0 for _, leaf in dataset.leaves()) and dataset.leaves(), 'leaves() names no dataset'
    assert dataset.broken() == [], 'a file is broken'
    for index in (len(dataset), (len(dataset), 0)):
        try:
            dataset[index]
        except IndexError:
            continue
        raise AssertionError(f'item {index} of {len(dataset)} must be an IndexError')


def _check_item(item):
    """Hold an item (and its target) to the contract of a sample; return its tensors."""
    inputs, sample = item['inputs'], item['data_samples']
    assert inputs.dtype == torch.uint8 and inputs.dim() == 3 and inputs.shape[0] == 3, 'inputs: uint8 (3, H, W)'
    assert isinstance(sample, RestoreSample), f'data_samples is a {type(sample).__name__}, not a RestoreSample'
    assert isinstance(sample.get('seed'), int), "the metainfo lacks the draw's seed"
    assert tuple(sample.get('ori_shape')) == tuple(inputs.shape[-2:]), 'ori_shape is not the size of inputs'
    tensors = [inputs]
    if 'gt' in sample:
        assert sample.gt.dtype == torch.uint8 and sample.gt.shape == inputs.shape, 'gt: uint8, as large as inputs'
        tensors.append(sample.gt)
    if 'depth' in sample:
        assert sample.depth.dtype == torch.float32 and sample.depth.shape == (1, *inputs.shape[-2:])
        tensors.append(sample.depth)
    if 'target' in item:
        assert 'gt' not in item['target']['data_samples'], 'a target image has ground truth, which training could see'
        tensors += _check_item(item['target'])
    return tensors
