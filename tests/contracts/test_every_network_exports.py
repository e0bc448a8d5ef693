"""Every registered network traces and exports, and gives the same images as the pipeline at any size."""

import math

import pytest
import torch
from test_contracts import EXAMPLES

from restorekit.inference import RestorationPipeline
from restorekit.inference.torch_backend import TorchBackend
from restorekit.models.graph import RestorationGraph
from restorekit.registry import MODELS
from restorekit.tasks.export import describe, runnable, to_onnx, trace

NETWORKS = [pytest.param(dict(config, type=name), id=f'{name}-{i}')
            for name, configs in EXAMPLES['network'].items()
            for i, config in enumerate(configs if isinstance(configs, list) else [configs])]


def build(config):
    torch.manual_seed(0)
    return MODELS.build(dict(config)).eval().requires_grad_(False)


def restore(network, image):
    """What the pipeline makes of a batch of one."""
    pipeline = object.__new__(RestorationPipeline)
    pipeline.backend, pipeline.checkpoint = TorchBackend(network, 'cpu'), 'none'
    pipeline.tile, pipeline.strength, pipeline.protect_highlights = 'off', 1.0, False
    return pipeline(image)


@pytest.mark.parametrize('config', NETWORKS)
def test_torchscript_trace(config):
    network = build(config)
    divisor = network.size_divisor
    size = math.ceil(max(network.min_size, 2 * divisor) / divisor) * divisor
    traced = torch.jit.trace(network, torch.rand(1, 3, size, size + divisor), check_trace=False)
    other = torch.rand(1, 3, size + 2 * divisor, size + 3 * divisor)
    assert torch.allclose(traced(other), network(other), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize('config', NETWORKS)
def test_export_and_onnx_with_free_sizes(config):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    network = build(config)
    program = trace(network)
    module = runnable(program)
    session = onnxruntime.InferenceSession(to_onnx(program, describe(network)), providers=['CPUExecutionProvider'])
    for size in (1, 1), (17, 100), (network.min_size + 41, network.min_size + 22):
        image = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 11), size=size, mode='bicubic')
        image = image * 0.6 + 0.2  # clipped values have no order
        expected = restore(network, image)
        assert torch.allclose(module(image), expected, atol=2e-3)
        assert torch.allclose(torch.from_numpy(session.run(None, dict(image=image.numpy()))[0]), expected, atol=2e-3)


@pytest.mark.parametrize('size', [(1, 1), (5, 40), (63, 64), (90, 70)])
def test_the_graph_does_what_the_pipeline_does(size):
    network = build(dict(type='AODNet'))
    network.size_divisor, network.min_size = 8, 16
    from restorekit.functional.padding import pad_to_multiple, unpad
    graph = RestorationGraph(network)
    x = torch.rand(1, 3, *size)
    padded, padding = pad_to_multiple(x, 8, 16)
    assert torch.allclose(graph(x), unpad(network(padded), padding).clamp(0, 1), atol=1e-6)
    pixels = (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    coded = RestorationGraph(network, uint8=True)
    assert coded(pixels).dtype == torch.uint8 and coded(pixels).shape == pixels.shape
    expected = graph(pixels.permute(0, 3, 1, 2) / 255).permute(0, 2, 3, 1)
    assert (coded(pixels).float() / 255 - expected).abs().max() < 3e-3
