"""The attack corpus, through the commands, under an audit hook: nothing is run, fetched, or written elsewhere."""

import contextlib
import functools
import json
import os
import shutil
import signal
import sys
import tempfile

import cv2
import numpy as np
import pytest
import torch

import restorekit.cli.main as cli
from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import load_config
from restorekit.engine import RestoreRunner
from restorekit.files.lazy_image import open_image
from restorekit.messages import UserError

sys.path.insert(0, os.path.dirname(__file__))
import checkpoints
import images
from guard import watched
from tiny import fork

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != 'linux', reason='names and devices of Linux')]

CORPUS = checkpoints.corpus()
NAMES = ['a\x1b[31mb', 'line\nbreak', '\udcff\udcfe', 'x' * 251, 'ü' * 125, 'CON', 'NUL', 'com1', 'C:\\x', 'C:y',
         '\\\\host\\x',
         'up\\..\\..\\z', 'a.', ' ', '-rf', '--out', '$(id)', '`id`', '=1+1', '@x', '|x', 'tab\t', '\x9b31m',
         '\u202egnp',
         'a;b', 'a&b',
         '%s%n', '{0}', "quote'\"", '~', '*', '[a]', '#', '<b>', '\r', '\x7f']


#: The smallest run there is: what is attacked are the files, not the network.
TINY = """
default_scope = 'restorekit'
log_level = 'ERROR'
randomness = dict(seed=3)
model = dict(type='Restorer', network=dict(type='AODNet'), losses=dict(pixel=dict(type='L1Loss')))
train_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='CounterSampler'), dataset=dict(
    type='ProceduralScenes', length=2, height=16, width=16, pipeline=[
        dict(type='Degrade', degradation=dict(type='AtmosphericScattering', beta=1.0))]))
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
                       dataset=train_dataloader['dataset'])
test_evaluator = [dict(type='PSNR')]
test_cfg = dict()
train_cfg = dict(max_iters=2)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False)]
default_hooks = dict(checkpoint=dict(type='SafeCheckpointHook', interval=1))
visualizer = dict(type='Visualizer')
"""
#: The same over folders of images; what is broken is left out.
IMAGES = TINY + """
data = dict(type='PairedDataset', input_dir='in', gt_dir='gt', on_error='skip', domain='a\\x1b[31m/../b')
test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=data)
train_dataloader = dict(batch_size=8, num_workers=0, sampler=dict(type='CounterSampler'), dataset=dict(
    data, pipeline=[dict(type='RandomCrop', size=8)]))
"""
HAZE = "degradation = dict(type='AtmosphericScattering', beta=1.0)\n"
SEEN = ('--protocols', 'rgb', '--metrics', 'PSNR')


@pytest.fixture(scope='module', autouse=True)
def quiet_process(tmp_path_factory):
    """Temporary files of configs go to a folder of the tests, byte code nowhere; imports are done."""
    folder = tmp_path_factory.mktemp('temporary')
    before = tempfile.tempdir, sys.dont_write_bytecode, os.getcwd(), cli.build_parser
    tempfile.tempdir, sys.dont_write_bytecode = str(folder), True
    (folder / 'tiny.py').write_text(TINY)
    cli.build_parser = functools.cache(cli.build_parser)
    assert cli.main(['train', str(folder / 'tiny.py'), '--work-dir', str(folder / 'run')]) == 0  # imports
    yield folder
    tempfile.tempdir, sys.dont_write_bytecode, _, cli.build_parser = before
    os.chdir(before[2])


@pytest.fixture
def root(tmp_path, monkeypatch, quiet_process, capsys):
    """A working folder with a photo, a genuine checkpoint, configs and a file that must stay."""
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('photo.png', np.full((24, 32, 3), 90, np.uint8))
    (tmp_path / 'victim').write_text('precious')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'tiny.py').write_text(TINY)
    (tmp_path / 'images.py').write_text(IMAGES)
    (tmp_path / 'haze.py').write_text(HAZE)
    shutil.copytree(quiet_process / 'run', tmp_path / 'out/run')
    shutil.copy(tmp_path / 'out/run/iter_2.pth', tmp_path / 'aod.pth')
    capsys.readouterr()
    return tmp_path


def command(*arguments, seconds=60):
    """Run a command that must end soon, in success or in a sentence; returns its status."""
    def late(*_):
        raise TimeoutError(f'{arguments} hangs')
    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        return end.code
    finally:
        signal.alarm(0)


def remove(path):
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


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


@pytest.mark.parametrize('device', ['cpu', 'cpu:0'])  # the second is moved to, as a GPU would be
def test_reading_hostile_checkpoints(root, quiet_process, device):
    other = {}
    for name, (write, expected, suffix) in CORPUS.items():
        path = root / f'hostile{suffix}'
        write(path)
        try:
            with watched(root / 'out'):
                load_checkpoint_file(path, device)
            outcome = 'data'
        except UserError as error:
            assert 'hostile' in str(error), name
            outcome = 'refused'
        if outcome != expected:
            other[name] = outcome
        remove(path)
        assert not (root / checkpoints.MARK).exists(), name
    assert not other


def test_hostile_checkpoints_in_the_commands(root, quiet_process, capsys):
    """All go through what reads one file; through training and testing those that can be read, and one of each kind.

    What reads for training and testing is called with all of them.
    """
    kinds = set()
    runner = RestoreRunner.from_cfg(load_config('tiny.py', options=dict(work_dir=str(root / 'out/runner'))))
    resumed = root / 'out/run/iter_2.pth'
    for name, (write, expected, suffix) in CORPUS.items():
        path = root / f'hostile{suffix}'
        write(path)
        kind = name.split()[0] if name.startswith('calls') else name.partition(':')[0]
        with watched(root / 'out', quiet_process):
            assert command('restore', 'photo.png', '-o', 'out', '--checkpoint', path) != 0, name
            assert command('measure', path, 'photo.png', *SEEN) != 0, name
            command('convert', path, 'out/converted.pth', '--force', '--quiet')
            for runner._resume in (False, True):
                with pytest.raises(UserError, match='hostile'):
                    runner.load_checkpoint(path)
            whole = expected == 'data' or kind not in kinds
            if whole:
                assert command('test', 'tiny.py', path) != 0, name
                assert command('train', 'tiny.py', '--work-dir', 'out/new', '--load-from', path) != 0, name
                command('info', path)
                for act in (('publish', path, 'name', '--licence', 'MIT', '-o', 'out'),
                            ('pack', path, 'out/x.safetensors'), ('export', path, 'out/x.onnx')):
                    assert command(*act) != 0, (name, act)
        if whole:
            resumed.unlink()
            path.rename(resumed)
            (root / 'out/run/run_state.json').unlink(missing_ok=True)
            with watched(root / 'out', quiet_process):
                assert command('train', 'tiny.py', '--work-dir', 'out/run', '--resume') != 0, name
            resumed.rename(path)
            shutil.copy('aod.pth', resumed)
        kinds.add(kind)
        in_sentences(capsys, name)
        remove(path)
        assert not (root / checkpoints.MARK).exists() and (root / 'victim').read_text() == 'precious', name


def test_checkpoints_that_call_themselves_images(root, quiet_process, capsys):
    (root / 'in').mkdir(), (root / 'gt').mkdir()
    for i, (write, *_) in enumerate(CORPUS.values()):
        for folder in ('in', 'gt'):
            write(root / folder / f'{i:03}.png')
    with watched(root / 'out', quiet_process):
        assert command('check-data', 'images.py', '--workers', 1) == 1
        assert command('synthesize', 'haze.py', '--clear', 'in', '--out', 'out/hazy', '--workers', 1) == 1
        assert command('restore', 'in', '-o', 'out/restored', '--checkpoint', 'aod.pth') == 1
        assert command('test', 'images.py', 'aod.pth', '--out', 'out/report') == 1
        assert command('train', 'images.py', '--work-dir', 'out/trained') == 1
    in_sentences(capsys, 'checkpoints as images')
    assert not list((root / 'out').rglob('*.png')) and not (root / checkpoints.MARK).exists()


def test_hostile_training_states(root, quiet_process, capsys):
    run = root / 'out/run'
    genuine = load_checkpoint_file(run / 'iter_2.pth')
    state = json.loads((run / 'run_state.json').read_text())
    state['phases'] = {}
    for name, change in checkpoints.training_states().items():
        (run / 'run_state.json').write_text(json.dumps(state))
        torch.save({**genuine, **change}, run / 'iter_2.pth')
        with watched(root / 'out', quiet_process):
            assert command('train', 'tiny.py', '--work-dir', run, '--resume') == 1, name
        text = ''.join(capsys.readouterr())
        assert 'Traceback' not in text and 'iter_2.pth' in text, (name, text)


def test_hostile_images_in_the_commands(root, quiet_process, capsys):
    (root / 'in').mkdir(), (root / 'gt').mkdir()
    expected = images.write_images(root / 'in')
    shutil.copy('photo.png', 'in/fine.png')
    for path in (root / 'in').iterdir():
        os.link(path, root / 'gt' / path.name)
    refused = {name for name, what in expected.items() if what == 'refused'}
    with watched(root / 'out', quiet_process):
        assert command('restore', 'in', '-o', 'out/restored', '--checkpoint', 'aod.pth') == 1
        assert command('test', 'images.py', 'aod.pth', '--out', 'out/report') == 0
        assert command('train', 'images.py', '--work-dir', 'out/trained', '--cfg-options',
                       f'train_cfg.max_iters={len(expected) // 8 + 1}') == 0
        assert command('check-data', 'images.py', '--workers', 1, '--json', 'out/data.json') == 1
        assert command('synthesize', 'haze.py', '--clear', 'in', '--out', 'out/hazy', '--workers', 1) == 1
        in_sentences(capsys, 'images')
        for name in [*expected, 'fine.png']:
            status = command('measure', f'in/{name}', 'photo.png', *SEEN)
            assert status == 1 if name in refused else status in (0, 1), name
            if name.endswith('.jpg'):  # as training reads them that cuts before it decodes
                with contextlib.suppress(UserError):
                    np.asarray(open_image(f'in/{name}')[:8, :8])
        in_sentences(capsys, 'measured images')
    for folder in ('out/restored', 'out/hazy'):
        written = {path.name for path in (root / folder).rglob('*') if path.is_file()}
        assert any('fine' in name for name in written) and not refused & written
    broken = json.loads((root / 'out/report/summary.json').read_text())
    faults = ' '.join(json.loads((root / 'out/data.json').read_text())['datasets'][0]['faults'])
    assert broken and 'cannot be read' in faults


def test_hostile_names_in_the_commands(root, quiet_process, capsys):
    (root / 'in').mkdir(), (root / 'gt').mkdir(), (root / 'weights').mkdir()
    names = [name.replace('/', '_') for name in NAMES]
    for name in names:
        for folder in ('in', 'gt'):
            shutil.copy('photo.png', root / folder / f'{name}.png')
        os.link('aod.pth', root / 'weights' / f'{name}.pth')
    with watched(root / 'out', quiet_process):
        assert command('restore', 'in', '-o', 'out/restored', '--checkpoint', 'aod.pth') == 0
        assert command('test', 'images.py', 'aod.pth', '--out', 'out/report', '--save-images') == 0
        assert command('compare', 'out/report', 'out/report') in (0, 1)
        assert command('train', 'images.py', '--work-dir', 'out/trained') == 0
        assert command('check-data', 'images.py', '--workers', 1) in (0, 1)
        assert command('synthesize', 'haze.py', '--clear', 'in', '--out', 'out/hazy', '--workers', 1) == 0
        assert command('extract-patches', 'in', 'out/patches', '--size', 16, '--workers', 1) == 0
        in_sentences(capsys, 'names')
        for name in names:
            assert command('measure', root / 'in' / f'{name}.png', 'photo.png', *SEEN) == 0, name
            weights = root / 'weights' / f'{name}.pth'
            assert command('restore', 'photo.png', '-o', 'out/by', '--checkpoint', weights) == 0, name
            assert command('publish', weights, 'fine', '--licence', 'MIT', '-o', 'out', '--force') == 0, name
            status = command('publish', 'aod.pth', name, '--licence', 'MIT', '-o', 'out/published')
            assert status == (0 if name in ('CON', 'NUL', 'com1', 'a.') else 2 if name.startswith('-') else 1), name
            in_sentences(capsys, name)
    for folder in ('out/restored', 'out/report/images', 'out/hazy/hazy'):
        assert len(list((root / folder).rglob('*.png'))) == len(NAMES), folder


@pytest.mark.parametrize('text', ['', '[]', '{}', '[' * 100000, '{"metrics": 3}', '{"sets": {"a": null}}', '\udcff',
                                  'null'])
def test_hostile_reports(root, quiet_process, capsys, text):
    for name in ('a', 'b'):
        (root / name).mkdir()
        (root / name / 'summary.json').write_bytes(text.encode('utf-8', 'surrogateescape'))
        (root / name / 'per_image.csv').write_text('=cmd|x,1\n')
    with watched(root / 'out', quiet_process):
        assert command('compare', 'a', 'b', '--json', 'out/c.json') != 0
        assert command('publish', 'aod.pth', 'x', '--licence', 'MIT', '-o', 'out', '--report', 'a') != 0
    in_sentences(capsys, text[:20])


def test_hostile_onnx_files(root, quiet_process, capsys):
    pytest.importorskip('onnx'), pytest.importorskip('onnxruntime')
    import onnx_files

    from restorekit.inference import RestorationPipeline
    (root / 'weights').mkdir()
    (root / 'weights/link').symlink_to('../victim')
    path, photo, kinds = root / 'weights/hostile.onnx', np.full((16, 24, 3), 90, np.uint8), set()
    files = onnx_files.corpus()
    assert len(files) >= 60
    for name, (content, words) in files.items():
        path.write_bytes(content)
        refusal = None
        with watched(root / 'out', quiet_process):
            try:
                assert RestorationPipeline(path, backend='onnxruntime')(photo).shape == photo.shape
            except UserError as error:
                refusal = str(error)
            assert (refusal is None) == (words is None) and (words or '') in (refusal or ''), (name, refusal)
            if words not in kinds:
                status = command('restore', 'photo.png', '-o', 'out', '--checkpoint', path, '--backend', 'onnxruntime')
                assert status == (words is not None), name
        kinds.add(words)
        in_sentences(capsys, name)
    path.unlink()
    os.mkfifo(path)
    assert command('restore', 'photo.png', '-o', 'out', '--checkpoint', path, '--backend', 'onnxruntime') == 1


def test_hostile_lmdbs(root, quiet_process, capsys):
    import data_files
    pytest.importorskip('lmdb')
    for name, path, status, words in data_files.lmdbs(root, (root / 'photo.png').read_bytes()):
        with watched(root / 'out', quiet_process):
            found = command('synthesize', 'haze.py', '--clear', path.name, '--out', f'out/{name}', '--workers', 1)
        text = ''.join(capsys.readouterr())
        assert found == status and words in ' '.join(text.split()) and 'Traceback' not in text, (name, text)
        assert not {'\x1b', '\x9b'} & set(text) and (root / 'victim').read_text() == 'precious', name


def test_hostile_lists(root, quiet_process, capsys):
    import data_files
    for folder in ('in', 'gt'):
        (root / folder).mkdir()
        shutil.copy('photo.png', root / folder / 'a.png')
    shutil.copy('photo.png', root / 'outside.png')
    files = data_files.lists()
    for name, (suffix, content, words) in files.items():
        (root / f'list{suffix}').write_bytes(content)
        (root / 'images.py').write_text(IMAGES.replace("on_error='skip'", f"ann_file='list{suffix}'"))
        with watched(root / 'out', quiet_process):
            status = command('check-data', 'images.py', '--workers', 1)
        text = ''.join(capsys.readouterr())
        assert status == 1 and words in ' '.join(text.split()), (name, text[:3000])
        assert 'Traceback' not in text and not {'\x1b', '\x9b'} & set(text), (name, text)


def test_a_checkpoint_that_is_cut_while_it_is_used(root):
    from safetensors.torch import save_file
    save_file({'w': torch.ones(2 ** 18)}, root / 'cut.safetensors', metadata=dict(a='b'))

    def use():
        loaded = load_checkpoint_file(root / 'cut.safetensors')
        os.truncate(root / 'cut.safetensors', 100)
        os._exit(0 if loaded['state_dict']['w'].sum() == 2 ** 18 and loaded['meta'] == dict(a='b') else 1)
    assert fork(use) == 0  # mapped memory would end it by SIGBUS
