import json
import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from machine import environment

import restorekit
from restorekit.checkpoint import atomic_save, network_json
from restorekit.cli.main import main
from restorekit.files.image_io import read_image
from restorekit.inference import RestorationPipeline
from restorekit.models import AODNet
from restorekit.registry import MODELS
from restorekit.tasks.export import ExportError, export

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')
STRIDED = dict(type='EncoderDecoder', encoder=dict(type='Res2Net', stage_blocks=(1, 1), base_channels=8, base_width=16,
                                                   out_indices=(0, 1)),
               decoder=dict(type='AffineDecoder', channels=8, head_channels=4, embedding_channels=8))


def save(path, cfg, seed=0):
    torch.manual_seed(seed)
    network = MODELS.build(dict(cfg))
    for parameter in network.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    atomic_save(dict(meta=dict(restorekit=dict(format=1, network=network_json(cfg))),
                     state_dict={f'network.{key}': value for key, value in network.state_dict().items()}), path)
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save(tmp_path_factory.mktemp('export') / 'aod.pth', dict(type='AODNet'))


@pytest.fixture(scope='module')
def model(checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp('onnx') / 'aod.onnx'
    export(checkpoint, path, licence='MIT')
    return path


def picture(height=40, width=70, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_the_file_gives_the_pixels_of_the_pipeline_and_says_what_it_is(checkpoint, model):
    image = picture()
    torch_model, onnx_model = RestorationPipeline(checkpoint, device='cpu'), restorekit.load(model)
    assert np.array_equal(onnx_model(image), torch_model(image))
    assert np.abs(onnx_model(image, strength=0.5).astype(int) - torch_model(image, strength=0.5)).max() <= 1
    entry = {prop.key: prop.value for prop in onnx.load(model).metadata_props}
    facts = json.loads(entry['restorekit'])
    assert entry['licence'] == facts['licence'] == 'MIT' and facts['size_divisor'] == 1 and facts['range'] == [0, 1]
    assert facts['linear'] and facts['tiling'] == 'exact' and facts['bytes_per_pixel'] > 100
    assert '/' not in ''.join(node.doc_string for node in onnx.load(model).graph.node), 'no paths of this machine'
    info = onnx_model.info()
    assert info['network'] == 'AODNet' and info['runtime'] == 'onnxruntime' and info['parameters'] == 1761


def test_tiles_run_in_onnxruntime_too(model, checkpoint):
    image = picture(150, 170)
    whole = RestorationPipeline(checkpoint, device='cpu', tile='off')(image)
    assert np.array_equal(restorekit.load(model, tile=64)(image), whole)


@pytest.mark.slow
@pytest.mark.parametrize('input', ['float', 'uint8'])
def test_a_network_that_gives_coefficients_sees_a_small_copy_and_corrects_strips(tmp_path, input):
    encoder = dict(type='PriorEncoder', features=dict(type='EfficientNetLite', out_stages=[3]))
    path = save(tmp_path / 'low.pth', dict(type='LowResolutionAffine', encoder=encoder, size=[32, 16],
                                           decoder=dict(type='GridAffineDecoder', channels=8, blocks=1)))
    export(path, tmp_path / 'low.onnx', input=input)
    expected, got = RestorationPipeline(path, device='cpu'), restorekit.load(tmp_path / 'low.onnx')
    run, seen = got.backend._run, []
    got.backend._run = lambda x: (seen.append(x.shape), run(x))[1]
    tolerance = 1e-4 if input == 'float' else 4 / 255  # bytes hold less of the copy
    for size in (120, 90), (5, 7):
        image = picture(*size).astype(np.float32) / 255
        assert np.abs(got(image) - expected(image)).max() < tolerance
        assert np.abs(got(image, strength=0.5) - expected(image, strength=0.5)).max() < tolerance
        mask = np.eye(4, dtype=np.float32)
        assert np.abs(got(image, mask=mask) - expected(image, mask=mask)).max() < tolerance
        pixels = picture(*size)
        assert np.abs(got(pixels).astype(int) - expected(pixels)).max() <= 1 + 255 * tolerance
        held = got.look(picture(50, 60, seed=1))  # of another frame
        assert np.abs(got.restore_pixels(image, held=held) - expected.restore_pixels(image, held=held)).max() < 1e-4
    assert {max(shape[1:]) for shape in seen} == {32, 7}, 'no image is larger'
    import onnxruntime  # an outsider takes the first output
    session = onnxruntime.InferenceSession(tmp_path / 'low.onnx')
    assert [output.name for output in session.get_outputs()] == ['restored', 'gain', 'bias', 'matrix']
    assert np.array_equal(pickle.loads(pickle.dumps(got.backend)).coefficients(image)[0], got.look(image)[0])


@pytest.mark.slow
@pytest.mark.parametrize('input', ['float', 'uint8'])
def test_pads_and_ranges_are_in_the_graph(tmp_path, input):
    path = save(tmp_path / 'strided.pth', STRIDED)
    export(path, tmp_path / 'm.onnx', input=input)
    import onnxruntime
    session = onnxruntime.InferenceSession(tmp_path / 'm.onnx')
    for size in ((1, 1), (33, 41), (64, 64), (17, 100)):
        image = picture(*size)
        expected = RestorationPipeline(path, device='cpu')(image)
        if input == 'uint8':
            got = session.run(None, dict(image=image[None]))[0][0]
        else:
            x = (image.astype(np.float32) / 255).transpose(2, 0, 1)[None]
            got = np.rint(session.run(None, dict(image=x))[0][0].transpose(1, 2, 0) * 255).astype(np.uint8)
        assert got.shape == image.shape and np.abs(got.astype(int) - expected).max() <= 1
    kinds = {node.op_type for node in onnx.load(tmp_path / 'm.onnx').graph.node}
    assert 'BatchNormalization' not in kinds, 'folded into the convolutions'


@pytest.mark.slow
def test_half_precision_and_eight_bits(checkpoint, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), picture()[..., ::-1])
    half = export(checkpoint, tmp_path / 'half.onnx', precision='fp16')
    assert all(40 < row.psnr < 100 for row in half.parity)
    small = export(checkpoint, tmp_path / 'int8.onnx', precision='int8', images=[tmp_path / 'a.png'])
    assert small.parity[-1].image.endswith('a.png') and small.parity[-1].psnr > 30
    kinds = {node.op_type for node in onnx.load(tmp_path / 'int8.onnx').graph.node}
    assert 'QuantizeLinear' in kinds
    assert repr(restorekit.load(tmp_path / 'int8.onnx')).endswith(', onnxruntime, cpu, int8)')
    assert np.abs(restorekit.load(tmp_path / 'int8.onnx')(picture()).astype(int)
                  - RestorationPipeline(checkpoint, device='cpu')(picture())).mean() < 3


@pytest.mark.slow
def test_a_program_of_torch_export(checkpoint, tmp_path):
    report = export(checkpoint, tmp_path / 'm.pt2')
    assert max(row.difference for row in report.parity) < 1e-5
    module = torch.export.load(tmp_path / 'm.pt2').module()
    image = torch.rand(1, 3, 21, 35)
    assert torch.allclose(module(image)[0], RestorationPipeline(checkpoint, device='cpu')(image)[0], atol=1e-5)


@pytest.mark.slow
def test_a_network_that_differs_fails_the_command_and_writes_nothing(checkpoint, tmp_path, monkeypatch, capsys):
    import restorekit.tasks.export as task
    monkeypatch.setattr(task, '_onnx_runner', lambda data: lambda x: np.clip(x + 0.1, 0, 1))
    assert main(['export', str(checkpoint), '-o', str(tmp_path / 'm.onnx')]) == 1
    text = capsys.readouterr().err
    assert 'the exported network gives other images on 4 of 4' in text and 'nothing was written' in text
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_prints_the_table(checkpoint, tmp_path, capsys):
    assert main(['export', str(checkpoint), '-o', str(tmp_path / 'm.onnx'), '--input', 'uint8']) == 0
    text = capsys.readouterr().out
    assert 'random 2' in text and 'PSNR' in text and 'wrote' in text
    assert main(['export', str(checkpoint), '-o', str(tmp_path / 'm.onnx')]) == 1
    assert 'exists' in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'message'), [
    (dict(out='m.txt'), 'must end in .onnx or .pt2'), (dict(input='int'), "input must be 'float' or 'uint8'"),
    (dict(precision='int8'), 'int8 is calibrated on photos'), (dict(precision='fp8'), 'precision must be one of'),
    (dict(out='m.pt2', precision='fp16'), 'exported in fp32')])
def test_impossible_exports_are_sentences(checkpoint, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export(checkpoint, tmp_path / options.pop('out', 'm.onnx'), **options)


def test_a_network_that_cannot_be_traced_says_so():
    from restorekit.tasks.export import trace

    class Reads(AODNet):
        def forward(self, x):
            return x if x.mean().item() > 0.5 else super().forward(x)
    with pytest.raises(ExportError, match='Reads cannot be traced with free sizes'):
        trace(Reads().eval())


def test_files_that_cannot_be_run_are_sentences(model, checkpoint, tmp_path):
    (tmp_path / 'cut.onnx').write_bytes(model.read_bytes()[:500])
    with pytest.raises(RuntimeError, match='cut.onnx is not an ONNX file, or is damaged'):
        restorekit.load(tmp_path / 'cut.onnx')
    newer = onnx.load(model)
    newer.opset_import[0].version = 9999
    onnx.save(newer, tmp_path / 'newer.onnx')
    with pytest.raises(RuntimeError, match='cannot run .*newer.onnx.* newer opset'):
        restorekit.load(tmp_path / 'newer.onnx')
    other = onnx.load(model)
    del other.metadata_props[:]
    onnx.save(other, tmp_path / 'other.onnx')
    with pytest.raises(RuntimeError, match='was not written by restorekit export'):
        restorekit.load(tmp_path / 'other.onnx')
    with pytest.raises(ValueError, match='onnxruntime runs ONNX files, but got .* restorekit export'):
        restorekit.load(checkpoint, backend='onnxruntime')
    with pytest.raises(ValueError, match='use --backend onnxruntime'):
        restorekit.load(model, backend='torch')
    with pytest.raises(FileNotFoundError, match='no ONNX file .*none.onnx'):
        restorekit.load(tmp_path / 'none.onnx')


def test_openvino_gives_the_same(model, checkpoint):
    pytest.importorskip('openvino')
    image = picture()
    floats = image.astype(np.float32) / 255  # of which bfloat16, the default on some processors, would leave 8 bits
    assert np.abs(restorekit.load(model, backend='openvino')(floats)
                  - RestorationPipeline(checkpoint, device='cpu')(floats)).max() < 1e-4
    assert np.abs(restorekit.load(model, backend='openvino')(image).astype(int)
                  - RestorationPipeline(checkpoint, device='cpu')(image)).max() <= 1


@pytest.mark.slow
def test_restoring_with_onnxruntime_imports_no_torch(model, tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), picture())
    code = (f'import sys; from restorekit.cli.main import main; code = main(["restore", {str(tmp_path / "a.png")!r}, '
            f'"-o", {str(tmp_path / "out.png")!r}, "--checkpoint", {str(model)!r}]); '
            'assert code == 0; assert "torch" not in sys.modules, "torch was imported"')
    done = subprocess.run([sys.executable, '-c', code], env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(read_image(tmp_path / 'out.png'), restorekit.load(model)(tmp_path / 'a.png'))


def test_an_exported_file_is_not_exported_again(model, tmp_path):
    with pytest.raises(ValueError, match='aod.onnx is exported already; give the checkpoint'):
        export(model, tmp_path / 'again.onnx')
    assert not list(tmp_path.iterdir())


def test_info_says_what_an_exported_file_is(model, capsys):
    assert main(['info', str(model)]) == 0
    text = capsys.readouterr().out
    assert 'onnxruntime' in text and 'fp32' in text
