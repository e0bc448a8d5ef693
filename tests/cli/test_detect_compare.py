import json
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from reports import cells

from restorekit.cli.main import main
from restorekit.files.image_io import read_image
from restorekit.tasks import detect_compare

pytest.importorskip('pycocotools')

CATEGORIES = ['__background__', 'person', 'car']
BOXES = {'a.png': [('car', 4, 6, 40, 40), ('Person', 44, 10, 60, 46)], 'b.png': [('car', 10, 10, 30, 30)],
         'c.png': [('horse', 1, 1, 9, 9)]}


def call(*arguments):
    return main(['detect-compare', *map(str, arguments)])


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
    monkeypatch.setattr('restorekit.tasks.detect_compare.build_detector', lambda *args: (detector, CATEGORIES))
    monkeypatch.setattr('restorekit.inference.RestorationPipeline', lambda *args, **kwargs: SimpleNamespace(
        restore=lambda image: image + np.uint8(100)))


def test_after_beats_before_where_the_detector_says_so(photos, stubs, tmp_path, capsys):
    # the horse is found as a person in the bright image: a false positive behind the true one, which costs nothing
    assert call(*photos, '--checkpoint', 'c.pth', '--json', tmp_path / 'd.json', '--out', tmp_path / 'out',
                '--pictures', 2) == 0
    record = json.loads((tmp_path / 'd.json').read_text())
    rows = {row['measure']: row for row in record['rows']}
    assert list(rows) == ['mAP@0.5', 'mAP@[.5:.95]', 'car AP@0.5', 'person AP@0.5']
    for measure in ('mAP@0.5', 'mAP@[.5:.95]'):  # the person of two classes
        assert [rows[measure]['sides'][name]['value'] for name in ('hazy', 'restored')] == [0.5, 1.0]
        low, high = rows[measure]['sides']['restored']['gain_interval']
        assert rows[measure]['sides']['restored']['gain'] == 0.5 and 0 <= low < 0.5 < high <= 1
    car = rows['car AP@0.5']
    assert car['boxes'] == 2 and car['sides']['hazy'] == dict(value=0, interval=[0, 0])
    assert car['sides']['restored'] == dict(value=1, interval=[1, 1], gain=1, gain_interval=[1, 1])
    assert (record['images'], record['boxes'], record['unmapped']) == (3, 3, dict(horse=1))
    printed = capsys.readouterr().out
    assert cells(printed)[0] == ['', 'boxes', 'hazy', 'restored', 'gain']
    assert ['car AP@0.5', '2', '0.0 (0.0 to 0.0)', '100.0', '+100.0 (+100.0 to +100.0)'] in cells(printed)
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
    assert ['mAP@0.5', '3'] in [line[:2] for line in cells(printed)] and 'restored' not in printed


def test_a_model_by_name(photos, stubs, monkeypatch, tmp_path):
    loaded = []
    monkeypatch.setattr('restorekit.inference.load', lambda name, device: loaded.append(name) or SimpleNamespace(
        restore=lambda image: image + np.uint8(100)))
    assert call(*photos, '--model', 'dcp', '--bootstrap', 0, '--json', tmp_path / 'd.json') == 0
    record = json.loads((tmp_path / 'd.json').read_text())
    assert loaded == ['dcp'] == [record['model']] and record['rows'][0]['sides']['restored']['value'] == 1


def test_classical_methods_and_every_second_photo(photos, stubs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detect_compare, 'BASELINES', dict(
        clahe=lambda device: lambda image: image + np.uint8(100), dcp=lambda device: lambda image: image))
    assert call(*photos, '--with', 'clahe', 'dcp', '--every', 2, '--bootstrap', 0, '--json', tmp_path / 'd.json') == 0
    record = json.loads((tmp_path / 'd.json').read_text())
    assert [side['value'] for side in record['rows'][0]['sides'].values()] == [0.5, 1, 0.5]
    assert record['images'] == 2 and list(record['rows'][0]['sides']) == ['hazy', 'clahe', 'dcp']
    assert all(side['interval'] is None for row in record['rows'] for side in row['sides'].values())
    assert call(*photos, '--with', 'clahee') == 1
    assert "'clahee' is not in the list of baselines; did you mean 'clahe'?" in capsys.readouterr().err


def test_only_the_photos_of_a_list(photos, stubs, tmp_path, capsys):
    (tmp_path / 'val.txt').write_text('# validation\nb.png\nc.png\n')
    cv2.imwrite(str(tmp_path / 'photos/lone.png'), np.zeros((48, 64, 3), np.uint8))
    assert call(*photos, '--list', tmp_path / 'val.txt', '--bootstrap', 0, '--json', tmp_path / 'd.json') == 0
    record = json.loads((tmp_path / 'd.json').read_text())
    assert {row['measure']: row['boxes'] for row in record['rows'][2:]} == {'car AP@0.5': 1}  # of b, the horse of c
    counts = 'images', 'boxes', 'unmapped', 'photos_without_annotation', 'annotations_without_photo'
    assert [record[key] for key in counts] == [2, 1, dict(horse=1), 0, 0]
    (tmp_path / 'val.txt').write_text('lone.png\na.png\nb.jpg\n')
    assert call(*photos, '--list', tmp_path / 'val.txt') == 1
    assert re.search(r'1 of 3 files of .*val.txt are not in .*photos: b.jpg \(line 3\)', capsys.readouterr().err)
    (tmp_path / 'val.txt').write_text('lone.png\na.png\n')
    assert call(*photos, '--list', tmp_path / 'val.txt', '--bootstrap', 0, '--json', tmp_path / 'd.json') == 0
    record = json.loads((tmp_path / 'd.json').read_text())
    assert [record[key] for key in counts] == [1, 2, {}, 1, 0]
    assert call(*photos, '--list', tmp_path / 'none.txt') == 1
    assert re.search('no list file .*none.txt', capsys.readouterr().err)


def test_offline_says_how_to_get_the_weights(photos, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise OSError('no network')
    monkeypatch.setattr('torch.hub.load_state_dict_from_url', fail)
    assert call(*photos) == 1
    error = capsys.readouterr().err
    assert 'could not be downloaded (no network)' in error and '--detector-weights FILE' in error


def test_mistakes_are_explained(photos, stubs, tmp_path, capsys):
    assert call(*photos, '--config', 'c.py') == 1
    assert 'give the checkpoint too' in capsys.readouterr().err
    assert call('--images', tmp_path / 'gone', *photos[2:]) == 1
    error = capsys.readouterr().err
    assert f'no folder {tmp_path / "gone"} of photos' in error and '--data-root' not in error
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
    assert [row['sides'] for row in record['rows'][:2]] == [dict(
        hazy=dict(value=None, interval=None),
        restored=dict(value=None, interval=None, gain=None, gain_interval=None))] * 2
    printed = capsys.readouterr().out
    assert ['mAP@0.5', '0', '-', '-', '-'] in cells(printed)
    assert 'nan' not in printed
