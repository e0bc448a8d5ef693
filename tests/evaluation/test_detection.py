import sys
import urllib.error

import numpy as np
import pytest
import torch

from restorekit.datasets.voc import VOCBoxes
from restorekit.evaluation.detection import ALIASES, DetectionScore, class_indices
from restorekit.evaluation.detectors import build_detector, detect

CLASSES = class_indices(['__background__', 'person', 'bicycle', 'car', 'motorcycle', 'N/A'])
SMALL = 'ssdlite320_mobilenet_v3_large'


@pytest.fixture(autouse=True)
def needs_pycocotools():
    pytest.importorskip('pycocotools')


def truth(*objects, difficult=()):
    """Objects as (name, xmin, ymin, xmax, ymax)."""
    return VOCBoxes(100, 80, [o[1:] for o in objects], [o[0] for o in objects],
                    [i in difficult for i in range(len(objects))])


def result(*objects):
    """Detections as (label, score, xmin, ymin, xmax, ymax)."""
    return dict(boxes=np.array([o[2:] for o in objects], float).reshape(-1, 4),
                labels=np.array([o[0] for o in objects], int), scores=np.array([o[1] for o in objects], float))


def summary(truths, results):
    score = DetectionScore(truths, CLASSES)
    return score.summary(score.match(results))


def overlap(a, b):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def reference_ap(truths, results, name, threshold):
    """Average precision of one class, written out: greedy matches by score, precision at 101 recalls."""
    label = CLASSES[name]
    found = sorted(((float(r['scores'][k]), i, k) for i, r in enumerate(results) for k in range(len(r['scores']))
                    if r['labels'][k] == label), key=lambda item: -item[0])
    free = {(i, j) for i, t in enumerate(truths) for j, n in enumerate(t.names) if n == name}
    total, hits, precisions, recalls = len(free), 0, [], []
    for number, (_, i, k) in enumerate(found, 1):
        best = max(((overlap(results[i]['boxes'][k], truths[i].boxes[j]), j) for a, j in free if a == i),
                   default=(0, None))
        if best[0] >= threshold:
            free.discard((i, best[1]))
            hits += 1
        precisions.append(hits / number)
        recalls.append(hits / total)
    at = [max([p for p, r in zip(precisions, recalls, strict=True) if r >= point], default=0.0)
          for point in np.linspace(0, 1, 101)]
    return float(np.mean(at))


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_it_is_average_precision(seed):
    random = np.random.default_rng(seed)
    truths, results = [], []
    for _ in range(12):
        corners = random.integers(0, 60, (4, 2))
        boxes = [(*corner, *(corner + random.integers(8, 20, 2))) for corner in corners.astype(float)]
        truths.append(truth(*((random.choice(['car', 'person']), *box) for box in boxes)))
        moved = [tuple(np.add(box, random.normal(0, 2, 4))) for box in boxes[:3]]
        lost = [(x, y, x + 9, y + 9) for x, y in random.integers(0, 60, (2, 2)).astype(float)]
        results.append(result(*((random.choice([1, 3]) if random.random() < 0.2 else CLASSES[name], random.random(),
                                 *box) for name, box in zip([*truths[-1].names[:3], 'car', 'car'], [*moved, *lost],
                                                            strict=True))))
    measured = summary(truths, results)
    thresholds = np.linspace(0.5, 0.95, 10)
    for name in ('car', 'person'):
        expected = [reference_ap(truths, results, name, threshold) for threshold in thresholds]
        assert measured['classes'][name]['ap50'] == pytest.approx(expected[0], abs=1e-9)
        assert measured['classes'][name]['ap'] == pytest.approx(np.mean(expected), abs=1e-9)
    assert 0 < measured['map'] < measured['map50'] < 1
    assert measured['map50'] == pytest.approx(np.mean([measured['classes'][n]['ap50'] for n in ('car', 'person')]))


TRUTHS = [truth(('car', 10, 10, 40, 40), ('motorbike', 50, 50, 70, 75)), truth(('Car', 5, 5, 50, 60)), truth()]
PERFECT = [result((3, 0.9, 10, 10, 40, 40), (4, 0.8, 50, 50, 70, 75)), result((3, 0.7, 5, 5, 50, 60)), result()]


def test_perfect_none_and_half():
    assert summary(TRUTHS, PERFECT) == dict(map50=1.0, map=1.0, classes=dict(
        car=dict(boxes=2, ap50=1.0, ap=1.0), motorbike=dict(boxes=1, ap50=1.0, ap=1.0)))
    nothing = summary(TRUTHS, [result()] * 3)
    assert nothing['map50'] == nothing['map'] == 0
    half = summary(TRUTHS, [PERFECT[0], result(), result()])
    assert half['classes']['car']['ap50'] == pytest.approx(51 / 101)  # full precision at the recalls 0 to 0.5
    assert half['classes']['motorbike']['ap50'] == 1
    assert half['map'] == pytest.approx((51 / 101 + 1) / 2)
    wrong = [result(*((1, s, *box) for s, box in zip(r['scores'], r['boxes'], strict=True))) for r in PERFECT]
    assert summary(TRUTHS, wrong)['map50'] == 0  # right boxes, another class


def test_the_overlap_decides_what_counts():
    shifted = [result((3, 0.9, 10, 10, 40, 31.5))]  # 0.72 of the box
    measured = summary([truth(('car', 10, 10, 40, 40))], shifted)
    assert measured['map50'] == 1 and measured['map'] == pytest.approx(0.5)  # IoU 0.5 to 0.7 of 0.5 to 0.95


def test_difficult_boxes_count_neither_for_nor_against():
    truths = [truth(('car', 10, 10, 40, 40), ('car', 50, 10, 90, 40), difficult=(1,))]
    hit, on_difficult = (3, 0.5, 10, 10, 40, 40), (3, 0.9, 50, 10, 90, 40)
    assert summary(truths, [result(hit)])['map'] == 1
    assert summary(truths, [result(hit, on_difficult)])['map'] == 1
    assert summary(truths, [result(hit, (3, 0.9, 60, 50, 70, 60))])['map'] == pytest.approx(0.5)
    score = DetectionScore([truth(('car', 1, 1, 9, 9), difficult=(0,)), truth(('person', 1, 1, 9, 9))], CLASSES)
    measured = score.summary(score.match([result(), result((1, 1, 1, 1, 9, 9))]))
    assert measured['classes']['car'] == dict(boxes=0, ap50=None, ap=None) and measured['map'] == 1


def test_classes_are_mapped_by_name_and_alias():
    assert class_indices(['__background__', 'motorcycle'])['motorbike'] == 1
    assert set(class_indices(['__background__', 'N/A', 'person'])) == {'person', *(
        alias for alias, name in ALIASES.items() if name == 'person')}
    score = DetectionScore([truth(('Person', 1, 1, 9, 9), ('cow', 1, 1, 9, 9), ('cow', 2, 2, 9, 9))], CLASSES)
    assert score.unmapped == dict(cow=2) and score.counts == {1: 1} and score.names == {1: 'person'}
    with pytest.raises(ValueError, match=r'annotated are cow; the detector knows .*bicycle.*car'):
        DetectionScore([truth(('cow', 1, 1, 9, 9))], CLASSES)
    with pytest.raises(ValueError, match='1 results for 3 images'):
        DetectionScore(TRUTHS, CLASSES).match([result()])


def test_the_bootstrap_resamples_images_of_both_sides_alike():
    score = DetectionScore(TRUTHS, CLASSES)
    perfect, nothing = score.match(PERFECT), score.match([result()] * 3)
    whole = score.summary(perfect)
    assert score.summary(perfect, np.arange(3)) == whole
    only_second = score.summary(perfect, np.array([1, 1, 1]))
    assert only_second['classes']['motorbike']['ap'] is None and only_second['map'] == 1
    assert score.summary(perfect) == whole  # nothing is left behind
    same = score.bootstrap(dict(one=perfect, two=perfect), 20)
    assert all(found == ((0, 0) if key[1:] == ('gain',) else (1, 1)) for key, found in same['two'].items())
    found = score.bootstrap(dict(one=nothing, two=perfect), 20)
    assert found['one']['map50'] == (0, 0) and found['two']['map', 'gain'] == (1, 1) == found['two']['map']
    assert found['two']['car', 'gain'] == (1, 1)
    half = score.match([PERFECT[0], result(), result()])
    low, high = score.bootstrap(dict(one=half, two=perfect), 100)['two']['map', 'gain']
    assert 0 <= low < 0.2 < 0.6 < high <= 1
    sides = dict(one=half, two=perfect)
    assert score.bootstrap(sides, 10, seed=1) == score.bootstrap(sides, 10, seed=1)


def test_a_detector_is_any_callable():
    seen = []

    def stub(images):
        seen.extend(images)
        return [dict(boxes=torch.tensor([[1.0, 2, 3, 4]]), labels=torch.tensor([3]), scores=[0.5])]
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = (255, 0, 51)
    found = detect(stub, image)
    assert seen[0].shape == (3, 4, 6) and seen[0][:, 1, 2].tolist() == pytest.approx([1, 0, 0.2])
    assert found['boxes'].tolist() == [[1, 2, 3, 4]] and found['labels'].tolist() == [3]
    with pytest.raises(TypeError, match="dict.boxes, labels, scores.*'scores'"):
        detect(lambda images: [dict(boxes=[], labels=[])], image)
    with pytest.raises(TypeError, match='1 boxes, 2 labels and 0 scores'):
        detect(lambda images: [dict(boxes=[[1, 2, 3, 4]], labels=[1, 1], scores=[])], image)


@pytest.mark.slow
def test_weights_come_from_a_file_and_are_those_of_the_detector(tmp_path):
    from torchvision.models import get_model
    torch.manual_seed(0)
    expected = get_model(SMALL, weights=None, weights_backbone=None, num_classes=91, score_thresh=0.0).eval()
    torch.save(expected.state_dict(), tmp_path / 'weights.pth')
    detector, categories = build_detector(SMALL, tmp_path / 'weights.pth')
    assert (len(categories), categories[1], categories[3]) == (91, 'person', 'car') and not detector.training
    state = detector.state_dict()
    assert state.keys() == expected.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in expected.state_dict().items())
    torch.save({'a.weight': torch.zeros(2)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=rf'other\.pth does not hold the weights of {SMALL}'):
        build_detector(SMALL, tmp_path / 'other.pth')


def test_an_unknown_detector_has_near_names():
    with pytest.raises(ValueError, match="did you mean 'retinanet_resnet50_fpn'"):
        build_detector('retinanet_resnet_fpn')


def test_offline_the_missing_weights_are_named(monkeypatch, tmp_path):
    def fail(url, **kwargs):
        assert kwargs['weights_only'] and kwargs['check_hash']
        raise urllib.error.URLError('Name or service not known')
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', fail)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    name = r'fasterrcnn_mobilenet_v3_large_320_fpn-\w+\.pth'
    with pytest.raises(FileNotFoundError, match=rf'not known.*Get https://download\.pytorch\.org/models/{name} .*'
                                                rf'put the file at {tmp_path}/checkpoints/{name} .*'
                                                r'--detector-weights FILE'):
        build_detector()


def test_without_pycocotools_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pycocotools.coco', None)
    with pytest.raises(ImportError, match=r'pip install "restorekit\[detection\]"'):
        DetectionScore(TRUTHS, CLASSES)
