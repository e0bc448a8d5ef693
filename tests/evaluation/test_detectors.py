"""ONNX detectors, from files made here."""

import numpy as np
import pytest
import torch

from restorekit.evaluation.detectors import build_detector, detect
from restorekit.messages import InputError, MissingFileError

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def constant(path, *outputs, size=64, names=None, free=False):
    """Write a model that ignores its image (but for a zero) and returns these arrays."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    side = ['h', 'w'] if free else [size, size]
    nodes = [helper.make_node('ReduceMin', ['image'], ['least'], keepdims=0),
             helper.make_node('Mul', ['least', 'nought'], ['zero'])]
    initial = [numpy_helper.from_array(np.zeros((), np.float32), 'nought')]
    infos = []
    for i, array in enumerate(outputs):
        array = np.asarray(array, np.float32)
        initial.append(numpy_helper.from_array(array, f'c{i}'))
        nodes.append(helper.make_node('Add', [f'c{i}', 'zero'], [f'o{i}']))
        infos.append(helper.make_tensor_value_info(f'o{i}', onnx.TensorProto.FLOAT, array.shape))
    image = helper.make_tensor_value_info('image', onnx.TensorProto.FLOAT, [1, 3, *side])
    model = helper.make_model(helper.make_graph(nodes, 'g', [image], infos, initial), ir_version=8,
                              opset_imports=[helper.make_opsetid('', 17)])
    if names:
        helper.set_model_props(model, dict(names=names))
    onnx.save(model, path)
    return str(path)


def centernet(sides):
    """Heat of two classes at stride 4: class 1 at (row 4, column 8) of 0.9, a weaker neighbour that is no peak."""
    heat = np.zeros((1, 2, 16, 16))
    heat[0, 1, 4, 8], heat[0, 1, 4, 9], heat[0, 0, 12, 2] = 0.9, 0.8, 0.5
    size = np.zeros((1, len(sides), 16, 16))
    size[0, :, 4, 8] = sides
    return heat, size


@pytest.mark.parametrize(('sides', 'box'), [((8, 12), (28, 10, 36, 22)), ((4, 2, 8, 10), (28, 14, 40, 26))])
def test_a_centernet_head(tmp_path, sides, box):
    path = constant(tmp_path / 'd.onnx', *centernet(sides))
    detector, names = build_detector(path, categories=['person', 'car'], threshold=0.6)
    assert names == ['person', 'car'] and detector.scale == 255
    # the photo is twice as wide and high as what it fills of the input: 64 x 32 of 64 x 64, from row 16 on
    found = detect(detector, np.zeros((64, 128, 3), np.uint8))
    assert found['labels'].tolist() == [1] and found['scores'] == pytest.approx(0.9)
    assert found['boxes'][0] == pytest.approx([2 * box[0], 0, 2 * box[2], 2 * (box[3] - 16)])
    assert len(detect(build_detector(path, categories=['a', 'b'])[0], np.zeros((64, 64, 3), np.uint8))['scores']) == 2


def test_offsets_of_a_centernet_head(tmp_path):
    heat, size = centernet((8, 8))
    offsets = np.full((1, 2, 16, 16), 0.5)
    detector, _ = build_detector(constant(tmp_path / 'd.onnx', heat, size, offsets), categories=['person', 'car'],
                                 threshold=0.6)
    assert detect(detector, np.zeros((64, 64, 3), np.uint8))['boxes'][0] == pytest.approx([30, 14, 38, 22])


@pytest.mark.parametrize('layout', ['channels first', 'with objectness'])
def test_a_yolo_head_with_overlapping_boxes(tmp_path, layout):
    boxes = [[32, 20, 20, 10], [33, 20, 20, 10], [10, 50, 8, 8], [33, 20, 20, 10]] + [[0, 0, 1, 1]] * 20
    classes = [[0.9, 0.1], [0.8, 0.2], [0.0, 0.6], [0.1, 0.7]] + [[0.0, 0.0]] * 20
    if layout == 'channels first':
        output = np.array([a + b for a, b in zip(boxes, classes, strict=True)]).T[None]
        factor = 1.0
    else:
        output = np.array([a + [0.5] + b for a, b in zip(boxes, classes, strict=True)])[None]
        factor = 0.5
    path = constant(tmp_path / 'd.onnx', output, names="{0: 'person', 1: 'car'}", free=True)
    detector, names = build_detector(path, size=64)
    assert names == ['person', 'car'] and (detector.head, detector.scale, detector.height) == ('yolo', 1, 64)
    found = detect(detector, np.zeros((64, 64, 3), np.uint8))
    # the second is thinned out by the first, of the same class; the fourth is of another class
    assert found['labels'].tolist() == [0, 1, 1]
    assert found['scores'] == pytest.approx([0.9 * factor, 0.7 * factor, 0.6 * factor])
    assert found['boxes'] == pytest.approx(np.array([[22, 15, 42, 25], [23, 15, 43, 25], [6, 46, 14, 54]]))


def test_what_the_detector_sees_is_the_photo_in_its_middle(tmp_path):
    detector, _ = build_detector(constant(tmp_path / 'd.onnx', *centernet((8, 8))), categories=['a', 'b'])
    seen = []
    detector._run = lambda canvas: seen.append(canvas) or [torch.from_numpy(x).float() for x in centernet((8, 8))]
    detect(detector, np.full((32, 16, 3), (255, 128, 0), np.uint8))
    assert seen[0].shape == (1, 3, 64, 64)
    assert np.allclose(seen[0][0, :, :, 16:48].mean(axis=(1, 2)), [255, 128, 0])
    assert not seen[0][0, :, :, :16].any() and not seen[0][0, :, :, 48:].any()


def test_eighty_classes_are_cocos(tmp_path):
    heat, size = np.zeros((1, 80, 4, 4)), np.zeros((1, 4, 4, 4))
    _, names = build_detector(constant(tmp_path / 'd.onnx', heat, size, size=16))
    assert len(names) == 80 and (names[0], names[2], names[7], names[79]) == ('person', 'car', 'truck', 'toothbrush')


def test_mistakes_are_explained(tmp_path):
    heat, size = centernet((8, 8))
    path = constant(tmp_path / 'd.onnx', heat, size)
    for options, message in [
            ({}, 'tells 2 classes apart, but no names are known; give categories'),
            (dict(categories=['a']), 'tells 2 classes apart, but 1 names are known'),
            (dict(head='ssd'), "must be one of 'auto', 'centernet', 'yolo', but got 'ssd'"),
            (dict(siez=3), "'siez' is not in the options of an ONNX detector; did you mean 'size'"),
            (dict(head='yolo'), r'the outputs \(1, 2, 16, 16\), \(1, 2, 16, 16\) are of no yolo head'),
            (dict(weights='w.pth'), 'an ONNX file holds its weights')]:
        with pytest.raises(InputError, match=message):
            build_detector(path, **options)
    with pytest.raises(InputError, match='are of no centernet head'):
        build_detector(constant(tmp_path / 'one.onnx', heat), categories=['a', 'b'])
    (tmp_path / 'bad.onnx').write_bytes(b'no model')
    with pytest.raises(InputError, match='bad.onnx cannot be read as an ONNX model'):
        build_detector(str(tmp_path / 'bad.onnx'))
    with pytest.raises(MissingFileError, match='no detector .*gone.onnx'):
        build_detector(str(tmp_path / 'gone.onnx'))
    with pytest.raises(InputError, match='are for ONNX files, but got size'):
        build_detector('retinanet_resnet50_fpn', size=3)
