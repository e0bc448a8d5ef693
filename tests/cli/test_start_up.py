"""What is not imported on the way from the shell to a restored photo: most of the time of a start is imports."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from machine import environment

#: Each of these would take a tenth of a second or more.
HEAVY = ('mmengine.model', 'mmengine.runner', 'mmengine.optim', 'torch.distributed.fsdp', 'torch.distributed.tensor',
         'torch._dynamo', 'torch.onnx', 'torch.utils.tensorboard', 'torchvision', 'timm', 'sympy', 'scipy', 'pandas',
         'matplotlib', 'av', 'onnx', 'spandrel', 'gradio', 'restorekit.models.restorers',
         'restorekit.models.losses', 'restorekit.degradations', 'restorekit.datasets', 'restorekit.engine',
         'restorekit.evaluation')
#: Without torch, neither are these needed.
LIGHT = 'torch', 'mmengine', 'yaml', 'rich', 'restorekit.config', 'restorekit.registry', 'restorekit.models'
PROBE = '''
import gc, json, sys
searches = []
gc.callbacks.append(lambda phase, info: searches.append(phase))
from restorekit.cli.main import main
names, sys.argv = json.loads(sys.argv[1]), sys.argv[1:]
status = main()
assert gc.isenabled() and gc.get_freeze_count(), 'the end is not a search'
print(json.dumps([status, [name for name in names if name in sys.modules], searches.count('start')]))
'''


@pytest.fixture
def restored(tmp_path):
    """Restore a photo in a process of its own; returns which of some modules it imported. Garbage is hardly searched
    for: torch makes hundreds of thousands of objects, and none to be thrown away."""
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((40, 60, 3), 120, np.uint8))

    def run(modules, *options):
        command = [sys.executable, '-c', PROBE, json.dumps(modules), 'restore', tmp_path / 'a.png', '-o',
                   tmp_path / 'out.png', *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, env=environment())
        assert done.returncode == 0, done.stderr
        status, imported, searches = json.loads(done.stdout.splitlines()[-1])
        assert status == 0 and (tmp_path / 'out.png').is_file() and searches < 150
        return imported
    return run


@pytest.mark.slow
def test_the_model_of_restorekit_imports_torch_and_little_else(restored):
    assert restored([*HEAVY, 'torch']) == ['torch']


def test_an_exported_model_imports_onnxruntime_and_not_torch(restored, tmp_path):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    shape = [1, 3, 'height', 'width']
    image, result = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ('x', 'y'))
    graph = onnx.helper.make_graph([onnx.helper.make_node('Identity', ['x'], ['y'])], 'g', [image], [result])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=9)
    facts = dict(network='Same', input='float', tiling='exact', receptive_field=1, size_divisor=1, min_size=1,
                 linear=True, protect_highlights=True, bytes_per_pixel=24, parameters=0, precision='fp32', licence='')
    onnx.helper.set_model_props(model, dict(restorekit=json.dumps(facts)))
    onnx.save(model, tmp_path / 'same.onnx')
    assert restored([*HEAVY, *LIGHT, 'onnxruntime'], '--checkpoint', tmp_path / 'same.onnx') == ['onnxruntime']
