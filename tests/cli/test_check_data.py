import json
import shutil
import sys

import cv2
import numpy as np
import pytest

from restorekit.cli.main import main
from restorekit.files.image_io import read_image
from restorekit.tasks.check_data import check_data


def call(*arguments, workers=1):
    """Run the command; returns its exit status."""
    return main(['check-data', *map(str, arguments), '--workers', str(workers)])


CONFIG = """
train_dataloader = dict(dataset=dict(
    type='ConcatDataset', datasets=dict(
        pairs=dict(type='PairedDataset', input_dir='train/hazy', gt_dir='train/clear', pairing='prefix', expected=4),
        depth=dict(type='ClearDepthDataset', clear_dir='clear', depth_dir='depth'))))
val_dataloader = dict(dataset=dict(
    type='PairedDataset', input_dir='val/hazy', gt_dir='val/gt', gt_border=10, domain='val'))
test_dataloader = val_dataloader
"""


@pytest.fixture
def data(tmp_path):
    """A root without a fault, and the config of its datasets; every image is another."""
    numbers = iter(range(100))

    def write(path, size=(24, 32)):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(next(numbers)).integers(0, 256, (*size, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), image)
    for i in (1, 2):
        write(tmp_path / f'train/clear/{i}.png')
        write(tmp_path / f'train/hazy/{i}_1.png')
        write(tmp_path / f'train/hazy/{i}_2.png')
        write(tmp_path / f'clear/{i}.png')
        (tmp_path / 'depth').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'depth/{i}.png'), np.full((24, 32), 1000 * i, np.uint16))
        write(tmp_path / f'val/hazy/{i}.png', (30, 40))
        write(tmp_path / f'val/gt/{i}.png', (50, 60))
    (tmp_path / 'config.py').write_text(CONFIG)
    return tmp_path


def check(root, *options, workers=1):
    return call(root / 'config.py', '--data-root', root, *options, workers=workers)


def rows(text):
    lines = [line.split() for line in text.splitlines() if line.startswith(('train', 'val'))]
    return {line[1]: line[0:1] + line[2:] for line in lines}


@pytest.mark.parametrize('options', [(), ('--quick',)])
def test_a_sound_root_has_a_row_for_each_set_and_no_fault(data, capsys, options):
    out = data / 'report.json'
    assert check(data, '--json', out, *options) == 0
    table = rows(text := capsys.readouterr().out)
    assert table['pairs'][:6] == ['train', 'Paired', '4', '4', '6', table['pairs'][5]]
    assert table['depth'][:5] == ['train', 'ClearDepth', '2', '-', '4']
    assert table['val'][:5] == ['val,test', 'Paired', '2', '-', '4']
    assert table['val'][6:] == ['40x30', '60x50', '0'] and 'no faults' in text
    report = json.loads(out.read_text())
    assert [entry['faults'] for entry in report['datasets']] == [[], [], []]
    assert report['datasets'][0]['bytes'] == sum(p.stat().st_size for p in (data / 'train').rglob('*.png'))
    assert len(report['datasets'][0]['list_hash']) == 64


def fault(data, capsys, *words, options=(), count=1):
    assert check(data, *options) == 1
    text = capsys.readouterr().out
    for word in words:
        assert word in text, text
    assert f'\n{count} fault' in text


def test_another_number_than_expected(data, capsys):
    (data / 'train/hazy/2_2.png').unlink()
    fault(data, capsys, 'pairs: 3 images, but 4 are expected')


def test_broken_files_are_counted_and_named(data, capsys):
    (data / 'val/hazy/1.png').write_bytes(b'')
    (data / 'depth/2.png').write_bytes(b'no map')
    fault(data, capsys, 'val: 1 files cannot be read', 'val/hazy/1.png is empty', 'depth: 1 files cannot be read',
          count=2)
    fault(data, capsys, 'val/hazy/1.png is empty', options=['--quick'], count=2)


def test_damage_behind_the_header_needs_a_whole_look(data, capsys):
    path = data / 'train/hazy/1_1.png'
    content = bytearray(path.read_bytes())
    content[len(content) // 2:len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)
    assert check(data, '--quick') == 0
    fault(data, capsys, 'pairs: 1 files cannot be read', '1_1.png')


def test_pairs_of_unequal_size_name_both(data, capsys, make_images):
    make_images(data / 'val/gt', ['1.png'], size=(49, 60))
    make_images(data / 'clear', ['2.png'], size=(24, 33))
    fault(data, capsys, 'val: 1 items differ in size', 'hazy/1.png 40x30', 'gt/1.png 60x49', 'depth: 1 items',
          'clear/2.png 33x24', 'depth/2.png 32x24', count=2)


def test_a_set_that_cannot_be_built_leaves_the_others(data, capsys):
    shutil.rmtree(data / 'train/clear')
    (data / 'val/gt/2.png').unlink()
    fault(data, capsys, 'pairs: no folder', 'val: 1 of 2 images', 'have no clear image', '2.png', count=2)
    assert check(data) == 1
    assert rows(capsys.readouterr().out)['depth'][2] == '2'


def test_images_trained_and_tested_on(data, capsys):
    shutil.copy(data / 'train/hazy/1_1.png', data / 'val/hazy/copy.png')  # the same bytes
    shutil.copy(data / 'val/gt/1.png', data / 'val/gt/copy.png')
    again = read_image(data / 'clear/2.png')[..., ::-1]
    cv2.imwrite(str(data / 'val/hazy/3.png'), again, [cv2.IMWRITE_PNG_COMPRESSION, 9])  # the same pixels
    cv2.imwrite(str(data / 'val/gt/3.png'), np.pad(again, ((10, 10), (10, 10), (0, 0))))
    assert (data / 'val/hazy/3.png').read_bytes() != (data / 'clear/2.png').read_bytes()
    cv2.imwrite(str(data / 'val/gt/copy.png'), np.zeros((44, 52, 3), np.uint8))
    fault(data, capsys, '1 images of val are trained on in pairs (the same file)', 'train/hazy/1_1.png = ',
          'val/hazy/copy.png', '1 images of val are trained on in depth (the same pixels in another file)',
          'clear/2.png = ', count=2)
    assert check(data, '--quick') == 0


def test_validating_on_what_is_trained_on_is_a_fault(data, capsys):
    config = data / 'config.py'
    config.write_text(CONFIG.replace('val/hazy', 'train/hazy').replace('val/gt', 'train/clear').replace(
        'gt_border=10', "pairing='prefix'"))
    fault(data, capsys, '6 images of val are trained on in pairs (the same file)')


def test_equal_files_within_a_set_and_unused_clear_ones_are_notes(data, capsys, make_images):
    shutil.copy(data / 'clear/1.png', data / 'clear/9.png')
    shutil.copy(data / 'depth/1.png', data / 'depth/9.png')
    make_images(data / 'train/clear', ['7.png'])
    assert check(data) == 0
    text = capsys.readouterr().out
    assert 'note: pairs: 1 clear images have no hazy image' in text
    assert 'note: depth: 1 groups of equal files among gt' in text and 'clear/1.png = ' in text


@pytest.mark.slow
def test_workers_and_lmdbs_change_nothing(data, capsys):
    pytest.importorskip('lmdb')
    assert check(data) == 0
    first = capsys.readouterr().out
    for folder in ('train/hazy', 'val/gt'):
        assert main(['make-lmdb', str(data / folder), str(data / f'{folder}.lmdb')]) == 0
    (data / 'config.py').write_text(CONFIG.replace('train/hazy', 'train/hazy.lmdb').replace('val/gt', 'val/gt.lmdb'))
    capsys.readouterr()
    assert check(data, workers=2) == 0
    assert capsys.readouterr().out == first


def test_phases_and_procedural_sets(tmp_path, capsys):
    assert call('cid/cid_quickstart', '--json', tmp_path / 'r.json') == 0
    found = [(entry['name'], entry['splits'], entry['found'])
             for entry in json.loads((tmp_path / 'r.json').read_text())['datasets']]
    assert found == [('source', ['train'], 160), ('target', ['train'], 160),
                     ('source', ['val', 'test'], 12), ('target', ['val', 'test'], 12)]
    assert 'no faults' in capsys.readouterr().out


def test_mistakes_are_explained(tmp_path, capsys):
    (tmp_path / 'empty.py').write_text('a = 1')
    (tmp_path / 'wrong.py').write_text("test_dataloader = dict(dataset=dict(type='PairedDatset'))")
    for words, arguments in (('names no dataset', [tmp_path / 'empty.py']), ('PairedDataset', [tmp_path / 'wrong.py']),
                             ('no config', ['nothing'])):
        assert call(*arguments) == 1
        assert words in capsys.readouterr().err
    assert call('cid/cid_quickstart', workers=0) == 1
    assert 'workers must be at least 1' in capsys.readouterr().err


OWN = """
from restorekit.datasets import RestoreDataset
from restorekit.registry import DATASETS


@DATASETS.register_module(force=True)
class SetOfOnesOwn(RestoreDataset):
    def __len__(self):
        return 3
"""


def test_a_class_beside_the_config_that_names_no_files_is_noted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('sys.path', [*sys.path])
    (tmp_path / 'set_of_ones_own.py').write_text(OWN)
    (tmp_path / 'own.py').write_text("custom_imports = dict(imports=['set_of_ones_own'])\n"
                                     "test_dataloader = dict(dataset=dict(type='SetOfOnesOwn'))\n")
    assert call(tmp_path / 'own.py') == 0
    assert 'SetOfOnesOwn names no files, so nothing was read or compared' in capsys.readouterr().out


def test_python_gets_the_report_and_its_progress(data):
    seen = []
    report = check_data(data / 'config.py', data_root=str(data), workers=1,
                        progress=lambda *numbers: seen.append(numbers))
    assert [(entry.name, entry.splits, entry.found) for entry in report.datasets] == [
        ('pairs', ['train'], 4), ('depth', ['train'], 2), ('val', ['val', 'test'], 2)]
    assert seen == [(number, 14) for number in range(1, 15)] and report.faults == report.notes == []
    assert json.loads(json.dumps(report.to_dict()))['datasets'][2]['sizes'] == [[30, 40], [50, 60]]


def test_a_name_of_escapes_reaches_the_terminal_as_text(data, capsys):
    (data / 'val/hazy/\x1b[31m\udcff.png').write_bytes(b'no image')
    shutil.copy(data / 'val/gt/1.png', data / 'val/gt/\x1b[31m\udcff.png')
    fault(data, capsys, 'val/hazy/\\x1b[31m\\xff.png (8 bytes) is')
    assert check(data) == 1 and '\x1b' not in capsys.readouterr().out
