"""The published network of CID: sizes, numbers, and its checkpoints there and back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from restorekit.cli.main import main
from restorekit.registry import MODELS
from restorekit.zoo import CID_NETWORK, published_to_restorekit, restorekit_to_published

torch.set_num_threads(1)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    network = MODELS.build(CID_NETWORK).eval()
    for key, value in network.state_dict().items():  # statistics and gains as a trained network has them, not 0 and 1
        if key.endswith('running_var'):
            value.uniform_(0.5, 1.5)
        elif key.endswith('running_mean'):
            value.normal_(0, 0.1)
        elif value.dim() == 1 and value.is_floating_point() and key.endswith('weight'):
            value.uniform_(0.3, 0.6)
        elif value.dim() == 1 and value.is_floating_point():
            value.normal_(0, 0.1)
        elif key.startswith(('decoder.enhancer', 'decoder.tail')):
            value.mul_(2)
    return network


@pytest.fixture(scope='module')
def published(network):
    return restorekit_to_published(network.state_dict())[0]


# ---- the reference: the published network, written as functions that read the published names

def conv(state, name, x, stride=1, padding=0):
    return F.conv2d(x, state[f'{name}.weight'], state.get(f'{name}.bias'), stride, padding)


def norm(state, name, x):
    mean, var, weight, bias = (state[f'{name}.{part}'].view(1, -1, 1, 1)
                               for part in ('running_mean', 'running_var', 'weight', 'bias'))
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def bottle2neck(state, name, x, stride, first):
    width = state[f'{name}.convs.0.weight'].shape[0]
    parts = torch.relu(norm(state, f'{name}.bn1', conv(state, f'{name}.conv1', x))).split(width, 1)
    assert len(parts) == 4
    y, out = None, []
    for i in range(3):
        y = parts[i] if i == 0 or first else y + parts[i]
        y = torch.relu(norm(state, f'{name}.bns.{i}', conv(state, f'{name}.convs.{i}', y, stride, 1)))
        out.append(y)
    out.append(F.avg_pool2d(parts[3], 3, stride, 1, count_include_pad=True) if first else parts[3])
    out = norm(state, f'{name}.bn3', conv(state, f'{name}.conv3', torch.cat(out, 1)))
    if first:
        x = F.avg_pool2d(x, stride, stride, ceil_mode=True, count_include_pad=False)
        x = norm(state, f'{name}.downsample.2', conv(state, f'{name}.downsample.1', x))
    return torch.relu(out + x)


def dehaze_block(state, name, x):
    y = torch.relu(conv(state, f'{name}.conv1', x, padding=1)) + x
    y = conv(state, f'{name}.conv2', y, padding=1)
    gate = torch.relu(conv(state, f'{name}.calayer.ca.0', F.adaptive_avg_pool2d(y, 1)))
    y = y * torch.sigmoid(conv(state, f'{name}.calayer.ca.2', gate))
    gate = torch.relu(conv(state, f'{name}.palayer.pa.0', y))
    return y * torch.sigmoid(conv(state, f'{name}.palayer.pa.2', gate)) + x


def reference_cid(state, x):
    for conv_index in (0, 3, 6):
        x = conv(state, f'encoder.conv1.{conv_index}', x, 2 if conv_index == 0 else 1, 1)
        x = norm(state, 'encoder.bn1' if conv_index == 6 else f'encoder.conv1.{conv_index + 1}', x)
        x = torch.relu(x)
    x = F.max_pool2d(x, 3, 2, 1)
    skips = []
    for stage, (blocks, stride) in enumerate([(3, 1), (4, 2), (23, 2)], start=1):
        for i in range(blocks):
            x = bottle2neck(state, f'encoder.layer{stage}.{i}', x, stride if i == 0 else 1, i == 0)
        skips.append(x)
    mid = dehaze_block(state, 'mid_conv', x)
    x = torch.cat([dehaze_block(state, 'attention1', F.pixel_shuffle(mid, 2)), skips[1]], 1)
    x = torch.cat([dehaze_block(state, 'attention2', F.pixel_shuffle(x, 2)), skips[0]], 1)
    x = F.pixel_shuffle(F.pixel_shuffle(x, 2), 2)
    f = F.leaky_relu(conv(state, 'enhancer.refine1', x, padding=1), 0.2)
    f = F.leaky_relu(conv(state, 'enhancer.refine2', f, padding=1), 0.2)
    pyramid = []
    for size, name in ((32, 'conv1010'), (16, 'conv1020'), (8, 'conv1030'), (4, 'conv1040')):
        pooled = F.leaky_relu(conv(state, f'enhancer.{name}', F.avg_pool2d(f, size, size)), 0.2)
        pyramid.append(pooled.repeat_interleave(size, 2).repeat_interleave(size, 3))
    x = torch.tanh(conv(state, 'enhancer.refine3', torch.cat([*pyramid, f], 1), padding=1))
    return torch.tanh(conv(state, 'tail1.1', F.pad(x, (3, 3, 3, 3), mode='reflect'))), mid


@pytest.mark.parametrize('height, width', [(64, 96), (32, 32)])
def test_it_computes_what_the_published_network_computes(network, published, height, width):
    x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        image, embedding = network.forward_features(x)
        expected_image, expected_embedding = reference_cid(published, x)
    assert 0.1 < expected_image.std() < 0.9 and expected_embedding.std() > 0.1, 'the comparison would see nothing'
    assert (image - expected_image).abs().max() < 1e-4
    assert (embedding - expected_embedding).abs().max() < 1e-4 * max(1, expected_embedding.abs().max())


def test_published_sizes(network, published):
    assert sum(p.numel() for p in network.parameters()) == 49_351_930
    counts = {}
    for key in published:
        counts[key.split('.')[0]] = counts.get(key.split('.')[0], 0) + 1
    assert counts == dict(encoder=936, mid_conv=12, attention1=12, attention2=12, enhancer=16, tail1=2)
    assert tuple(published['tail1.1.weight'].shape) == (3, 28, 7, 7)
    assert tuple(published['enhancer.batch1.bias'].shape) == (100,)


def test_there_and_back_is_the_identity(network, published):
    state, report = published_to_restorekit({f'module.{key}': value for key, value in published.items()})
    own = network.state_dict()
    assert list(state) == list(own) and all(state[key] is own[key] or state[key].equal(own[key]) for key in own)
    assert ('mid_conv.calayer.ca.2.bias', 'decoder.mid_block.channel_attention.gate.2.bias') in report
    assert len(report) == 990
    again, _ = restorekit_to_published({f'network.{key}': value for key, value in state.items()})
    assert list(again) == list(published) and all(again[key].equal(published[key]) for key in again)


def test_every_key_that_differs_is_named(published):
    state = dict(published)
    state['attention1.conv1.wieght'] = state.pop('attention1.conv1.weight')
    del state['enhancer.batch1.weight']
    state['tail1.1.bias'] = torch.zeros(4)
    with pytest.raises(ValueError) as error:
        published_to_restorekit(state)
    for part in ("2 missing: 'attention1.conv1.weight', 'enhancer.batch1.weight'",
                 "1 unexpected: 'attention1.conv1.wieght'", "'tail1.1.bias' is (4,), not (3,)"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="990 missing: 'encoder.conv1.0.weight'"):
        restorekit_to_published({'conv.weight': torch.zeros(1)})


# ---- files

def convert(capsys, *args):
    """Run the command; returns its output, raises SystemExit with its message where it fails."""
    status = main(['convert', *map(str, args)])
    output = capsys.readouterr()
    if status:
        raise SystemExit(output.err)
    return output.out


@pytest.mark.slow
def test_files_there_and_back(network, published, tmp_path, capsys):
    checkpoint = pytest.importorskip('restorekit.checkpoint')
    source, ours, back = tmp_path / 'cid.pk', tmp_path / 'cid.pth', tmp_path / 'back.pk'
    torch.save(dict(step=3, epoch=1, losses=[0.5, 0.25], psnrs=[np.float64(20.5)],
                    model={f'module.{key}': value for key, value in published.items()}), source)
    out = convert(capsys, source, ours)
    assert 'attention2.palayer.pa.0.bias -> decoder.attention_blocks.1.pixel_attention.gate.0.bias (24,)' in out
    assert '990 tensors' in out and 'output range (0.0, 1.0)' in out

    content = torch.load(ours, weights_only=True)
    meta = content['meta']['restorekit']
    rebuilt = checkpoint.network_config_from_json(meta['network'])
    assert meta['format'] == 1 and rebuilt['encoder'] == dict(type='Res2Net', depth=101, out_indices=[0, 1, 2])
    network.load_state_dict({key.removeprefix('network.'): value for key, value in content['state_dict'].items()})

    with pytest.raises(SystemExit, match='exists; give another name, or --force'):
        convert(capsys, source, ours)
    out = convert(capsys, ours, back, '--reverse', '--quiet')
    assert out.count('\n') == 1
    again = torch.load(back, weights_only=True)['model']
    assert all(again[f'module.{key}'].equal(value) for key, value in published.items()) and len(again) == 990


@pytest.mark.slow
def test_safetensors_hold_the_bare_network(network, published, tmp_path, capsys):
    pytest.importorskip('restorekit.checkpoint')
    from safetensors.torch import load_file
    source, ours = tmp_path / 'cid.pk', tmp_path / 'cid.safetensors'
    torch.save(dict(model=published), source)
    convert(capsys, source, ours, '--quiet')
    state = load_file(ours)
    assert all(state[key].equal(value) for key, value in network.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ['cid.pk', 'cid.safetensors']
    with pytest.raises(SystemExit, match='safetensors cannot hold'):
        convert(capsys, ours, tmp_path / 'back.safetensors', '--reverse')


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    pytest.importorskip('restorekit.checkpoint')
    source, trace = tmp_path / 'cid.pk', tmp_path / 'trace'
    torch.save(dict(model=Malicious(trace)), source)
    with pytest.raises(SystemExit, match='was not loaded'):
        convert(capsys, source, tmp_path / 'ours.pth')
    assert not trace.exists() and not (tmp_path / 'ours.pth').exists()
