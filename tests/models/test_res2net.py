import types

import pytest
import torch

from restorekit import checkpoint
from restorekit.models import Res2Net

torch.set_num_threads(1)


def tiny(**overrides):
    return Res2Net(**dict(dict(stage_blocks=(1, 1, 1), base_channels=16), **overrides))


@pytest.fixture
def loader(monkeypatch):
    """Stand-in for the checkpoint reader: returns what the test puts into it."""
    holder = types.SimpleNamespace(content=None)
    monkeypatch.setattr(checkpoint, 'load_checkpoint_file', lambda path, map_location: holder.content)
    return holder


def randomise(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for key, value in module.state_dict().items():
        if key.endswith('running_var'):
            value.uniform_(0.5, 1.5, generator=generator)
        elif key.endswith('running_mean') or (value.dim() == 1 and key.endswith('bias')):
            value.normal_(0, 0.1, generator=generator)
        elif value.dim() == 1:
            value.uniform_(0.4, 0.8, generator=generator)
    return module.eval()


@pytest.mark.slow
def test_depth_101_equals_timm_with_its_weights(loader):
    timm = pytest.importorskip('timm')
    torch.manual_seed(0)
    full = randomise(timm.create_model('res2net101d', pretrained=False))
    loader.content = full.state_dict()
    encoder = Res2Net(depth=101).eval()
    assert len(encoder.state_dict()) == 936
    encoder.load_pretrained(__file__)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        reference = full.forward_intermediates(x, indices=(1, 2, 3), intermediates_only=True)
        for ours, theirs in zip(encoder(x), reference, strict=True):
            assert ours.shape == theirs.shape and theirs.std() > 1e-2
            assert (ours - theirs).abs().max() < 1e-4


@pytest.mark.parametrize('options, channels, strides', [
    ({}, (64, 128, 256), (4, 8, 16)),
    (dict(out_indices=(0, 2)), (64, 256), (4, 16)),
    (dict(out_indices=(1,), scale=1), (128,), (8,)),
    (dict(base_channels=24, base_width=16, scale=2, out_indices=(0, 1)), (96, 192), (4, 8)),
    (dict(stage_blocks=[1, 2, 1, 1], out_indices=[1, 3]), (128, 512), (8, 32)),
])
def test_maps_have_the_declared_channels_and_strides(options, channels, strides):
    encoder = tiny(**options)
    assert (encoder.channels, encoder.strides) == (channels, strides)
    maps = encoder(torch.rand(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)]


def test_only_stages_up_to_the_deepest_are_built_and_all_of_them_learn():
    encoder = tiny(out_indices=(0, 1))
    assert not hasattr(encoder, 'layer3')
    sum(m.square().mean() for m in encoder(torch.rand(2, 3, 32, 32))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.mark.parametrize('options, message', [
    (dict(depth=34, stage_blocks=None), r'depth must be one of \[50, 101\], but got 34'),
    (dict(out_indices=()), 'out_indices must be ascending'),
    (dict(out_indices=(0, 4)), 'among 0, 1, 2, 3'),
    (dict(out_indices=(2, 1)), 'ascending'),
    (dict(stage_blocks=(1, 1)), 'at least 3'),
    (dict(stage_blocks=(1, 0, 1)), 'positive number of blocks'),
    (dict(scale=0), 'scale must be a positive integer, but got 0'),
    (dict(base_channels=2, base_width=26), 'at least 64'),
])
def test_wrong_options_say_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_init_weights_loads_pretrained_and_ignores_unbuilt_stages_and_counters(loader):
    full = randomise(tiny(stage_blocks=(1, 1, 1, 1), out_indices=(0, 1, 2, 3)))
    loader.content = {key: value for key, value in full.state_dict().items() if 'num_batches' not in key}
    loader.content['fc.weight'] = torch.zeros(3, 3)
    encoder = tiny(pretrained=__file__)
    encoder.init_weights()
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, full.state_dict()[key]), key


def test_a_state_dict_that_does_not_fit_is_refused(loader):
    state = tiny().state_dict()
    state['layer1.0.conv1.wieght'] = state.pop('layer1.0.conv1.weight')
    state['bn1.bias'] = torch.zeros(7)
    loader.content = state
    with pytest.raises(ValueError) as error:
        tiny().load_pretrained(__file__)
    for part in ("missing: 'layer1.0.conv1.weight'", "unexpected: 'layer1.0.conv1.wieght'",
                 "'bn1.bias' is (7,), not (16,)"):
        assert part in str(error.value)


def test_a_missing_file_and_a_url_without_a_hash_say_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match='does not exist'):
        tiny().load_pretrained(str(tmp_path / 'absent.pth'))
    with pytest.raises(ValueError, match=r'https://example\.org/net\.pth has no known hash'):
        tiny().load_pretrained('https://example.org/net.pth')



def test_depth_and_stage_blocks_contradict_each_other():
    with pytest.raises(ValueError, match='takes depth or stage_blocks, .* but got depth=50 and stage_blocks='):
        Res2Net(depth=50, stage_blocks=(1, 1, 1))
    sizes = [sum(p.numel() for p in Res2Net(**kwargs).parameters()) for kwargs in (
        dict(depth=50), dict(depth=50, stage_blocks=None), dict(stage_blocks=(3, 4, 6, 3)))]
    assert len(set(sizes)) == 1
