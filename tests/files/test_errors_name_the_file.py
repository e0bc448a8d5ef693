"""Every reader of files says which file it could not use."""

import json

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from remembered import remembered  # noqa: F401
from tiny import config

from restorekit import registry
from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import load_config
from restorekit.datasets import read_list
from restorekit.datasets.voc import read_voc
from restorekit.degradations import DepthEstimator, read_depth
from restorekit.engine import MultiPhaseRunner
from restorekit.evaluation.report_reader import read_report
from restorekit.files.image_io import read_image
from restorekit.files.reader import read_json
from restorekit.inference import RestorationPipeline, load
from restorekit.messages import UserError
from restorekit.tasks.convert import convert
from restorekit.tasks.publish import publish
from restorekit.tasks.study import study_report
from restorekit.tasks.synthesize import read_manifest
from restorekit.tasks.train import train
from restorekit.zoo.pack import pack_network

NETWORK = dict(type='AODNet')
RUBBISH = dict(empty=b'', text=b'this is no such file\n', cut=b'\x80\x02}q\x00(X', zeros=bytes(64),
               json=b'{"phases": 3', array=b'[1, 2]')


def build(kind, **cfg):
    with DefaultScope.overwrite_default_scope('restorekit'):
        return getattr(registry, kind).build(cfg)


def initialised(**cfg):
    with DefaultScope.overwrite_default_scope('restorekit'):
        registry.MODELS.build(cfg).init_weights()


def estimate(**options):
    DepthEstimator(size=14, **options)(np.zeros((14, 14, 3), np.uint8))


def run_in(folder):
    return MultiPhaseRunner(config(folder, visualizer=dict(type='Visualizer', vis_backends=[])), resume=True).train()


def as_loss(name, path, **cfg):
    return build('MODELS', type='Restorer', network=NETWORK,
                 losses=dict(a=dict(type=name, **cfg))).init_weights()


#: By file name: what reads it.
READERS = {
    'checkpoint.pth': lambda path: load_checkpoint_file(str(path)),
    'checkpoint.safetensors': lambda path: load_checkpoint_file(str(path)),
    'packed.pth': lambda path: pack_network(str(path), path.with_name('out.safetensors')),
    'published.pth': lambda path: publish(path, 'name', out=path.with_name('out'), licence='MIT'),
    'converted.pth': lambda path: convert(path, path.with_name('out.pth')),
    'reversed.pth': lambda path: convert(path, path.with_name('out.pth'), reverse=True),
    'teacher.pth': lambda path: build('MODELS', type='DistillationRestorer', network=NETWORK,
                                      teacher=dict(checkpoint=str(path))),
    'taught.pth': lambda path: initialised(type='DistillationRestorer', network=NETWORK,
                                           teacher=dict(network=NETWORK, checkpoint=str(path))),
    'res2net.pth': lambda path: initialised(type='Res2Net', stage_blocks=(1, 1, 1), pretrained=str(path)),
    'lite.pth': lambda path: initialised(type='EfficientNetLite', pretrained=str(path)),
    'init.pth': lambda path: initialised(type='AODNet', init_cfg=dict(type='Pretrained', checkpoint=str(path))),
    'vgg.pth': lambda path: as_loss('PerceptualLoss', path, layers={'relu1_1': 1}, pretrained=str(path)),
    'heads.pth': lambda path: as_loss('LPIPSLoss', path, pretrained=None, heads=str(path)),
    'depth.pth': lambda path: estimate(network=NETWORK, checkpoint=str(path)),
    'depth.onnx': lambda path: estimate(network=str(path)),
    'pipeline.pth': lambda path: RestorationPipeline(str(path), device='cpu'),
    'model.onnx': lambda path: load(str(path), device='cpu'),
    'niqe.npz': lambda path: build('METRICS', type='NIQE', parameters=str(path)),
    'brisque.npz': lambda path: build('METRICS', type='BRISQUE', parameters=str(path)),
    'config.py': lambda path: load_config(str(path)),
    'config.json': lambda path: load_config(str(path)),
    'config.yaml': lambda path: load_config(str(path)),
    'photo.png': lambda path: read_image(path),
    'photo.jpg': lambda path: read_image(path),
    'photo.tif': lambda path: read_image(path),
    'photo.webp': lambda path: read_image(path),
    'photo.bmp': lambda path: read_image(path),
    'depth.png': lambda path: read_depth(path),
    'depth.npy': lambda path: read_depth(path),
    'list.csv': lambda path: read_list(path, ('input', 'gt')),
    'list.jsonl': lambda path: read_list(path, ('input', 'gt')),
    'boxes.xml': lambda path: read_voc(path),
    'any.json': lambda path: read_json(path),
    'summary.json': lambda path: read_report(path.parent),
    'study.json': lambda path: study_report(path.parent),
    'manifest.jsonl': lambda path: read_manifest(path.parent),
    'run_state.json': lambda path: run_in(path.parent),
    'iter_4.pth': lambda path: run_in(path.parent),
    'load_from.pth': lambda path: MultiPhaseRunner(config(path.with_name('run'), load_from=str(path))).train()}
#: Rubbish that is no mistake in such a file.
FINE = {('config.yaml', 'empty'), ('config.py', 'empty'), ('config.py', 'array'), ('list.csv', 'empty'),
        ('manifest.jsonl', 'empty')}


@pytest.mark.slow
@pytest.mark.parametrize('name', READERS)
def test_what_cannot_be_read_is_named(name, tmp_path):
    for kind, content in RUBBISH.items():
        folder = tmp_path / kind
        folder.mkdir()
        path = folder / name
        path.write_bytes(content)
        try:
            READERS[name](path)
        except UserError as error:
            assert name in str(error), f'{kind}: {error!r}'
        else:
            assert (name, kind) in FINE, f'{kind}: nothing was raised'


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in READERS if name.endswith(('.pth', '.safetensors'))
                                  and not name.startswith('checkpoint')])
def test_checkpoints_of_something_else_are_named(name, tmp_path):
    """Files that load, but hold no weights, the weights of another network, or a broken record of themselves."""
    other = {'body.weight': torch.ones(2, 3), 'body.bias': torch.ones(2)}
    contents = [dict(state_dict=[1, 2]), dict(state_dict={'a': 'text'}), dict(epoch=3), other,
                dict(state_dict=other), dict(state_dict=other, meta=dict(restorekit='{"network": ')),
                dict(state_dict=other, meta=dict(restorekit=dict(network='{"type": "NoSuch"}'))), dict(meta=[])]
    for number, content in enumerate(contents):
        path = tmp_path / str(number) / name
        if name == 'packed.pth' and number == 6:
            continue  # it is packed with its description as it is: its network may be the user's own
        path.parent.mkdir()
        torch.save(content, path)
        with pytest.raises(UserError) as caught:
            READERS[name](path)
        assert name in str(caught.value), f'{content}: {caught.value!r}'


def test_a_damaged_map_of_an_estimator_is_named(tmp_path):
    cache, photo = tmp_path / 'maps', np.zeros((14, 14, 3), np.uint8)
    estimator = DepthEstimator(dict(type='Conv'), size=14, cache_dir=str(cache))
    cache.mkdir()
    path = cache / f'{estimator._key(photo)}.npy'
    path.write_bytes(b'\x93NUMPY')
    with pytest.raises(UserError, match=path.name):
        estimator(photo)


@pytest.mark.slow
def test_a_damaged_curve_of_a_run_is_named(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'per_image.json').write_text('{')
    with pytest.raises(UserError, match=r'per_image\.json is not the curve of a run'):
        MultiPhaseRunner(config(tmp_path / 'run', custom_hooks=[dict(type='PerImageHook')])).train()


def test_a_summary_without_metrics_is_named(tmp_path):
    network = build('MODELS', **NETWORK)
    description = json.dumps(NETWORK)
    torch.save(dict(state_dict=network.state_dict(), meta=dict(restorekit=dict(network=description))),
               tmp_path / 'a.pth')
    for content in ('{', '{"metrics": 3}'):
        (tmp_path / 'summary.json').write_text(content)
        with pytest.raises(UserError, match=r'summary\.json is not the summary of a report'):
            publish(tmp_path / 'a.pth', 'name', out=tmp_path / 'out', licence='MIT', report=tmp_path)


def test_a_module_of_custom_imports_is_named(tmp_path):
    (tmp_path / 'broken_part.py').write_text('def (:\n')
    (tmp_path / 'c.py').write_text("custom_imports = dict(imports=['broken_part'])\nmodel = dict(type='Restorer')\n")
    with pytest.raises(UserError, match=r'broken_part\.py'):
        train(tmp_path / 'c.py', work_dir=tmp_path / 'run')
