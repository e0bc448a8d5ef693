"""The attack corpus, through the commands, under an audit hook: nothing is run, fetched, or written elsewhere."""

import json
import os
import signal
import sys
import tempfile

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.cli.main import main
from restorekit.config import RestoreConfig
from restorekit.engine import MultiPhaseRunner
from restorekit.messages import UserError
from restorekit.models import AODNet

sys.path.insert(0, os.path.dirname(__file__))
import checkpoints
import images
from guard import watched

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != 'linux', reason='names and devices of Linux')]

CORPUS = checkpoints.corpus()
NAMES = ['a\x1b[31mb', 'line\nbreak', '\udcff\udcfe', 'x' * 251, 'ü' * 125, 'CON', 'NUL', 'com1', 'C:\\x', 'C:y',
         '\\\\host\\x',
         'up\\..\\..\\z', 'a.', ' ', '-rf', '--out', '$(id)', '`id`', '=1+1', '@x', '|x', 'tab\t', '\x9b31m',
         '\u202egnp',
         'a;b', 'a&b',
         '%s%n', '{0}', "quote'\"", '~', '*', '[a]', '#', '<b>', '\r', '\x7f']


@pytest.fixture(scope='module', autouse=True)
def quiet_process(tmp_path_factory):
    """Temporary files of configs go to a folder of the tests, byte code nowhere; imports are done."""
    folder = tmp_path_factory.mktemp('temporary')
    before = tempfile.tempdir, sys.dont_write_bytecode, os.getcwd()
    tempfile.tempdir, sys.dont_write_bytecode = str(folder), True
    cfg = config(folder / 'run', iters=1, interval=1)  # imports, and folders that libraries make for themselves
    MultiPhaseRunner(Config(cfg)).train()
    yield folder
    tempfile.tempdir, sys.dont_write_bytecode = before[:2]
    os.chdir(before[2])


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A working folder with a photo, a genuine checkpoint and a file that must stay."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('photo.png', np.full((24, 32, 3), 90, np.uint8))
    (tmp_path / 'victim').write_text('precious')
    (tmp_path / 'out').mkdir()
    return tmp_path


def command(*arguments, seconds=60):
    """Run a command that must end soon, in success or in a sentence; returns its status."""
    def late(*_):
        raise TimeoutError(f'{arguments} hangs')
    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        return end.code
    finally:
        signal.alarm(0)


def in_sentences(capsys, what):
    text = ''.join(capsys.readouterr())
    assert 'Traceback' not in text and 'This is a bug' not in text, (what, text)
    assert not {'\x1b', '\x9b', '\x07'} & set(text), what


def test_the_corpus_is_as_large_as_promised():
    assert len(CORPUS) >= 120 and len(NAMES) >= 30
    assert len(images.FORMATS) * len(list(images._damages(bytes(100)))) + len(list(images._special())) >= 160


def test_the_hook_notices(tmp_path):
    for act in (lambda: open(tmp_path / 'x', 'w').close(), lambda: (tmp_path / 'y').mkdir(),
                lambda: os.system('true')):
        with pytest.raises(AssertionError), watched(tmp_path / 'out'):
            act()


def test_reading_hostile_checkpoints(root, quiet_process):
    other = {}
    for name, (write, expected, suffix) in CORPUS.items():
        path = root / f'hostile{suffix}'
        write(path)
        try:
            with watched(root / 'out'):
                load_checkpoint_file(path)
            outcome = 'data'
        except UserError as error:
            assert 'hostile' in str(error), name
            outcome = 'refused'
        if outcome != expected:
            other[name] = outcome
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        assert not (root / checkpoints.MARK).exists(), name
    assert not other


def test_hostile_checkpoints_in_the_commands(root, quiet_process, capsys):
    cfg = config('unused', iters=1)
    for key in ('work_dir', 'val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks'):
        cfg.pop(key)
    RestoreConfig(cfg).dump(str(root / 'tiny.py'))
    for name, (write, expected, suffix) in CORPUS.items():
        path = root / f'hostile{suffix}'
        write(path)
        with watched(root / 'out', quiet_process):
            assert command('restore', 'photo.png', '-o', 'out', '--checkpoint', path) != 0, name
            command('convert', path, 'out/converted.pth', '--force', '--quiet')
            if expected == 'data':
                assert command('train', 'tiny.py', '--work-dir', 'out/run', '--load-from', path) != 0, name
        in_sentences(capsys, name)
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        assert not (root / checkpoints.MARK).exists() and (root / 'victim').read_text() == 'precious', name


def test_hostile_training_states(root, quiet_process, capsys):
    cfg = config('unused', iters=1, interval=1)
    for key in ('work_dir', 'val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks'):
        cfg.pop(key)
    RestoreConfig(cfg).dump(str(root / 'tiny.py'))
    assert command('train', 'tiny.py', '--work-dir', 'out/run') == 0
    path = root / 'out' / 'run' / 'iter_1.pth'
    genuine = load_checkpoint_file(path)
    state = json.loads((root / 'out/run/run_state.json').read_text())
    state['phases'] = {}
    capsys.readouterr()
    for name, change in checkpoints.training_states().items():
        (root / 'out/run/run_state.json').write_text(json.dumps(state))
        torch.save({**genuine, **change}, path)
        with watched(root / 'out', quiet_process):
            assert command('train', 'tiny.py', '--work-dir', 'out/run', '--resume') == 1, name
        text = ''.join(capsys.readouterr())
        assert 'Traceback' not in text and 'iter_1.pth' in text, (name, text)


def test_hostile_images_in_the_commands(root, quiet_process, capsys):
    (root / 'in').mkdir()
    expected = images.write_images(root / 'in')
    cv2.imwrite(str(root / 'in' / 'fine.png'), np.full((24, 32, 3), 90, np.uint8))
    torch.save(dict(state_dict={f'network.{key}': value for key, value in AODNet().state_dict().items()},
                    meta=dict(restorekit=dict(network='{"type": "AODNet"}'))), root / 'aod.pth')
    with watched(root / 'out', quiet_process):
        assert command('restore', 'in', '-o', 'out/restored', '--checkpoint', 'aod.pth') == 1
        written = {path.name for path in (root / 'out/restored').rglob('*') if path.is_file()}
        command('measure', 'in', 'in')
        command('synthesize', 'day', '--clear', 'in', '--out', 'out/hazy', '--workers', '1')
    in_sentences(capsys, 'images')
    assert 'fine.png' in written
    assert not [name for name, what in expected.items() if what == 'refused' and name in written]


def test_hostile_names_in_the_commands(root, quiet_process, capsys):
    (root / 'in').mkdir()
    content = (root / 'photo.png').read_bytes()
    for name in NAMES:
        (root / 'in' / f'{name.replace("/", "_")}.png').write_bytes(content)
    torch.save(dict(state_dict={f'network.{key}': value for key, value in AODNet().state_dict().items()},
                    meta=dict(restorekit=dict(network='{"type": "AODNet"}'))), root / 'aod.pth')
    with watched(root / 'out', quiet_process):
        assert command('restore', 'in', '-o', 'out/restored', '--checkpoint', 'aod.pth') == 0
        command('measure', 'in', 'in')
        command('synthesize', 'day', '--clear', 'in', '--out', 'out/hazy', '--workers', '1')
    in_sentences(capsys, 'names')
    assert len(list((root / 'out/restored').rglob('*.png'))) == len(NAMES)


@pytest.mark.parametrize('text', ['', '[]', '{}', '[' * 100000, '{"metrics": 3}', '{"sets": {"a": null}}', '\udcff',
                                  'null'])
def test_hostile_reports(root, quiet_process, capsys, text):
    for name in ('a', 'b'):
        (root / name).mkdir()
        (root / name / 'results.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
        (root / name / 'per_image.csv').write_text('=cmd|x,1\n')
    with watched(root / 'out', quiet_process):
        assert command('compare', 'a', 'b', '--json', 'out/c.json') != 0
    in_sentences(capsys, text[:20])


