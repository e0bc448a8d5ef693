import numpy as np
import pytest
from tiny import PHASES, config, scenes

from restorekit.cli.main import main
from restorekit.datasets import CounterSampler
from restorekit.files.image_io import read_image
from restorekit.functional.images import to_array
from restorekit.registry import DATASETS
from restorekit.tasks import browse_dataset

COMPOSITION = dict(type='Sequential', children=[
    dict(type='OneOf', children=[dict(type='Dust'), dict(type='LowLight', gamma=2.0)]),
    dict(type='Maybe', p=0.0, child=dict(type='JPEG'))])


def call(*arguments):
    """Run the command; returns its exit status."""
    return main(['browse-dataset', *map(str, arguments)])


@pytest.fixture
def sheets(monkeypatch):
    """What is laid out: (rows, titles, captions) of each sheet made."""
    made = []

    def contact_sheet(rows, titles, height, captions):
        made.append((rows, titles, captions))
        return np.zeros((4, 4, 3), np.uint8)
    monkeypatch.setattr('restorekit.visualization.contact_sheet', contact_sheet)
    return made


def write(tmp_path, **overrides):
    """Write a config file; returns its path."""
    cfg = config('unused', **overrides)
    del cfg['work_dir']
    path = tmp_path / 'config.py'
    path.write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.items()))
    return path


@pytest.mark.slow
def test_rows_are_what_the_run_draws(tmp_path, sheets, capsys):
    path = write(tmp_path, phases=PHASES)
    assert call(path, '--number', 3, '--start', 5, '--out', tmp_path / 'sheet.png') == 0
    rows, titles, captions = sheets[0]
    assert titles == ['input', 'ground truth', 'depth (near dark)', 'target'] and len(rows) == 3
    dataset = DATASETS.build(PHASES['pretrain']['train_dataloader']['dataset'])
    sampler = CounterSampler(dataset, seed=3)  # the run's seed
    sampler.skip(5)
    for number, draw, row in zip((5, 6, 7), sampler, rows, strict=False):
        item = dataset[draw]
        assert draw.number == number
        assert np.array_equal(row[0], to_array(item['inputs']))
        assert np.array_equal(row[1], to_array(item['data_samples'].gt))
        assert np.array_equal(row[3], to_array(item['target']['inputs']))
        assert (row[2].min(), row[2].max()) == (0, 255)
    beta = dataset[next(iter(sampler))]['data_samples'].degradation['beta']
    assert captions[0].startswith('source, draw 5: city_0_0000')
    assert f'png, 32x32, AtmosphericScattering beta {beta:.2g}, input ' in captions[0]
    assert '\ntarget: highland_0_0000' in captions[0]
    printed = capsys.readouterr().out
    assert 'phase pretrain, train: 6 items; 3 rows from 3 draws' in printed
    assert 'other phases: supervised, adapt (--phase NAME)' in printed


def test_a_phase_and_options_change_the_rows(tmp_path, sheets):
    path = write(tmp_path, phases=PHASES)
    assert call(path, '--phase', 'supervised', '--out', tmp_path / 's.png', '--cfg-options',
                'train_dataloader.dataset.style=highland') == 0
    rows, titles, captions = sheets[0]
    assert titles == ['input', 'ground truth', 'depth (near dark)']
    assert all('highland_0_' in caption and 'target' not in caption for caption in captions)


def test_the_preprocessor_degrades_and_pads(tmp_path, sheets):
    clear = scenes(domain='source', height=36, width=40, pipeline=[])
    path = write(tmp_path, train_dataloader=dict(batch_size=2, num_workers=0, sampler=dict(type='CounterSampler'),
                                                 dataset=clear))
    assert call(path, '--out', tmp_path / 's.png', '--cfg-options',
                'model.data_preprocessor.type=RestorePreprocessor',
                'model.data_preprocessor.degradation={type: AtmosphericScattering, beta: [0.5, 2.0]}') == 0
    rows, _, captions = sheets[0]
    assert rows[0][0].shape == (48, 48, 3) and rows[0][1].shape == (36, 40, 3)  # the network halves four times
    assert '40x36 padded to 48x48, AtmosphericScattering beta' in captions[0]
    assert all(5 < float(caption.split('input ')[1].split(' dB')[0]) < 35 for caption in captions)


def test_an_input_range_is_undone():
    dataset = DATASETS.build(scenes(domain='source'))
    preprocessor = browse_preprocessor(input_range=(-1.0, 1.0))
    row = browse_dataset.make_row(dataset[0], 0, preprocessor, False, {})
    assert np.array_equal(row['input'], to_array(dataset[0]['inputs']))
    item = dataset[0]
    item['inputs'] = item['data_samples'].gt
    assert 'input 100.0 dB' in browse_dataset.make_row(item, 0, preprocessor, False, {})['caption']


def browse_preprocessor(input_range):
    from restorekit.models.preprocessor import RestorePreprocessor
    preprocessor = RestorePreprocessor()
    preprocessor.input_range = input_range
    return preprocessor


def test_every_domain_gets_its_rows_though_drawn_unevenly(tmp_path, sheets):
    rare = dict(type='ConcatDataset', weights=[0.9, 0.1], datasets=[
        scenes(domain='city', pipeline=[dict(type='Degrade', degradation=COMPOSITION)]),
        scenes(domain='hills', style='highland')])
    path = write(tmp_path, train_dataloader=dict(batch_size=2, num_workers=0, sampler=dict(type='CounterSampler'),
                                                 dataset=rare))
    assert call(path, '--number', 2, '--out', tmp_path / 's.png') == 0
    captions = sheets[0][2]
    assert [caption.split(',')[0] for caption in captions] == ['city', 'city', 'hills', 'hills']
    assert all(('Dust beta' in text) != ('LowLight gamma 2' in text) and 'JPEG' not in text for text in captions[:2])


def test_a_domain_that_is_not_drawn_is_named(tmp_path, sheets, capsys):
    never = dict(type='ConcatDataset', weights=[1, 0], datasets=[scenes(domain='city'), scenes(domain='hills')])
    path = write(tmp_path, train_dataloader=dict(batch_size=2, num_workers=0, sampler=dict(type='CounterSampler'),
                                                 dataset=never))
    assert call(path, '--number', 1, '--out', tmp_path / 's.png') == 0
    assert len(sheets[0][0]) == 1
    printed = capsys.readouterr().out
    assert '1 rows from 80 draws' in printed and 'hills was drawn only 0 times' in printed


def test_held_out_images_are_spread_over_each_set(tmp_path, sheets):
    val = dict(type='ConcatDataset', datasets=[scenes(domain='city', length=6), scenes(domain='hills', length=1)])
    path = write(tmp_path, val_dataloader=dict(batch_size=2, num_workers=0, dataset=val,
                                               sampler=dict(type='DefaultSampler', shuffle=False)))
    assert call(path, '--split', 'val', '--number', 3, '--out', tmp_path / 's.png') == 0
    assert [caption.split(':')[0] for caption in sheets[0][2]] == [
        'city, image 0', 'city, image 2', 'city, image 4', 'hills, image 6']


def test_the_sheet_is_written(tmp_path):
    assert call(write(tmp_path), '--number', 1, '--out', tmp_path / 'new' / 'sheet.png', '--height', 64) == 0
    sheet = read_image(tmp_path / 'new' / 'sheet.png')
    assert sheet.shape[1] == 3 * 64 + 2 * 4 and (sheet.shape[0] - 24 - 64) % 18 == 0


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--number', 0), 'number must be at least 1'),
    (('--phase', 'adapt'), "has no phases; leave the phase 'adapt' out"),
    (('--split', 'test'), 'has no test_dataloader; the split may be train or val'),
    (('--cfg-options', 'train_dataloader.dataset.style=sea'), 'sea')])
def test_mistakes_are_explained(tmp_path, arguments, message, capsys):
    assert call(write(tmp_path), '--out', tmp_path / 's.png', *arguments) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_phase_has_near_names(tmp_path, capsys):
    assert call(write(tmp_path, phases=PHASES), '--phase', 'adap', '--out', tmp_path / 's.png') == 1
    assert "did you mean 'adapt'" in capsys.readouterr().err


def test_a_missing_folder_of_another_split_does_not_matter(tmp_path, sheets):
    path = write(tmp_path, val_dataloader=dict(batch_size=1, dataset=dict(
        type='SingleDataset', image_dir='nowhere')))
    assert call(path, '--out', tmp_path / 's.png') == 0
    assert call(path, '--out', tmp_path / 's.png', '--split', 'val') == 1


def test_python_gets_the_sheet(tmp_path):
    sheet = browse_dataset.browse_dataset(write(tmp_path, phases=PHASES), phase='adapt', number=2, height=32,
                                          out=tmp_path / 's.png')
    assert (sheet.phase, sheet.other_phases, sheet.rows) == ('adapt', ['pretrain', 'supervised'], {'source': 2})
    assert len(sheet.captions) == sheet.draws == 2 and sheet.items == 6
    assert np.array_equal(read_image(tmp_path / 's.png'), sheet.image)
