import numpy as np
import pytest
import torch

import restorekit
from restorekit.checkpoint import atomic_save, network_json, network_state
from restorekit.cli.main import main
from restorekit.models import AODNet, Restorer
from restorekit.models.networks import SpandrelNetwork

spandrel = pytest.importorskip('spandrel')
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
from spandrel.architectures.DnCNN.__arch.network_dncnn import DnCNN
from spandrel.architectures.NAFNet.__arch.NAFNet_arch import NAFNet
from spandrel.architectures.RestoreFormer.__arch.restoreformer_arch import RestoreFormer
from spandrel.architectures.RetinexFormer.__arch.retinexformer_arch import RetinexFormer
from spandrel.architectures.SCUNet.__arch.SCUNet import SCUNet


def nafnet(seed=0):
    torch.manual_seed(seed)
    network = NAFNet(width=8, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1])
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def picture(height=24, width=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected(network, image):
    """What spandrel itself gives."""
    descriptor = spandrel.ModelLoader(device='cpu').load_from_state_dict(network.state_dict())
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    return (descriptor(x)[0] * 255).round().byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize('key', [None, 'params_ema', 'params', 'model', 'net', 'generator'])
@pytest.mark.parametrize('prefix', ['', 'module.', 'netG.', 'generator.'])
def test_state_dicts_of_other_tools_unwrap(key, prefix):
    state = {f'{prefix}conv.weight': torch.ones(1), f'{prefix}conv.bias': torch.ones(1)}
    wrapped = state if key is None else {key: state, 'iter': 5, 'optimizer': {'lr': 1}}
    assert list(network_state(wrapped)) == ['conv.weight', 'conv.bias']


@pytest.mark.parametrize(('make', 'size'), [(nafnet, (24, 40)), (nafnet, (17, 33)),
                                            (lambda: DnCNN(in_nc=3, out_nc=3, nc=8, nb=5).eval(), (13, 9)),
                                            (lambda: SCUNet(in_nc=3, config=[1] * 7, dim=64).eval(), (64, 64)),
                                            (lambda: RetinexFormer(n_feat=8, stage=1).eval(), (21, 46)),
                                            (lambda: RestoreFormer(  # in and out in [-1, 1]
                                                n_embed=8, embed_dim=32, ch=32, ch_mult=(1, 1), num_res_blocks=1,
                                                z_channels=32, attn_resolutions=(), resolution=32).eval(), (40, 33))])
def test_the_output_is_spandrels(make, size, tmp_path):
    torch.manual_seed(0)
    network = make()
    torch.save({'params_ema': network.state_dict()}, tmp_path / 'theirs.pth')
    model = restorekit.load(tmp_path / 'theirs.pth')
    image = picture(*size)
    divisor = model.backend.size_divisor
    if isinstance(network, NAFNet) and (size[0] % divisor or size[1] % divisor):  # reflected here, black there
        assert model(image).shape == image.shape
    else:
        assert np.abs(model(image).astype(int) - expected(network, image)).max() <= 1
    assert not np.array_equal(model(image), image)


def test_the_command_runs_them_and_prints_whose_they_are(tmp_path, make_images, capsys):
    torch.save(nafnet().state_dict(), tmp_path / 'theirs.pth')
    source, = make_images(tmp_path, ['a.png'])
    assert main(['restore', str(source), '-o', str(tmp_path / 'out.png'), '--checkpoint',
                 str(tmp_path / 'theirs.pth')]) == 0
    assert 'NAFNet: run by spandrel (MIT)' in capsys.readouterr().err
    assert main(['info', str(tmp_path / 'theirs.pth')]) == 0
    assert 'licence' in capsys.readouterr().out


def test_networks_that_do_not_restore_rgb_are_refused(tmp_path):
    torch.save(SRVGGNetCompact(num_feat=8, num_conv=2, upscale=4).state_dict(), tmp_path / 'x4.pth')
    with pytest.raises(RuntimeError, match=r'x4.pth is a Compact of scale 4, which enlarges images'):
        restorekit.load(tmp_path / 'x4.pth')
    torch.save(DnCNN(in_nc=1, out_nc=1, nc=8, nb=5).state_dict(), tmp_path / 'grey.pth')
    with pytest.raises(RuntimeError, match=r'grey.pth is a DnCNN with 1 channels in and 1 out'):
        restorekit.load(tmp_path / 'grey.pth')
    torch.save({'a.weight': torch.ones(3, 3)}, tmp_path / 'none.pth')
    with pytest.raises(RuntimeError, match='none.pth does not say what network it holds .* knows no architecture'):
        restorekit.load(tmp_path / 'none.pth')


def test_it_can_be_trained_saved_and_loaded_again(tmp_path):
    torch.save(nafnet().state_dict(), tmp_path / 'theirs.pth')
    cfg = dict(type='SpandrelNetwork', pretrained=str(tmp_path / 'theirs.pth'))
    restorer = Restorer(cfg, losses=dict(pixel=dict(type='L1Loss'))).train()
    x, y = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    optimizer = torch.optim.SGD(restorer.parameters(), lr=0.01)
    loss = torch.nn.functional.l1_loss(restorer.network(x), y)
    loss.backward()
    optimizer.step()
    network = restorer.network.eval()
    record = dict(format=1, network=network_json(network.description()))
    assert str(tmp_path) not in record['network'], 'no path of this machine'
    atomic_save(dict(meta=dict(restorekit=record),
                     state_dict={f'network.{key}': value for key, value in network.state_dict().items()}),
                tmp_path / 'ours.pth')
    loaded = restorekit.load(tmp_path / 'ours.pth', device='cpu')
    with torch.no_grad():
        assert torch.equal(loaded.backend.network(x), network(x))
    assert not torch.equal(network(x), SpandrelNetwork(pretrained=str(tmp_path / 'theirs.pth')).eval()(x))


def test_it_can_be_pickled(tmp_path):
    import pickle
    torch.save(nafnet().state_dict(), tmp_path / 'theirs.pth')
    model = restorekit.load(tmp_path / 'theirs.pth')
    assert np.array_equal(pickle.loads(pickle.dumps(model))(picture()), model(picture()))


def test_the_weights_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'trap'), 'w'))
    torch.save({'params': Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(RuntimeError, match='was not loaded'):
        restorekit.load(tmp_path / 'evil.pth')
    assert not (tmp_path / 'trap').exists()


def test_spandrel_opens_networks_of_restorekit(tmp_path):
    torch.manual_seed(0)
    network = AODNet().eval()
    atomic_save(dict(meta=dict(restorekit=dict(format=1, network=network_json(dict(type='AODNet')))),
                     state_dict={f'network.{key}': value for key, value in network.state_dict().items()}),
                tmp_path / 'aod.pth')
    from restorekit.zoo import register_with_spandrel
    registry = spandrel.ArchRegistry()
    added = register_with_spandrel(tmp_path / 'aod.pth', registry=registry)
    assert [name for name in added if name.startswith('restorekit-AODNet')]
    assert register_with_spandrel(tmp_path / 'aod.pth', registry=registry) == []
    torch.save(network.state_dict(), tmp_path / 'bare.pth')
    for file in ('aod.pth', 'bare.pth'):
        state = torch.load(tmp_path / file, weights_only=True)
        descriptor = spandrel.ModelLoader(registry=registry).load_from_state_dict(
            spandrel.canonicalize_state_dict(state))
        x = torch.rand(1, 3, 21, 35)
        with torch.no_grad():
            assert torch.allclose(descriptor(x), network(x).clamp(0, 1), atol=1e-6)
    model = spandrel.ModelLoader(registry=registry).load_from_file(tmp_path / 'bare.pth')
    assert model.scale == 1 and model.architecture.name == 'restorekit AODNet'
