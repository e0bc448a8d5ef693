"""State dicts of the authors' code load strictly, and then give the authors' output.

tests/data/published_networks.txt holds, for a small instance of each network, the names and shapes of the authors'
tensors and a few values of the authors' output, with tensors filled by :func:`fill`. It was written once, by running
their code outside this repository.
"""

import json
import math
import zlib
from pathlib import Path

import pytest
import torch

from restorekit import models

FILE = Path(__file__).parents[1] / 'data' / 'published_networks.txt'


def fill(name, shape):
    """A tensor that depends on its name and shape only, of a size that keeps signals in range."""
    count = math.prod(shape)
    wave = torch.sin(torch.arange(count, dtype=torch.float64) * 0.7 + zlib.crc32(name.encode()) % 1000).view(shape)
    if len(shape) > 1:
        return (wave * (count / shape[0]) ** -0.5).float()
    return (0.1 * wave + (name.endswith(('weight', 'running_var')))).float()


def image(network):
    """The image the output was recorded for, in the network's input range."""
    size = max(32, network.min_size)
    low, high = network.input_range
    wave = torch.sin(torch.arange(3 * size * (size + 32), dtype=torch.float64) * 0.1).view(1, 3, size, size + 32)
    return ((wave + 1) / 2 * (high - low) + low).float()


def probe(output):
    """Five values of an image."""
    return output.flatten()[:: output.numel() // 4 - 7][:5].double()


def published():
    """(class name, arguments, {name: shape}, values of the output) of every entry of the file."""
    for entry in FILE.read_text().split('\n> ')[1:]:
        head, *lines = entry.strip().split('\n')
        name, values, kwargs = head.split(' ', 2)
        shapes = dict((*line.split(' '), '')[:2] for line in lines)
        shapes = {key: tuple(map(int, filter(None, shape.split('x')))) for key, shape in shapes.items()}
        yield pytest.param(name, json.loads(kwargs), shapes, [float(v) for v in values.split(',')],
                           id=f'{name}{"-fused" if "fused" in kwargs else ""}')


@pytest.mark.parametrize(('name', 'kwargs', 'shapes', 'values'), published())
def test_published_state_dict_gives_the_published_output(name, kwargs, shapes, values):
    network = getattr(models, name)(**kwargs).eval()
    x = image(network).double()  # in float32, the sums of another processor differ by more than the bound
    state = {f'module.{key}': fill(key, shape) for key, shape in shapes.items()}
    network.load_state_dict(type(network).from_published(state), strict=True)
    with torch.no_grad():
        output = network.double()(x)
    assert probe(output).tolist() == pytest.approx(values, abs=1e-4, rel=1e-4)
    assert (output - x).std() > 0.01


def test_networks_with_published_names_are_all_in_the_file():
    classes = [value for value in (getattr(models, name) for name in dir(models))  # which imports all
               if isinstance(value, type) and issubclass(value, models.RestorationNetwork)]
    named = {cls.__name__ for cls in classes if cls.published_names} - {'AODNet'}  # its weights were never PyTorch's
    assert named == {param.values[0] for param in published()}


def test_deanet_fused_equals_unfused_and_holds_fewer_numbers():
    torch.manual_seed(0)
    network, x = models.DEANet(channels=8, blocks=(1, 1, 1)).eval(), torch.rand(1, 3, 20, 24)
    before, count = network(x), sum(p.numel() for p in network.parameters())
    fused = network.fuse()
    assert torch.allclose(fused(x), before, atol=1e-6)
    assert sum(p.numel() for p in fused.parameters()) < count
    other = models.DEANet(channels=8, blocks=(1, 1, 1), fused=True)
    other.load_state_dict(fused.state_dict(), strict=True)


@pytest.mark.parametrize(('name', 'kwargs'), [
    ('AODNet', {}), ('UNet', dict(channels=(4, 8, 8))), ('GridDehazeNet', dict(channels=4, growth=4, layers=1))])
def test_exact_tiling_needs_no_more_than_the_declared_receptive_field(name, kwargs):
    torch.manual_seed(0)
    network = getattr(models, name)(**kwargs).double().eval()
    for parameter in network.parameters():  # everything passes the ReLUs, so that nothing hides
        torch.nn.init.uniform_(parameter, 0.001, 0.05)
    divisor, reach = network.size_divisor, network.receptive_field // 2
    side = -(-(2 * reach + divisor) // divisor) * divisor
    x = torch.rand(1, 3, side + 4 * divisor, side + 4 * divisor, dtype=torch.double)
    cut = slice(2 * divisor, 2 * divisor + side)
    with torch.no_grad():
        whole, tile = network(x)[..., cut, cut], network(x[..., cut, cut])
    inner = slice(reach, side - reach)
    assert torch.allclose(whole[..., inner, inner], tile[..., inner, inner], atol=1e-12)
    assert not torch.allclose(whole, tile, atol=1e-12)  # the margin does matter

