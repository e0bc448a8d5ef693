"""Names of data that lead elsewhere, are too long, not UTF-8, or speak to the terminal: every command that writes."""

import ast
import hashlib
import io
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

from restorekit.cli import common
from restorekit.cli.common import say
from restorekit.cli.main import main
from restorekit.models import AODNet
from restorekit.text_table import text_table

#: Names that a folder on Linux may hold.
ON_DISK = ['a\x1b[31mb.png', 'line\nbreak.png', '\udcff\udcfe.png', 'x' * 251 + '.png', 'ü' * 125 + '.png', 'CON.png',
           'C:\\x.png', 'C:y.png', 'up\\..\\..\\z.png', 'a..png', ' .png', '-rf.png', '$(id).png', '=1+1.png',
           'tab\t.png', '\x9b31m.png']
#: Keys that only an LMDB may hold.
KEYS = ['../evil.png', '../../evil2.png', 'deep/../../evil3.png', '/absolute.png', 'n\0ul.png', './dot.png', 'a//b.png']

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='other systems refuse such names')


def state(folder, but):
    return {os.fsencode(path): path.lstat().st_mtime_ns if path.is_dir() else hashlib.sha256(path.read_bytes()).digest()
            for path in folder.rglob('*') if path != but and but not in path.parents and path != folder}


@pytest.fixture
def root(tmp_path, make_images):
    """A deep working folder, so that ../.. stays within what is watched, with clear images of hostile names."""
    root = tmp_path / 'a/b/c'
    image, = make_images(root / 'src', ['plain.png'], size=(20, 20))
    for name in ON_DISK:
        (root / 'src' / name).write_bytes(image.read_bytes())
    return root


@pytest.fixture
def lmdb_of_keys(root):
    lmdb = pytest.importorskip('lmdb')
    content = (root / 'src/plain.png').read_bytes()
    with lmdb.open(str(root / 'X.lmdb'), map_size=2**22) as environment, environment.begin(write=True) as changes:
        for name in ['plain.png', *ON_DISK, *KEYS]:
            changes.put(name.encode('utf-8', 'surrogateescape'), content)
    return root / 'X.lmdb'


def check(root, out, capsys, *arguments, status=0):
    """Run a command; nothing but ``out`` changes, and no control character reaches the terminal."""
    watched = root.parents[2]
    before = state(watched, out)
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    for text in captured:
        assert not {'\x1b', '\x9b', '\x07'} & set(text) and not any('\udc80' <= letter <= '\udcff' for letter in text)
    after = state(watched, out)
    for parent in (out, *out.parents):  # making it changes the folder above it
        before.pop(os.fsencode(parent), None), after.pop(os.fsencode(parent), None)
    assert after == before
    return captured


def files(folder, suffix):
    found = [path for path in folder.rglob('*') if path.is_file() and path.name.endswith(suffix)]
    for path in found:
        assert not any(ord(letter) < 32 or letter in '\x7f\x9b' for letter in str(path.relative_to(folder)))
    return found


def test_synthesize(root, capsys):
    out = root / 'out'
    check(root, out, capsys, 'synthesize', 'day', '--clear', root / 'src', '--out', out, '--workers', 1)
    assert len(files(out / 'hazy', '_1.png')) == len(files(out / 'clear', '.png')) == len(ON_DISK) + 1
    assert len((out / 'manifest.jsonl').read_text().splitlines()) == len(ON_DISK) + 1
    check(root, out, capsys, 'synthesize', 'day', '--clear', root / 'src', '--out', out, '--workers', 1)


def test_synthesize_from_an_lmdb(root, lmdb_of_keys, capsys):
    out = root / 'out'
    check(root, out, capsys, 'synthesize', 'day', '--clear', lmdb_of_keys, '--out', out, '--workers', 1)
    assert len(files(out / 'hazy', '_1.png')) == len(ON_DISK) + len(KEYS) + 1


def test_extract_patches(root, capsys):
    out = root / 'out'
    check(root, out, capsys, 'extract-patches', root / 'src', out, '--size', 16, '--workers', 1)
    assert len(files(out, '_r1_c1.png')) == len(ON_DISK) + 1


def test_make_lmdb(root, capsys):
    pytest.importorskip('lmdb')
    out = root / 'out.lmdb'
    assert 'line break' in check(root, out, capsys, 'make-lmdb', root / 'src', out, status=1).err
    (root / 'src/line\nbreak.png').unlink()
    check(root, out, capsys, 'make-lmdb', root / 'src', out)
    assert len((out / 'keys.txt').read_bytes().splitlines()) == len(ON_DISK)


@pytest.mark.parametrize('source', ['src', 'X.lmdb'])
def test_reading_commands(root, lmdb_of_keys, source, capsys):
    (root / 'config.py').write_text(
        "default_scope = 'restorekit'\n"
        f"test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), "
        f"dataset=dict(type='SingleDataset', image_dir={str(root / source)!r}))\n"
        "test_evaluator = [dict(type='PSNR')]\ntest_cfg = dict()\n"
        "model = dict(type='Restorer', network=dict(type='AODNet'))\n")
    out = root / 'out'
    check(root, out, capsys, 'check-data', root / 'config.py', '--workers', 1, '--json', out / 'r.json')
    check(root, out, capsys, 'browse-dataset', root / 'config.py', '--split', 'test', '--number', 30, '--height', 16,
          '--out', out / 's.png')


@pytest.mark.slow
def test_a_test_with_its_images_and_a_comparison(root, capsys):
    shutil.copytree(root / 'src', root / 'gt')
    torch.save(AODNet().state_dict(), root / 'aod.pth')
    (root / 'config.py').write_text(
        "default_scope = 'restorekit'\n"
        f"test_dataloader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), "
        f"dataset=dict(type='PairedDataset', input_dir={str(root / 'src')!r}, gt_dir={str(root / 'gt')!r}, "
        "domain='../u\\x1b[31mp'))\n"
        "test_evaluator = [dict(type='PSNR')]\ntest_cfg = dict()\n"
        "model = dict(type='Restorer', network=dict(type='AODNet'))\n")
    out = root / 'out'
    check(root, out, capsys, 'test', root / 'config.py', root / 'aod.pth', '--out', out, '--save-images')
    folder, = (out / 'images').glob('.._u*')
    assert len(files(folder, '.png')) == len(ON_DISK) + 1
    assert (out / 'summary.json').is_file() and (out / 'report.html').is_file()
    shutil.copytree(out, root / 'again')
    compared = check(root, out, capsys, 'compare', out, root / 'again').out
    assert f'{len(ON_DISK) + 1} images' in compared and 'u\\x1b[31mp' in compared, compared
    (root / 'more.py').write_text(
        "_base_ = 'config.py'\nmodel = dict(losses=dict(pixel=dict(type='L1Loss')))\n"
        f"train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type='CounterSampler'), "
        f"dataset=dict(type='PairedDataset', input_dir={str(root / 'src')!r}, gt_dir={str(root / 'gt')!r}, "
        "domain='../u\\x1b[31mp', include='*-rf.png'))\n"
        "val_dataloader = {{_base_.test_dataloader}}\nval_evaluator = [dict(type='PSNR')]\nval_cfg = dict()\n"
        "train_cfg = dict(max_iters=1, val_interval=1)\n"
        "optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-4))\n")
    trained = check(root, out, capsys, 'train', root / 'more.py', '--work-dir', out / 'run').out
    assert 'u\\x1b[31mp' in trained
    for log in (out / 'run').rglob('*.log'):
        assert '\x1b' not in log.read_text()


def test_one_way_to_print(capsys):
    say('a\x1b[2J', '\udcff', 'ü\u202e', sep='\n', file=(narrow := io.TextIOWrapper(io.BytesIO(), 'ascii')))
    narrow.seek(0)
    assert narrow.read() == 'a\\x1b[2J\n\\xff\n\\xfc\\u202e\n'
    assert text_table([('a', 'b'), ('x\x1b\n', 3)]) == 'a        b\nx\\x1b\\n  3'
    with pytest.raises(SystemExit):
        main(['restore', 'photo.png', '--\x1b[31m'])
    assert '\x1b' not in capsys.readouterr().err
    for module in Path(common.__file__).parent.glob('*.py'):  # commands print by it alone
        calls = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
        prints = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == 'print']
        assert len(prints) == (module.name == 'common.py'), (module, prints)
