import importlib.util
import pickle
import sys

import numpy as np
import pytest
import torch

from restorekit.degradations import DepthEstimator
from restorekit.registry import MODELS, TRANSFORMS


@MODELS.register_module()
class RowDisparity(torch.nn.Module):
    """Disparity grows towards the bottom of the photo, times a weight."""

    calls = 0

    def __init__(self, gain=1.):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(float(gain)))

    def forward(self, x):
        type(self).calls += 1
        rows = torch.arange(x.shape[2], dtype=x.dtype)[None, :, None] - 3.
        return rows.expand(len(x), -1, x.shape[3]) * self.gain


def photo(height=30, width=40):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_disparity_becomes_depth_from_scale_to_near():
    depth = DepthEstimator(dict(type='RowDisparity'), size=30, multiple=1, near=0.2, scale=3.)(photo())
    share = np.arange(30) / 29
    np.testing.assert_allclose(depth[:, 5], 3 * 0.2 / (share * 0.8 + 0.2), rtol=1e-4)
    assert depth.shape == (30, 40) and depth.dtype == np.float32


def test_the_network_sees_a_normalised_photo_of_its_size():
    seen = []

    def network(x):
        seen.append(x)
        return x[:, :1].abs()
    image = np.full((60, 90, 3), 255, np.uint8)
    depth = DepthEstimator(network, size=42, multiple=14, mean=(0.5, 0, 0), std=(0.25, 1, 1), kind='depth')(image)
    assert seen[0].shape == (1, 3, 42, 56 + 14 * (round(63 / 14) - 4))
    torch.testing.assert_close(seen[0][0, :, 0, 0], torch.tensor([2., 1., 1.]))
    np.testing.assert_allclose(depth, np.full((60, 90), 2.))
    DepthEstimator(network, size=(14, 28), kind='depth')(image)
    assert seen[1].shape[2:] == (14, 28)


def test_weights_come_from_a_checkpoint(tmp_path):
    path = str(tmp_path / 'weights.pth')
    torch.save(dict(state_dict=dict(gain=torch.tensor(-1.))), path)
    flipped = DepthEstimator(dict(type='RowDisparity'), checkpoint=path, size=30, multiple=1)(photo())
    upright = DepthEstimator(dict(type='RowDisparity'), size=30, multiple=1)(photo())
    np.testing.assert_allclose(flipped, upright[::-1], rtol=1e-5)


def test_a_cached_map_is_estimated_once(tmp_path):
    estimator = DepthEstimator(dict(type='RowDisparity'), size=28, cache_dir=str(tmp_path / 'maps'))
    RowDisparity.calls = 0
    first, again = estimator(photo()), pickle.loads(pickle.dumps(estimator))(photo())
    assert RowDisparity.calls == 1 and np.array_equal(first, again)
    estimator(photo()[:20])
    DepthEstimator(dict(type='RowDisparity'), size=28, near=0.3, cache_dir=str(tmp_path / 'maps'))(photo())
    assert RowDisparity.calls == 3 and len(list((tmp_path / 'maps').iterdir())) == 3


def test_the_transform_fills_in_missing_depth_that_degrade_then_uses():
    estimate = dict(type='EstimateDepth', estimator=dict(network=dict(type='RowDisparity'), size=28))
    haze = dict(type='AtmosphericScattering', beta=2., airlight=1., missing_depth='error')
    transforms = [TRANSFORMS.build(estimate), TRANSFORMS.build(dict(type='Degrade', degradation=haze))]
    results = dict(gt=np.zeros((28, 28, 3), np.uint8), seed=3)
    for transform in transforms:
        results = transform(results)
    expected = 255 * (1 - np.exp(-2 * results['depth']))
    assert np.abs(results['inputs'][..., 0] - expected).max() <= 0.51 and np.ptp(expected) > 100
    kept = transforms[0](dict(gt=photo(), depth=np.ones((30, 40), np.float32)))['depth']
    assert (kept == 1).all()
    with pytest.raises(KeyError, match='EstimateDepth needs the clear image under gt'):
        transforms[0](dict(inputs=photo()))
    with pytest.raises(TypeError, match='EstimateDepth.estimator must be'):
        TRANSFORMS.build(dict(type='EstimateDepth', estimator=3))


@pytest.mark.parametrize('arguments, error, message', [
    (dict(network=3), TypeError, 'network must be an .onnx file'),
    (dict(network='depth.pth'), ValueError, "network must be an .onnx file, but got 'depth.pth'"),
    (dict(network='none.onnx'), FileNotFoundError, 'there is no ONNX file none.onnx'),
    (dict(network=abs, size=0), ValueError, 'size must be the shorter side'),
    (dict(network=abs, size=(1, 2, 3)), ValueError, 'size must be the shorter side'),
    (dict(network=abs, multiple=0), ValueError, 'multiple must be'),
    (dict(network=abs, std=(1, 1, 0)), ValueError, 'std > 0'),
    (dict(network=abs, kind='inverse'), ValueError, 'kind must be one of'),
    (dict(network=abs, scale=-1), ValueError, 'scale'),
    (dict(network=abs, checkpoint='a.pth'), ValueError, 'checkpoint is for a torch module'),
    (dict(network=abs, cache_dir='maps'), ValueError, 'cache_dir needs a network given as file or config'),
])
def test_bad_settings_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DepthEstimator(**arguments)


def test_bad_maps_and_photos_are_refused():
    with pytest.raises(ValueError, match='must return one map'):
        DepthEstimator(lambda x: x, size=14)(photo())
    with pytest.raises(ValueError, match="the network's map: 1200 of 1200 values are NaN"):
        DepthEstimator(lambda x: x[:, 0] * float('nan'), size=14)(photo())
    with pytest.raises(TypeError, match='must be a uint8 array .*float32'):
        DepthEstimator(lambda x: x[:, 0])(photo().astype(np.float32))


def test_without_onnxruntime_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / 'depth.onnx').write_bytes(b'x')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "restorekit\[export\]"'):
        DepthEstimator(str(tmp_path / 'depth.onnx'))(photo())


@pytest.mark.skipif(importlib.util.find_spec('onnxruntime') is None or importlib.util.find_spec('onnx') is None,
                    reason='needs the extra export')
@pytest.mark.parametrize('sides', [('h', 'w'), (28, 42)])
def test_an_onnx_file_gives_what_its_torch_twin_gives(tmp_path, sides):
    import onnx
    from onnx import TensorProto, helper
    node = helper.make_node('ReduceMax', ['image'], ['map'], axes=[1], keepdims=1)
    graph = helper.make_graph([node], 'depth', [
        helper.make_tensor_value_info('image', TensorProto.FLOAT, (1, 3, *sides))], [
        helper.make_tensor_value_info('map', TensorProto.FLOAT, (1, 1, *sides))])
    path = str(tmp_path / 'depth.onnx')
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8), path)
    options = dict(kind='disparity', size=(28, 42) if sides[0] == 28 else 28)
    estimator = pickle.loads(pickle.dumps(DepthEstimator(path, **options)))
    expected = DepthEstimator(lambda x: x.amax(dim=1, keepdim=True), **options)
    np.testing.assert_allclose(estimator(photo(28, 42)), expected(photo(28, 42)), atol=1e-5)
