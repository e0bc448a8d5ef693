"""Metrics by optional libraries, held to their contract with stand-ins for the libraries."""

import sys
import types
from urllib.error import URLError

import pytest
import torch

from restorekit.evaluation import FADE, LPIPS, NIQE
from restorekit.registry import METRICS
from restorekit.testing import check_metric


class StandIn(torch.nn.Module):
    """Rates an image by its mean, or a pair by their distance."""

    def __init__(self, name='niqe', lower_better=True, metric_mode='NR'):
        super().__init__()
        self.name, self.lower_better, self.metric_mode = name, lower_better, metric_mode

    def forward(self, image, gt=None, normalize=None):
        return (image if gt is None else (image - gt).square()).mean(dim=(1, 2, 3), keepdim=normalize is not None)


def _pyiqa():
    modes = {'niqe': ('NR', True), 'brisque': ('NR', True), 'musiq': ('NR', False), 'dists': ('FR', True),
             'fid': ('NR', True)}

    def create_metric(name, device, **options):
        assert options == ({'patch': 3} if name == 'musiq' else {})
        return StandIn(name, modes[name][1], modes[name][0])

    return types.SimpleNamespace(list_models=lambda: list(modes), create_metric=create_metric)


def _fade(image):
    assert image.dtype == 'uint8' and image.ndim == 3 and image.shape[2] == 3
    return image.mean() / 255


@pytest.fixture
def libraries(monkeypatch):
    stand_ins = {'pyiqa': _pyiqa(), 'pyfade': types.SimpleNamespace(fade=_fade),
                 'piq': types.SimpleNamespace(brisque=lambda images, reduction: StandIn()(images)[:, None]),
                 'lpips': types.SimpleNamespace(LPIPS=lambda net, verbose: StandIn(metric_mode='FR'))}
    for name, module in stand_ins.items():
        monkeypatch.setitem(sys.modules, name, module)
    return stand_ins


CONFIGS = [
    ({'type': 'LPIPS'}, 'LPIPS-alex@rgb', False), ({'type': 'LPIPS', 'net': 'vgg'}, 'LPIPS-vgg@rgb', False),
    ({'type': 'NIQE', 'library': 'pyiqa'}, 'NIQE@pyiqa', False),
    ({'type': 'BRISQUE', 'library': 'pyiqa'}, 'BRISQUE@pyiqa', False),
    ({'type': 'BRISQUE', 'library': 'piq'}, 'BRISQUE@piq', False), ({'type': 'FADE'}, 'FADE@fade-python', False),
    ({'type': 'PyIQA', 'metric': 'musiq', 'options': {'patch': 3}}, 'MUSIQ@pyiqa', True),
    ({'type': 'PyIQA', 'metric': 'dists'}, 'DISTS@pyiqa', False)]


@pytest.mark.parametrize('config, label, higher', CONFIGS, ids=[label for _, label, _ in CONFIGS])
def test_contract_and_label(libraries, config, label, higher):
    check_metric(config)
    metric = METRICS.build(config)
    assert metric.label == label and metric.higher_is_better is higher


def test_a_rating_without_reference_is_that_of_the_written_file(libraries):
    pred = torch.full((3, 16, 16), 0.5011)
    metric = NIQE(library='pyiqa', baseline=False)
    metric.process(None, [{'pred': pred, 'domain': 'haze'}])
    assert metric.evaluate(1) == {'haze/NIQE@pyiqa': pytest.approx(128 / 255)}


@pytest.mark.parametrize('config, package, extra', [
    ({'type': 'LPIPS'}, 'lpips', 'metrics'), ({'type': 'BRISQUE', 'library': 'piq'}, 'piq', 'metrics'),
    ({'type': 'NIQE', 'library': 'pyiqa'}, 'pyiqa', 'metrics-research'),
    ({'type': 'FADE'}, 'fade-python', 'metrics-research')])
def test_a_missing_library_names_what_to_install(monkeypatch, config, package, extra):
    monkeypatch.setitem(sys.modules, {'fade-python': 'pyfade'}.get(package, package), None)
    with pytest.raises(ImportError, match=rf'library {package}, .*python -m pip install "restorekit\[{extra}\]"'):
        METRICS.build(config)


@pytest.mark.parametrize('config, library, name, where', [
    ({'type': 'LPIPS'}, 'lpips', 'LPIPS', r'alexnet-owt-7be5be79\.pth, and belongs in .*checkpoints'),
    ({'type': 'NIQE', 'library': 'pyiqa'}, 'pyiqa', 'create_metric',
     'pyiqa names the file above; it belongs in .*pyiqa'),
    ({'type': 'BRISQUE', 'library': 'piq'}, 'piq', 'brisque', 'piq names the file above; it belongs in .*checkpoints')])
def test_missing_weights_say_where_they_belong(libraries, config, library, name, where):
    def download(*args, **kwargs):
        raise URLError('no network')

    setattr(libraries[library], name, download)
    with pytest.raises(RuntimeError, match=rf'could not be downloaded .*{where}.*copy them there'):
        METRICS.build(config)


@pytest.mark.parametrize('config, message', [
    ({'type': 'PyIQA', 'metric': 'musik'}, "'musik' is not in the list of pyiqa's metrics; did you mean 'musiq'"),
    ({'type': 'PyIQA', 'metric': 'fid'}, 'fid rates a set of images'),
    ({'type': 'BRISQUE', 'library': 'opencv'}, "must be one of 'restorekit', 'pyiqa', 'piq', but got 'opencv'"),
    ({'type': 'LPIPS', 'net': 'resnet'}, "net must be one of 'alex', 'vgg', 'squeeze', but got 'resnet'"),
    ({'type': 'LPIPS', 'protocol': 'y-matlab'}, "LPIPS looks at colours, and protocol 'y-matlab' keeps only")])
def test_wrong_choices(libraries, config, message):
    with pytest.raises(ValueError, match=message):
        METRICS.build(config)


def test_lpips_equals_the_library():
    lpips = pytest.importorskip('lpips')
    torch.manual_seed(0)
    network = lpips.LPIPS(net='alex', verbose=False, pnet_rand=True).eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lpips, 'LPIPS', lambda net, verbose: network)
        metric = LPIPS(baseline=False)
    gt = torch.randint(0, 256, (3, 64, 70), dtype=torch.uint8)
    pred = (gt / 255 + 0.1).clamp(max=1)
    metric.process(None, [{'pred': pred, 'gt': gt}])
    expected = network(pred[None] * 2 - 1, gt[None] / 255 * 2 - 1).item()
    assert metric.evaluate(1)['LPIPS-alex@rgb'] == pytest.approx(expected, rel=1e-5)


def test_fade_equals_the_library():
    pyfade = pytest.importorskip('pyfade')
    metric = FADE(baseline=False)
    image = torch.randint(0, 256, (3, 40, 48), dtype=torch.uint8)
    metric.process(None, [{'pred': image / 255}])
    assert metric.evaluate(1)['FADE@fade-python'] == pyfade.fade(image.permute(1, 2, 0).numpy())
