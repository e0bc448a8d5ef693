"""``restorekit test``: reports, their continuation, and images of other programs."""

import base64
import csv
import json
import multiprocessing
import os
import platform
import re
import shutil
import signal
import socket
import time

import cv2
import numpy as np
import pytest
import torch
from machine import alike, forks
from mmengine.config import Config
from reports import cells
from tiny import fork

from restorekit.cli.main import main
from restorekit.engine import EvaluationLoop
from restorekit.evaluation import PSNR, report
from restorekit.evaluation.comparison import compare_reports
from restorekit.evaluation.report_reader import read_report
from restorekit.files.image_io import read_image, write_image
from restorekit.files.lock import lock_folder
from restorekit.models import AODNet
from restorekit.registry import METRICS


@pytest.fixture
def data(tmp_path, make_images, monkeypatch):
    """A folder with two sets of pairs (seven and three images), config.py and aod.pth; the working directory."""
    sets = {}
    for name, count in (('day', 7), ('night', 3)):
        for kind in ('hazy', 'clear'):
            make_images(tmp_path / name / kind, [f'{i}.png' for i in range(count)])
        for file in (tmp_path / name / 'hazy').iterdir():
            write_image(file, 255 - (read_image(file) // 4 * (1 + int(file.stem) % 5)))
        sets[name] = dict(type='PairedDataset', input_dir=f'{name}/hazy', gt_dir=f'{name}/clear', domain=name)
    Config(dict(
        default_scope='restorekit', log_level='ERROR', model=dict(type='Restorer', network=dict(type='AODNet')),
        test_dataloader=dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                             dataset=dict(type='ConcatDataset', datasets=sets)),
        test_evaluator=[dict(type='PSNR'), dict(type='SSIM')], test_cfg={})).dump(str(tmp_path / 'config.py'))
    torch.manual_seed(0)
    torch.save(AODNet().state_dict(), tmp_path / 'aod.pth')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fail(capsys):
    """Run a test that must fail with status 1; returns what it says."""
    def run(*args):
        assert main(['test', *map(str, args)]) == 1
        err = capsys.readouterr().err
        assert 'Traceback' not in err
        return err
    return run


@pytest.fixture
def forwards(monkeypatch):
    """The indices of the images that are measured, in order."""
    seen, measure = [], EvaluationLoop._measure
    monkeypatch.setattr(EvaluationLoop, '_measure', lambda self, number, batch, indices, *args: (
        seen.extend(indices), measure(self, number, batch, indices, *args))[1])
    return seen


def measure(*args, out='out'):
    assert main(['test', 'config.py', 'aod.pth', '--out', str(out), *map(str, args)]) == 0


def contents(out):
    """What a report says of its images: equal for the same test, whenever it was run."""
    summary = json.loads((out / 'summary.json').read_text())
    pictures = re.findall(r'<figure>.*?</figure>', (out / 'report.html').read_text(), re.DOTALL)
    return (out / 'per_image.csv').read_text(), summary['sets'], summary['metrics'], pictures


def test_a_report_holds_every_image_and_their_means(data, capsys):
    measure('--save-images')
    printed = capsys.readouterr().out
    assert sorted(path.name for path in (data / 'out').iterdir()) == [
        'images', 'per_image.csv', 'report.html', 'summary.json', 'summary.md']
    with (data / 'out' / 'per_image.csv').open(newline='') as file:
        lines = list(csv.DictReader(file))
    assert [(line['domain'], line['image']) for line in lines] == \
        [('day', f'{i}.png') for i in range(7)] + [('night', f'{i}.png') for i in range(3)]
    summary = json.loads((data / 'out' / 'summary.json').read_text())
    for name in ('day', 'night'):
        values, inputs = [], []
        for i in range(len(list((data / name / 'hazy').iterdir()))):
            hazy, clear = (read_image(data / name / kind / f'{i}.png') for kind in ('hazy', 'clear'))
            inputs.append(10 * np.log10(255**2 / np.mean((hazy.astype(float) - clear) ** 2)))
            values.append(float(next(line for line in lines if (line['domain'], line['image']) == (name, f'{i}.png'))
                                ['PSNR@rgb']))
            saved = read_image(data / 'out' / 'images' / name / f'{i}.png').astype(float)
            assert 10 * np.log10(255**2 / np.mean((saved - clear) ** 2)) == pytest.approx(values[-1], abs=0.05)
        found = summary['sets'][name]['metrics']['PSNR@rgb']
        assert found['n'] == len(values) and found['mean'] == pytest.approx(np.mean(values), abs=1e-9)
        assert found['sd'] == pytest.approx(np.std(values, ddof=1)) and found['low'] < found['mean'] < found['high']
        assert found['input_mean'] == pytest.approx(np.mean(inputs), abs=1e-4)
        assert summary['metrics'][f'{name}/PSNR@rgb'] == found['mean']
        order = np.argsort(values)
        assert [item['image'] for item in found['worst']] == [f'{i}.png' for i in order[:len(found['worst'])]]
        assert [item['image'] for item in found['best']] == [f'{i}.png' for i in order[::-1][:len(found['best'])]]
        assert f'{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}' in printed
    assert [len(summary['sets']['day']['metrics']['PSNR@rgb'][kind]) for kind in ('worst', 'best')] == [4, 3]
    record = summary['provenance']
    assert record['versions']['torch'] == torch.__version__ and 'JPEG' in record['decoders']
    assert re.fullmatch('[0-9a-f]{64}', record['checkpoint_sha256'])
    assert all(re.fullmatch('[0-9a-f]{64}', entry['list_hash']) for entry in summary['sets'].values())
    assert ['day', 'PSNR@rgb ↑', '7'] in [line[:3] for line in cells((data / 'out' / 'summary.md').read_text())]


def test_the_page_is_whole_and_asks_nothing_of_a_network(data):
    (data / 'day' / 'hazy' / '0.png').rename(data / 'day' / 'hazy' / '<b>&é.png')
    (data / 'day' / 'clear' / '0.png').rename(data / 'day' / 'clear' / '<b>&é.png')
    measure()
    page = (data / 'out' / 'report.html').read_text(encoding='utf-8')
    assert not re.findall(r'https?:|<script|<link|@import|url\(', page)
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 10 and 'PSNR@rgb' in page and '&lt;b&gt;&amp;é.png' in page and '<b>&é' not in page
    for source in sources:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(source.removeprefix('data:image/jpeg;base64,')), np.uint8),
                             cv2.IMREAD_COLOR)
        assert image.shape == (150, 3 * 200 + 2 * 4, 3)  # input, restored, truth


@pytest.mark.slow
def test_names_that_no_terminal_should_see(data, capsys):
    name = os.fsdecode(b'=\xff\x1b[31m.png')
    for kind in ('hazy', 'clear'):
        (data / 'day' / kind / '0.png').rename(data / 'day' / kind / name)
    METRICS.register_module(module=Fails, force=True)
    try:
        measure('--metrics', 'Fails', '--cfg-options', 'test_evaluator=[]')
        (data / 'day' / 'hazy' / '1.png').rename(data / 'day' / 'hazy' / '6.png')
        measure('--metrics', 'Fails', out='other')
    finally:
        METRICS._module_dict.pop('Fails')
    summary, images = read_report('out')
    assert ('day', name) in images and "\n'=" not in (data / 'out' / 'per_image.csv').read_text(errors='replace')
    assert ",'=" in (data / 'out' / 'per_image.csv').read_text(errors='replace')
    assert main(['compare', 'out', 'other']) == 1  # not the same list
    captured = capsys.readouterr()
    assert '\x1b' not in captured.out + captured.err and 'is not the same list of images' in captured.err
    (data / 'third').mkdir()
    for file in ('summary.json', 'per_image.csv'):
        shutil.copy(data / 'out' / file, data / 'third' / file)
    assert main(['compare', 'out', 'third']) == 0
    assert '\x1b' not in capsys.readouterr().out


@pytest.mark.slow
@forks
def test_killed_it_continues_to_the_same_report(data, forwards):
    measure(out='whole')
    assert forwards == list(range(10))

    def killed():
        die_at(3)
        main(['test', 'config.py', 'aod.pth', '--out', 'cut'])

    assert fork(killed) == -signal.SIGKILL
    journal = data / 'cut' / '.progress' / 'rank_0.jsonl'
    assert journal.read_text().count('\n') == 6 and not (data / 'cut' / 'summary.json').exists()
    with journal.open('a') as file:
        file.write('{"index": 6, "domain": "da')  # torn
    forwards.clear()
    measure(out='cut')
    assert forwards == [6, 7, 8, 9]
    assert contents(data / 'cut') == contents(data / 'whole')
    assert not (data / 'cut' / '.progress').exists()
    forwards.clear()
    measure(out='cut')
    assert forwards == []  # finished


def test_only_strips_of_the_worst_and_best_are_kept_meanwhile(data, monkeypatch):
    monkeypatch.setattr('restorekit.evaluation.journal.SHOWN', 1)
    monkeypatch.setattr('restorekit.evaluation.report.SHOWN', 1)
    kept = []
    write = report.write_report

    def look(out, summary, rows, strips):
        kept.append((sorted(int(file.stem) for file in (data / 'out' / '.progress' / 'strips').iterdir()),
                     sorted(strips)))
        write(out, summary, rows, strips)

    monkeypatch.setattr(report, 'write_report', look)
    measure()
    rows = list(csv.DictReader((data / 'out' / 'per_image.csv').open()))
    values = [float(row['PSNR@rgb']) for row in rows]
    expected = sorted([*(int(pick(values[:7])) for pick in (np.argmin, np.argmax)),
                       *(7 + int(pick(values[7:])) for pick in (np.argmin, np.argmax))])
    assert kept == [(expected, expected)]


@pytest.mark.slow
def test_a_report_of_another_test_is_refused(data, fail):
    measure()
    again = ('config.py', 'aod.pth', '--out', 'out')
    text = fail(*again, '--protocol', 'y-matlab')
    assert 'out holds a report of another test: metrics is PSNR@rgb (' in text and 'PSNR@y-matlab' in text
    assert 'Choose another --out, or --overwrite' in text
    (data / 'day' / 'hazy' / '6.png').unlink()
    text = fail(*again)
    assert 'list of day is ' in text and 'list of night' not in text
    torch.save(AODNet().state_dict(), data / 'aod.pth')
    assert 'checkpoint is ' in fail(*again)
    assert 'predictions is absent there and input here' in fail('config.py', '--out', 'out', '--predictions', 'input')
    measure('--overwrite')
    assert json.loads((data / 'out' / 'summary.json').read_text())['sets']['day']['images'] == 6


@pytest.mark.slow
def test_overwriting_removes_what_the_old_report_saved_and_nothing_else(data, fail, capsys):
    measure('--save-images')
    (data / 'out' / 'images' / 'day' / 'mine.png').write_bytes(b'mine')
    (data / 'out' / 'notes.txt').write_text('mine')
    text = fail('config.py', '--predictions', 'out/images', '--out', 'out', '--overwrite')
    assert '--predictions out/images lies in it; choose another --out' in text
    for name in ('1.png', '2.png'):
        (data / 'out' / 'images' / 'day' / name).unlink()
    capsys.readouterr()
    measure('--save-images')
    printed = capsys.readouterr().out
    assert 'finished; 2 of its 10 saved images are gone; --overwrite measures again' in printed
    summary = json.loads((data / 'out' / 'summary.json').read_text())
    summary['saved'] += ['../day/hazy/0.png', 'images/../notes.txt']  # a report of another's making
    (data / 'out' / 'summary.json').write_text(json.dumps(summary))
    measure('--overwrite')
    printed = capsys.readouterr().out
    assert 'per_image.csv)' in printed and ', images' not in printed
    assert [path.name for path in (data / 'out' / 'images').rglob('*')] == ['day', 'mine.png']
    assert (data / 'out' / 'notes.txt').exists() and (data / 'day' / 'hazy' / '0.png').exists()


@pytest.mark.slow
@forks
def test_overwriting_removes_what_a_killed_test_saved(data):
    def killed():
        die_at(3)
        main(['test', 'config.py', 'aod.pth', '--out', 'cut', '--save-images'])
    assert fork(killed) == -signal.SIGKILL
    assert len(list((data / 'cut' / 'images').rglob('*.png'))) == 6
    measure('--overwrite', out='cut')
    assert not (data / 'cut' / 'images').exists()


@pytest.mark.slow
def test_two_tests_do_not_write_one_report(data, fail):
    out = data / 'out'
    out.mkdir()
    locked, ended = multiprocessing.get_context('fork').Pipe()

    def other():
        lock_folder(out)
        ended.send(True)
        time.sleep(60)

    child = multiprocessing.get_context('fork').Process(target=other)
    child.start()
    try:
        assert locked.recv()
        text = fail('config.py', 'aod.pth', '--out', 'out')
        assert f"{out} is in use: process {child.pid} on '{platform.node()}', since '2" in text
        assert 'wait for it to end, or choose another folder' in text
        assert 'is in use' in fail('config.py', 'aod.pth', '--out', 'out', '--overwrite')
    finally:
        child.kill()
        child.join()
    measure()  # the lock died with its process
    assert not [path for path in out.iterdir() if path.name.startswith('.')]
    assert 'of another test' in fail('config.py', 'aod.pth', '--out', 'out', '--protocol', 'ffa')
    assert not [path for path in out.iterdir() if path.name.startswith('.')]


@pytest.mark.parametrize('make', [lambda path, target: path.symlink_to(target), lambda path, target: path.mkdir(),
                                  lambda path, target: os.mkfifo(path)])
@pytest.mark.parametrize('name', ['.lock', '.lock-owner'])
def test_a_lock_that_is_no_file_is_named(data, fail, make, name):
    (data / 'out').mkdir()
    make(data / 'out' / name, data / 'aod.pth')
    before = (data / 'aod.pth').read_bytes()
    assert f'out/{name} should be the file of a lock, but is ' in fail('config.py', 'aod.pth', '--out', 'out')
    assert (data / 'aod.pth').read_bytes() == before


@pytest.mark.slow
def test_a_report_follows_no_link_out_of_its_folder(data, fail):
    measure('--save-images')
    elsewhere = data / 'elsewhere'
    shutil.move(data / 'out' / 'images', elsewhere)
    (data / 'out' / 'images').symlink_to(elsewhere)
    kept = sorted(elsewhere.rglob('*.png'))
    measure('--overwrite')
    assert len(kept) == 10 and sorted(elsewhere.rglob('*.png')) == kept  # not removed
    times = [path.stat().st_mtime_ns for path in kept]
    text = fail('config.py', 'aod.pth', '--out', 'out', '--save-images', '--overwrite')
    assert f'leads to {elsewhere}/day, outside the report folder out, where nothing is written; remove the link' in text
    assert [path.stat().st_mtime_ns for path in kept] == times
    (data / 'other').mkdir()
    (data / 'other' / '.progress').symlink_to(elsewhere)
    assert 'outside the report folder other' in fail('config.py', 'aod.pth', '--out', 'other')
    assert sorted(path.name for path in elsewhere.iterdir()) == ['day', 'night']


def test_a_folder_that_cannot_be_is_named(data, fail):
    for out in ('config.py', 'config.py/below'):
        text = fail('config.py', 'aod.pth', '--out', out)
        assert f'--out {out} cannot be the folder of a report: there is a file of that name, or above it' in text
    text = fail('config.py', 'aod.pth', '--out', 'x' * 300)
    assert f'--out {"x" * 300} cannot be the folder of a report: File name too long; choose another' in text


@pytest.mark.slow
def test_a_data_set_alone_has_no_model(data, fail):
    Config(dict(test_dataloader=dict(batch_size=1, num_workers=0, dataset=dict(
        type='PairedDataset', input_dir='night/hazy', gt_dir='night/clear')))).dump(str(data / 'nights.py'))
    text = fail('nights.py', 'aod.pth')
    assert 'nights.py has no model that aod.pth could be loaded into: it is a dataset alone.' in text
    assert 'restorekit test CONFIG aod.pth --data nights.py' in text
    # its name is that of its file, wherever it is named
    assert main(['test', 'nights.py', '--predictions', 'input', '--out', 'a']) == 0
    measure('--data', 'nights.py', out='b')
    assert list(compare_reports('a', 'b')['rows'][0].values())[:2] == ['nights', 'PSNR@rgb']


@pytest.mark.slow
def test_images_stay_below_the_folder(data):
    cfg = Config.fromfile('config.py')
    cfg.test_dataloader.dataset.datasets.day.domain = '../../esc'
    cfg.test_dataloader.dataset.datasets.night.domain = '..'
    cfg.dump('config.py')
    measure('--save-images', out='deep/out')
    assert sorted(path.name for path in (data / 'deep' / 'out' / 'images').iterdir()) == ['.._.._esc', '__']
    assert len(list((data / 'deep' / 'out' / 'images').rglob('*.png'))) == 10
    assert sorted(path.name for path in data.iterdir()) == ['aod.pth', 'config.py', 'day', 'deep', 'night']
    assert main(['test', 'config.py', '--predictions', 'deep/out/images', '--out', 'again']) == 0


class Fails(PSNR):
    """A PSNR that fails on two images."""

    quantity = 'Fails'

    def process(self, data_batch, data_samples):
        super().process(data_batch, data_samples)
        for row in self.results:
            if row['domain'] == 'day' and row['img_path'].endswith(('1.png', '3.png')):
                row['value'] = float('nan')


def test_a_result_that_is_not_finite_is_shown_as_such(data, capsys):
    METRICS.register_module(module=Fails, force=True)
    try:
        measure('--metrics', 'Fails', '--cfg-options', 'test_evaluator=[]')
    finally:
        METRICS._module_dict.pop('Fails')
    printed = capsys.readouterr().out
    summary, page = (data / 'out' / 'summary.md').read_text(), (data / 'out' / 'report.html').read_text()
    warning = 'day, Fails@rgb: not finite on 2 of 7 images (1.png, 3.png), so there is no mean'
    assert f'warning: {warning}' in printed and f'**Warning:** {warning}' in summary
    assert f'<b>Warning:</b> {warning}' in page and '<b>not finite</b>' in page
    line = next(line for line in cells(summary) if line[:2] == ['day', 'Fails@rgb ↑'])
    assert line[2:5] == ['7', 'not finite (2 of 7)', ''] and re.fullmatch(r'\d+\.\d\d', line[5]) and line[6:] == ['']
    assert '`1.png` not finite' in summary
    assert '<td>not finite (2 of 7)</td>' in page and 'not finite (2 of 7)' in printed
    record = json.loads((data / 'out' / 'summary.json').read_text())
    found = record['sets']['day']['metrics']['Fails@rgb']
    assert (found['n'], found['not_finite'], found['mean'], found['low']) == (7, 2, None, None)
    assert found['input_mean'] > 0 and 'day/Fails@rgb' not in record['metrics']


def die_at(batch):
    """Kill this process before that batch is measured."""
    step = EvaluationLoop._measure

    def until(self, number, *args):
        if number == batch:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, number, *args)
    EvaluationLoop._measure = until


def in_two_processes(out, *args, die=None):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]

    def process(rank):
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                          MASTER_PORT=str(port))
        die_at(die)
        os._exit(main(['test', 'config.py', 'aod.pth', '--launcher', 'pytorch', '--out', out, *args]))

    return fork(process, ranks=2)


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed')
@forks
def test_two_processes_measure_what_one_does(data, forwards):
    measure('--save-images', out='one')
    assert in_two_processes('two', '--save-images') == [0, 0]
    assert contents(data / 'one') == contents(data / 'two')
    assert in_two_processes('cut', '--save-images', die=1) == [-signal.SIGKILL] * 2  # two of five images each
    forwards.clear()
    measure('--save-images', out='cut')
    assert forwards == [4, 5, 6, 7, 8, 9] and contents(data / 'one') == contents(data / 'cut')
    images = sorted(path.relative_to(data / 'one') for path in (data / 'one' / 'images').rglob('*.png'))
    assert len(images) == 10
    for image in images:
        assert len({(data / out / image).read_bytes() for out in ('one', 'two', 'cut')}) == 1


@pytest.mark.parametrize('batch_size', [1, 3, 16])
def test_numbers_do_not_depend_on_the_batch(data, batch_size):
    measure(out='two')
    measure('--cfg-options', f'test_dataloader.batch_size={batch_size}', out='other')
    if torch.cuda.is_available():
        two, other = ([list(row.values()) for row in csv.DictReader((data / name / 'per_image.csv').open())]
                      for name in ('two', 'other'))
        for a, b in zip(two, other, strict=True):
            assert a[:2] == b[:2] and [*map(float, a[2:])] == alike([*map(float, b[2:])])
        return
    assert contents(data / 'two')[:2] == contents(data / 'other')[:2]


@pytest.mark.slow
def test_images_of_another_program(data, fail):
    measure('--save-images')
    assert main(['test', 'config.py', '--predictions', 'out/images', '--out', 'stored', '--protocol', 'rgb-uint8']) == 0
    measure('--protocol', 'rgb-uint8', out='again')
    assert (data / 'stored' / 'per_image.csv').read_text() == (data / 'again' / 'per_image.csv').read_text()
    for name in ('0.png', '2.png'):
        (data / 'out' / 'images' / 'day' / name).unlink()
    text = fail('config.py', '--predictions', 'out/images', '--out', 'missing')
    assert '2 of 10 test images have no prediction in out/images: day/0.png, day/2.png. A prediction is named' in text
    text = fail('config.py', '--predictions', 'day/clear')
    assert 'day/clear/0.png would be the prediction of two test images, day/0.png and night/0.png; several sets' in text
    write_image(data / 'out' / 'images' / 'day' / '0.png', np.zeros((5, 7, 3), np.uint8))
    write_image(data / 'out' / 'images' / 'day' / '2.png', np.zeros((5, 7, 3), np.uint8))
    text = fail('config.py', '--predictions', 'out/images')
    assert 'day/hazy/0.png: the prediction is (3, 5, 7) (C, H, W) and the ground truth (3, 24, 32)' in text


def test_the_input_itself(data, fail):
    assert main(['test', 'config.py', '--predictions', 'input', '--out', 'out']) == 0
    lines = list(csv.DictReader((data / 'out' / 'per_image.csv').open()))
    assert [line['PSNR@rgb'] for line in lines] == [line['input_PSNR@rgb'] for line in lines]
    assert 'neither a CHECKPOINT (before the options) nor --predictions DIR' in fail('config.py')
    assert 'both a CHECKPOINT and --predictions' in fail('config.py', 'aod.pth', '--predictions', 'input')
    assert 'no folder of predictions' in fail('config.py', '--predictions', 'gone')


@pytest.mark.slow
def test_other_sets_and_protocols_by_name(data, fail):
    for name in ('day', 'night'):
        Config(dict(test_dataloader=dict(batch_size=1, num_workers=0, dataset=dict(
            type='PairedDataset', input_dir=f'{name}/hazy', gt_dir=f'{name}/clear')))).dump(str(data / f'my_{name}.py'))
    measure('--data', 'my_night.py', 'my_day.py', '--protocol', 'rgb', 'y-matlab')
    summary = json.loads((data / 'out' / 'summary.json').read_text())
    assert {name: entry['images'] for name, entry in summary['sets'].items()} == dict(my_night=3, my_day=7)
    assert list(summary['definitions']) == ['PSNR@rgb', 'SSIM@rgb', 'PSNR@y-matlab', 'SSIM@y-matlab']
    (data / 'none.py').write_text("_base_ = ['config.py']\ntest_evaluator = []\n")
    assert 'none.py names no metric; name some with --metrics' in fail('none.py', 'aod.pth')
    assert main(['test', 'none.py', 'aod.pth', '--metrics', 'MAE', '--out', 'mae']) == 0
    assert list(json.loads((data / 'mae' / 'summary.json').read_text())['definitions']) == ['MAE@rgb']
    assert "did you mean 'procedural'" in fail('config.py', 'aod.pth', '--data', 'procedurl')
    assert "'rgd' is not in the list of protocols" in fail('config.py', 'aod.pth', '--protocol', 'rgd')
    assert "'PNSR' is not in the metric registry" in fail('config.py', 'aod.pth', '--metrics', 'PNSR')


def test_a_set_without_truth_and_a_broken_file(data, capsys):
    (data / 'day' / 'hazy' / '2.png').write_bytes(b'no image')
    cfg = Config.fromfile(str(data / 'config.py'))
    cfg.test_dataloader.dataset.datasets.day.on_error = 'skip'
    cfg.test_dataloader.dataset.datasets.night = dict(type='SingleDataset', image_dir='night/hazy', domain='night')
    cfg.dump(str(data / 'config.py'))
    measure()
    summary = json.loads((data / 'out' / 'summary.json').read_text())
    day, night = summary['sets']['day'], summary['sets']['night']
    assert day['broken'] == ['2.png'] and day['metrics']['PSNR@rgb']['n'] == 6
    capsys.readouterr()
    measure()
    assert 'finished; 1 file could not be read then; --overwrite measures again' in capsys.readouterr().out
    assert night['metrics']['PSNR@rgb']['n'] == 0 and night['metrics']['PSNR@rgb']['mean'] is None
    assert ['night', 'PSNR@rgb', '0', 'not measured'] in [line[:4] for line in
                                                          cells((data / 'out' / 'summary.md').read_text())]
    assert 'day,2.png,,,,' in (data / 'out' / 'per_image.csv').read_text()


@pytest.mark.slow
def test_each_number_has_one_column(data, fail):
    measure('--metrics', 'PSNR', 'MAE')  # PSNR is in the config without a protocol
    labels = ['PSNR@rgb', 'SSIM@rgb', 'MAE@rgb']
    header, *lines = csv.reader((data / 'out' / 'per_image.csv').open())
    assert header == ['domain', 'image', *(key for label in labels for key in (label, f'input_{label}'))]
    assert all(len(line) == 8 and float(line[6]) < 1 for line in lines)
    assert list(json.loads((data / 'out' / 'summary.json').read_text())['definitions']) == labels

    def config(name, *metrics):
        cfg = Config.fromfile('config.py')
        cfg.test_evaluator = list(metrics)
        cfg.dump(name)
    config('two.py', dict(type='PSNR', protocol=dict(name='own', crop_border=2)),
           dict(type='SSIM', protocol=dict(name='own', crop_border=4)))
    text = fail('two.py', 'aod.pth')
    assert "two protocols are named 'own', with different settings (crop_border 2 and 4); give one of them" in text
    config('differ.py', dict(type='PSNR', protocol=dict(name='own', crop_border=2)),
           dict(type='PSNR', protocol=dict(name='own', crop_border=4)))
    assert 'two metrics of one label, PSNR@own, differ (protocol {' in fail('differ.py', 'aod.pth')
    config('prefix.py', dict(type='PSNR'), dict(type='PSNR', prefix='mine'))
    assert main(['test', 'prefix.py', 'aod.pth', '--out', 'prefix']) == 0
    lines = list(csv.DictReader((data / 'prefix' / 'per_image.csv').open()))
    assert all(line['PSNR@rgb'] == line['mine/PSNR@rgb'] for line in lines)
