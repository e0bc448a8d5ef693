import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from restorekit.functional.shrink import shrink
from restorekit.inference import ImageMemoryError, RestorationPipeline
from restorekit.inference.blending import enlarge_rows
from restorekit.inference.forward_memory import forward_memory
from restorekit.inference.memory import free_memory
from restorekit.inference.tiling import plan_axis, restore_tiles
from restorekit.inference.torch_backend import TorchBackend
from restorekit.models import AODNet, RestorationNetwork
from restorekit.models.blocks import ChannelAttention
from restorekit.registry import MODELS


def picture(height, width, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype=dtype)


def pipeline(network, tile='auto', **options):
    """A pipeline of a network that comes from no file."""
    from restorekit.inference.torch_backend import TorchBackend
    made = object.__new__(RestorationPipeline)
    made.checkpoint, made.backend = 'none', TorchBackend(network.eval().requires_grad_(False), 'cpu')
    made.tile, made.strength, made.protect_highlights = tile, 1.0, False
    for name, value in options.items():
        setattr(made, name, value)
    return made


class Strided(RestorationNetwork):
    """Down by 4 and up again, with an average over the whole image unless ``attention`` is False."""

    size_divisor = 4

    def __init__(self, attention):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 4, stride=4)
        self.attention = ChannelAttention(8) if attention else nn.Identity()
        if attention:
            self.attention.gate[2].weight.data.mul_(40)
        self.up = nn.ConvTranspose2d(8, 3, 4, stride=4)
        self.tiling = 'approximate' if attention else 'exact'
        self.receptive_field = None if attention else 9

    def forward(self, x):
        return x + self.up(self.attention(self.down(x)))


class Coefficients(RestorationNetwork):
    """A gain for each colour from the mean of the image."""

    tiling = 'coefficients'

    def coefficients(self, x):
        return (1 / (0.5 + x.mean((2, 3), keepdim=True)),)

    def apply_coefficients(self, x, gain, rows=None, height=None):
        if rows is not None and height is None:
            x = x[:, :, rows]
        return x * gain

    def forward(self, x):
        return self.apply_coefficients(x, *self.coefficients(x))


@settings(max_examples=150, deadline=None)
@given(size=st.integers(1, 700), tile=st.integers(32, 300), overlap=st.integers(0, 40), ramp=st.integers(0, 40),
       divisor=st.sampled_from([1, 2, 4, 7, 16]), min_size=st.integers(1, 40))
def test_tiles_cover_the_image_and_weights_sum_to_one(size, tile, overlap, ramp, divisor, min_size):
    axis = plan_axis(size, tile, overlap, ramp, divisor, min_size)
    padded = len(axis.index)
    assert padded % divisor == 0 and padded >= max(size, min_size)
    assert (axis.index[axis.before:axis.before + size] == np.arange(size)).all()
    total = np.zeros(padded)
    for number, start in enumerate(axis.starts):
        begin, end = axis.active(number)
        assert start % divisor == 0 and start + axis.tile <= padded and axis.tile >= min_size
        assert start + (overlap if number else 0) <= begin < end
        assert end <= start + axis.tile - (overlap if number + 1 < len(axis.starts) else 0)
        total[begin:end] += axis.weights(number)
    assert np.allclose(total, 1, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 200), width=st.integers(1, 200), tile=st.integers(32, 120),
       divisor=st.sampled_from([1, 4, 8]))
def test_tiles_of_a_copying_network_are_the_image(height, width, tile, divisor):
    image = picture(height, width).astype(np.float32)
    rows, columns = (plan_axis(size, tile, 8, 8, divisor) for size in (height, width))
    result, covered = np.zeros_like(image), 0
    for start, strip in restore_tiles(lambda r, c: image[r][:, c], lambda x: x, rows, columns):
        assert start == covered
        result[start:start + len(strip)] = strip
        covered += len(strip)
    assert covered == height and np.allclose(result, image, atol=1e-3)


@pytest.mark.parametrize('network', [AODNet(), Strided(attention=False)])
@pytest.mark.parametrize('size', [(150, 190), (97, 33), (64, 201)])
def test_exact_tiles_equal_the_whole(network, size):
    torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.data = torch.randn_like(parameter) * 0.2
    image = picture(*size)
    whole, tiled = pipeline(network, 'off')(image), pipeline(network, 48)(image)
    assert np.abs(whole.astype(int) - tiled).max() <= 1 and not np.array_equal(whole, image)
    floats = image / np.float32(255)
    assert np.abs(pipeline(network, 'off')(floats) - pipeline(network, 48)(floats)).max() < 1e-5


def test_approximate_tiles_use_the_average_of_the_whole_image():
    torch.manual_seed(0)
    network = Strided(attention=True)
    ramp = np.linspace(0, 1, 256, dtype=np.float32)
    image = np.stack([np.tile(ramp, (192, 1)), np.tile(ramp[::-1], (192, 1)), np.full((192, 256), 0.5)], axis=2)
    image = image.astype(np.float32)
    whole = pipeline(network, 'off')(image)
    held = pipeline(network, 64)(image)
    assert np.abs(whole - held).max() < 2e-3
    made = pipeline(network, 64)
    made.backend.tiling = 'exact'  # each tile by its own average
    assert np.abs(whole - made(image)).max() > 2e-2


def test_networks_that_cannot_be_tiled_say_so():
    class Whole(AODNet):
        tiling = 'never'
    with pytest.raises(ValueError, match='Whole cannot be tiled'):
        pipeline(Whole(), 64)(picture(100, 100))
    made = pipeline(Whole())
    made.backend.free = lambda: 10_000
    with pytest.raises(ImageMemoryError, match=r'the image \(100x90\) needs about .* for one pass of Whole, but .* are '
                                               'free; this network cannot be tiled'):
        made(picture(90, 100))
    made = pipeline(AODNet(), 'off')
    made.backend.free = lambda: 10_000
    with pytest.raises(ImageMemoryError, match='leave out --tile off'):
        made(picture(90, 100))


def test_little_memory_leads_to_tiles_and_no_memory_to_a_sentence():
    made = pipeline(AODNet())
    image = picture(300, 300)
    whole = made(image)
    made.backend.free = lambda: 4 * made.backend.memory(128, 128)
    assert made.tiles(300, 300)[0] == 128
    assert np.array_equal(made(image), whole)
    made.backend.free = lambda: 1000
    with pytest.raises(ImageMemoryError, match=r'x.png \(300x300\) needs about .* for its smallest tile'):
        made.restore_pixels(image, name='x.png')


def test_smaller_tiles_after_running_out_of_memory():
    class Greedy(AODNet):
        sizes = []

        def forward(self, x):
            self.sizes.append(x.shape[-1])
            if x.shape[-1] > 130:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
            return super().forward(x)
    torch.manual_seed(0)
    network = Greedy()
    image = picture(300, 300)
    expected = pipeline(_same_weights(network))(image)
    assert np.array_equal(pipeline(network)(image), expected)
    assert network.sizes[0] == 300 and network.sizes[-1] == 128


def _same_weights(network):
    plain = AODNet()
    plain.load_state_dict(network.state_dict())
    return plain


def test_memory_that_is_never_enough_is_this_images_failure():
    class Hungry(AODNet):
        def forward(self, x):
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 9 GiB')
    with pytest.raises(ImageMemoryError, match=r'x.png \(40x40\) does not fit into the memory of cpu'):
        pipeline(Hungry()).restore_pixels(picture(40, 40), name='x.png')


def test_other_errors_of_a_network_stay_what_they_are():
    class Broken(AODNet):
        def forward(self, x):
            raise RuntimeError('shapes cannot be multiplied')
    with pytest.raises(RuntimeError, match='shapes cannot be multiplied'):
        pipeline(Broken())(picture(40, 40))


def test_coefficients_are_computed_once_and_applied_in_strips(monkeypatch):
    monkeypatch.setattr('restorekit.inference.pipeline._STRIP_PIXELS', 7 * 50)
    calls = []

    class Counting(Coefficients):
        def coefficients(self, x):
            calls.append(tuple(x.shape))
            return super().coefficients(x)
    image = picture(40, 50)
    with torch.no_grad():
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        expected = (Coefficients()(x).clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pipeline(Counting())(image), expected) and calls == [(1, 3, 40, 50)]


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_shrink_is_the_mean_over_areas(dtype):
    image = picture(37, 53, dtype=dtype)
    x = torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None]
    fine = torch.nn.functional.interpolate(x, size=(37 * 5, 53 * 7), mode='nearest')
    expected = torch.nn.functional.avg_pool2d(fine, (37, 53))[0].permute(1, 2, 0).numpy()
    assert np.allclose(shrink(image, 5, 7), expected, rtol=1e-4)


def test_rows_of_an_enlarged_map_equal_the_whole():
    small = np.random.default_rng(0).random((5, 7), np.float32)
    whole = torch.nn.functional.interpolate(torch.from_numpy(small)[None, None], size=(40, 33), mode='bilinear')[0, 0]
    parts = np.concatenate([enlarge_rows(small, 40, 33, start, min(start + 9, 40)) for start in range(0, 40, 9)])
    assert np.allclose(parts, whole.numpy(), atol=1e-6)


def test_memory_of_a_pass_is_counted():
    class Wide(nn.Module):
        def forward(self, x):
            a = x.repeat(1, 8, 1, 1)  # 24 channels live beside the input
            b = a + 1
            del a
            return b[:, :3].clone()
    assert forward_memory(Wide(), 10, 20) == 4 * 10 * 20 * (3 + 24 + 24)
    assert forward_memory(AODNet(), 200, 100) == pytest.approx(forward_memory(AODNet(), 100, 100) * 2, rel=0.01)


def _taken(network, side):
    """Bytes that the system gives to a pass, by its own count of the peak, in a process that has run a small one."""
    def status(key):
        return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith(key)) * 1024
    inner, outer = os.pipe()
    if os.fork() == 0:
        try:
            with torch.inference_mode():
                network(torch.rand(1, 3, 64, 64))
                x = torch.rand(1, 3, side, side)
                with open('/proc/self/clear_refs', 'w') as file:
                    file.write('5')  # the peak begins anew
                before = status('VmRSS')
                network(x)
            os.write(outer, str(status('VmHWM') - before + x.nbytes).encode())
        finally:
            os._exit(0)
    os.wait()
    return int(os.read(inner, 100))


@pytest.mark.skipif(not os.access('/proc/self/clear_refs', os.W_OK), reason='only Linux tells the peak')
@pytest.mark.parametrize('network', [
    dict(type='AODNet'), dict(type='GUNet', depths=(1, 1, 1, 1, 1, 1, 1)),
    dict(type='EncoderDecoder', encoder=dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=8, base_width=16),
         decoder=dict(type='AffineDecoder', channels=8, head_channels=4))])
def test_the_system_takes_no_more_than_said(network):
    network = MODELS.build(network).eval()
    backend = TorchBackend(network, torch.device('cpu'))
    assert backend.memory(256, 256) > 0.75 * _taken(network, 256)


def test_a_norm_of_what_is_not_contiguous_is_counted_with_its_copy():
    class Norm(nn.Module):
        def forward(self, x):
            return nn.functional.layer_norm(x.permute(0, 2, 3, 1), (3,))
    values = 4 * 10 * 20
    assert forward_memory(Norm(), 10, 20) == values * (3 + 3 + 3 + 2)  # input, output, copy; mean and deviation


def test_networks_that_do_not_run_without_content_are_measured_on_a_small_image():
    class Reads(AODNet):
        def forward(self, x):
            return super().forward(x) if x.sum().item() >= 0 else x
    assert forward_memory(Reads(), 512, 512) == pytest.approx(forward_memory(AODNet(), 512, 512), rel=0.05)


def test_free_memory_obeys_the_limit_of_the_process():
    import resource

    from tiny import fork

    def child():
        used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 ** 27, -1))
        assert 0 < free_memory() <= 2 ** 27
    assert fork(child) == 0


def test_the_receptive_field_of_aod_net_is_the_declared():
    network = MODELS.build(dict(type='AODNet'))
    assert network.tiling == 'exact' and network.receptive_field == 15
    x = torch.full((1, 3, 41, 41), 0.9, requires_grad=True)
    for parameter in network.parameters():
        parameter.data.fill_(0.01)
    network(x)[0, :, 20, 20].sum().backward()
    touched = x.grad[0].abs().sum(0).nonzero()
    assert (touched.max(0).values - touched.min(0).values + 1).tolist() == [15, 15]
