import argparse
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from restorekit.cli import detect_compare
from restorekit.cli.common import run_guarded
from restorekit.files.image_io import read_image

pytest.importorskip('pycocotools')

CATEGORIES = ['__background__', 'person', 'car']
BOXES = {'a.png': [('car', 4, 6, 40, 40), ('Person', 44, 10, 60, 46)], 'b.png': [('car', 10, 10, 30, 30)],
         'c.png': [('horse', 1, 1, 9, 9)]}


def call(*arguments):
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser()
    detect_compare.add_arguments(parser)
    return run_guarded(detect_compare.run, parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def photos(tmp_path):
    """Three grey photos, 64x48, with their annotations; photo k has the grey 50 + k."""
    for folder in ('photos', 'voc'):
        (tmp_path / folder).mkdir()
    for k, (name, objects) in enumerate(BOXES.items()):
        cv2.imwrite(str(tmp_path / 'photos' / name), np.full((48, 64, 3), 50 + k, np.uint8))
        items = ''.join(
            f'<object><name>{kind}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>'
            '</bndbox></object>' for kind, x0, y0, x1, y1 in objects)
        (tmp_path / 'voc' / name).with_suffix('.xml').write_text(
            f'<annotation><size><width>64</width><height>48</height></size>{items}</annotation>')
    return '--images', tmp_path / 'photos', '--annotations', tmp_path / 'voc'


@pytest.fixture
def stubs(monkeypatch):
    """A detector that sees the true boxes of bright images and, of dark ones, only persons; a restorer adds 100."""
    def detector(images):
        results = []
        for image in images:
            grey = round(float(image.mean()) * 255)
            objects = list(BOXES.values())[(grey - 50) % 100]
            seen = [o for o in objects if grey > 140 or o[0] == 'Person']
            results.append(dict(boxes=[o[1:] for o in seen], scores=[0.9] * len(seen),
                                labels=[CATEGORIES.index(o[0].lower()) if o[0] != 'horse' else 1 for o in seen]))
        return results
    monkeypatch.setattr('restorekit.evaluation.detection.build_detector', lambda *args: (detector, CATEGORIES))
    monkeypatch.setattr('restorekit.inference.RestorationPipeline', lambda *args, **kwargs: SimpleNamespace(
        restore=lambda image: image + np.uint8(100)))


def test_after_beats_before_where_the_detector_says_so(photos, stubs, tmp_path, capsys):
    # the horse is found as a person in the bright image: a false positive behind the true one, which costs nothing
    assert call(*photos, '--checkpoint', 'c.pth', '--json', tmp_path / 'd.json', '--out', tmp_path / 'out',
                '--pictures', 2) == 0
    record = json.loads((tmp_path / 'd.json').read_text())
    assert record['before']['map50'] == record['before']['map'] == 0.5  # the person of two classes
    assert record['before']['classes'] == dict(car=dict(boxes=2, ap50=0, ap=0), person=dict(boxes=1, ap50=1, ap=1))
    assert record['after']['classes']['car'] == dict(boxes=2, ap50=1, ap=1)
    assert record['after']['map'] == 1 and record['difference'] == dict(map50=0.5, map=0.5)
    low, high = record['interval']['map']
    assert 0 <= low < 0.5 < high <= 1
    assert (record['images'], record['boxes'], record['unmapped']) == (3, 3, dict(horse=1))
    printed = capsys.readouterr().out
    assert '| mAP@0.5       |     3 |   50.0 | 100.0 |      +50.0 |' in printed
    assert '| car AP@0.5    |     2 |    0.0 | 100.0 |     +100.0 |' in printed
    assert 'Not scored, since the detector does not know these classes: horse (1)' in printed
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['0000_a.png', '0001_b.png']
    picture = read_image(tmp_path / 'out' / '0000_a.png')
    assert picture.shape == (24 + 480, 2 * 640 + 4, 3)
    car = picture[24 + 60, 60:380]  # the upper side of the car's box, drawn at ten times its size
    assert (car == detect_compare.TRUE).all(axis=1).mean() > 0.9
    assert (picture[24 + 60, 644 + 60:644 + 380] == detect_compare.FOUND).all(axis=1).mean() > 0.9


def test_without_a_checkpoint_the_photos_alone_are_scored(photos, stubs, capsys):
    assert call(*photos) == 0
    printed = capsys.readouterr().out
    assert '| mAP@0.5       |     3 |   50.0 |' in printed and 'after' not in printed


def test_offline_says_how_to_get_the_weights(photos, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise OSError('no network')
    monkeypatch.setattr('torch.hub.load_state_dict_from_url', fail)
    assert call(*photos) == 1
    error = capsys.readouterr().err
    assert 'could not be downloaded (no network)' in error and '--detector-weights FILE' in error


def test_mistakes_are_explained(photos, stubs, tmp_path, capsys):
    assert call(*photos, '--config', 'c.py') == 1
    assert 'give --checkpoint FILE too' in capsys.readouterr().err
    assert call('--images', tmp_path / 'gone', *photos[2:]) == 1
    error = capsys.readouterr().err
    assert f'--images: no folder {tmp_path / "gone"} of photos' in error and '--data-root' not in error
    cv2.imwrite(str(tmp_path / 'photos' / 'b.png'), np.zeros((40, 64, 3), np.uint8))
    assert call(*photos) == 1
    assert 'b.xml is for an image of 64x48 pixels, but' in capsys.readouterr().err
    (tmp_path / 'voc' / 'b.xml').write_text('<annotation>')
    assert call(*photos) == 1
    assert 'b.xml is not valid XML' in capsys.readouterr().err


def test_without_a_scored_box_there_is_no_number(photos, stubs, tmp_path, capsys):
    for file in (tmp_path / 'voc').iterdir():
        file.write_text(file.read_text().replace('</name>', '</name><difficult>1</difficult>'))
    assert call(*photos, '--checkpoint', 'c.pth', '--json', tmp_path / 'd.json') == 0
    text = (tmp_path / 'd.json').read_text()
    record = json.loads(text)
    assert 'NaN' not in text and record['boxes'] == 0 and record['difficult'] == 4
    nothing = dict(map50=None, map=None)
    assert record['difference'] == record['interval'] == nothing and nothing.items() <= record['before'].items()
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if 'mAP@0.5 ' in line)
    assert [cell.strip() for cell in line.split('|')[1:-1]] == ['mAP@0.5', '0', '-', '-', '-', '-'], printed
    assert 'nan' not in printed
