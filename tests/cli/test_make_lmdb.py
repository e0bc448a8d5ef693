import json
import os

import numpy as np
import pytest

from restorekit.cli.main import main
from restorekit.datasets import SingleDataset
from restorekit.files.image_io import read_image
from restorekit.messages import WriteError
from restorekit.tasks import make_lmdb
from restorekit.tasks.make_lmdb import put

lmdb = pytest.importorskip('lmdb')


def call(*arguments):
    """Run the command; returns its exit status."""
    return main(['make-lmdb', *map(str, arguments)])


def contents(out):
    with lmdb.open(str(out), readonly=True, lock=False) as env, env.begin() as transaction:
        return {bytes(key).decode('utf-8', 'surrogateescape'): bytes(value) for key, value in transaction.cursor()}


@pytest.fixture
def source(tmp_path, make_images):
    make_images(tmp_path / 'src', ['a.png', 'b_1.png', 'ünï.png'])
    make_images(tmp_path / 'src/sub', ['c.png', 'd.png'])
    np.save(tmp_path / 'src/sub/e.npy', np.zeros((2, 3), np.float32))
    (tmp_path / 'src/notes.txt').write_text('not an image')
    return tmp_path / 'src'


NAMES = ['a.png', 'b_1.png', 'sub/c.png', 'sub/d.png', 'sub/e.npy', 'ünï.png']


def test_original_bytes_under_relative_names(source, tmp_path, capsys):
    out = tmp_path / 'out.lmdb'
    assert call(source, out, '--commit', 2) == 0
    assert '6 files' in capsys.readouterr().out
    assert contents(out) == {name: (source / name).read_bytes() for name in NAMES}
    assert (out / 'keys.txt').read_text(encoding='utf-8').splitlines() == NAMES
    assert call(source, out) == 0
    assert '6 files were in it before' in capsys.readouterr().out


def test_a_dataset_reads_it_as_the_folder(source, tmp_path):
    (source / 'sub/e.npy').unlink()
    out = tmp_path / 'out.lmdb'
    assert call(source, out) == 0
    packed, plain = SingleDataset(str(out)), SingleDataset(str(source))
    assert len(packed) == len(plain) == 5 and packed.list_hash() == plain.list_hash()
    for index in range(5):
        assert np.array_equal(packed.load(index, 0)['inputs'], plain.load(index, 0)['inputs'])


def test_a_killed_run_continues_to_the_same_content(source, tmp_path, monkeypatch, capsys):
    whole, out = tmp_path / 'whole.lmdb', tmp_path / 'out.lmdb'
    assert call(source, whole) == 0
    for at in range(3):  # before each of the three transactions
        put, count = make_lmdb.put, []

        def killed(env, items, put=put, count=count, at=at):
            if len(count) == at:
                raise KeyboardInterrupt
            count.append(items)
            put(env, items)
        with monkeypatch.context() as patch:
            patch.setattr(make_lmdb, 'put', killed)
            assert call(source, out, '--commit', 2) == 130
        assert len(contents(out)) == 2 * at and not (out / 'keys.txt').exists()
        with pytest.raises(ValueError, match='out.lmdb is unfinished'):
            SingleDataset(str(out))
        assert call(source, out, '--commit', 2) == 0
        assert f'{2 * at} files were in it before' in capsys.readouterr().out
        assert contents(out) == contents(whole)
        assert (out / 'keys.txt').read_bytes() == (whole / 'keys.txt').read_bytes()
        for file in list(out.iterdir()):
            file.unlink()
        out.rmdir()


def test_killed_in_the_middle_of_a_transaction_nothing_of_it_is_kept(source, tmp_path, monkeypatch):
    out = tmp_path / 'out.lmdb'

    def broken(env, items):
        with env.begin(write=True) as transaction:
            transaction.put(*items[0])
            raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(make_lmdb, 'put', broken)
        assert call(source, out) == 130
    assert contents(out) == {}
    assert call(source, out) == 0 and len(contents(out)) == 6


def test_what_is_new_is_added_and_a_changed_file_refused(source, tmp_path, make_images, capsys):
    out = tmp_path / 'out.lmdb'
    assert call(source, out) == 0
    make_images(source, ['z.png'])
    assert call(source, out) == 0
    assert list(contents(out)) == sorted([*NAMES, 'z.png'], key=str.encode)
    (source / 'a.png').write_bytes(b'changed')
    assert call(source, out) == 1
    assert '1 files' in (text := capsys.readouterr().err) and 'a.png' in text and 'make a new LMDB' in text
    assert len((out / 'keys.txt').read_text(encoding='utf-8').splitlines()) == 7  # as finished as it was


def test_the_map_grows_when_files_do_not_fit(source, tmp_path, monkeypatch):
    monkeypatch.setattr(make_lmdb, 'map_size', lambda sizes: 2**15)
    assert call(source, tmp_path / 'out.lmdb') == 0
    assert contents(tmp_path / 'out.lmdb')['a.png'] == (source / 'a.png').read_bytes()


def test_files_are_committed_before_they_fill_the_memory():
    sizes = dict(a=5, b=5, c=50, d=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_lmdb, 'BATCH_BYTES', 10)
        assert list(make_lmdb.batches('abcd', sizes, 3)) == [['a', 'b'], ['c'], ['d']]
        assert list(make_lmdb.batches('ab', sizes, 1)) == [['a'], ['b']]


def test_mistakes_are_explained(source, tmp_path, capsys, monkeypatch, make_images):
    out = tmp_path / 'out.lmdb'

    def says(words, *arguments):
        assert call(*arguments) == 1
        assert words in (text := capsys.readouterr().err), text
    says('must end in .lmdb', source, tmp_path / 'out')
    says('no folder', tmp_path / 'nothing', out)
    says('commit must be at least 1', source, out, '--commit', 0)
    (tmp_path / 'other.lmdb').mkdir()
    (tmp_path / 'other.lmdb/data.mdb').write_bytes(b'')
    says('was not written by this command', source, tmp_path / 'other.lmdb')
    assert call(source, out) == 0
    make_images(tmp_path / 'src2', ['a.png'])
    says('source was ', tmp_path / 'src2', out)
    assert json.loads((out / 'source.json').read_text()) == dict(source=str(source.resolve()))
    data = out / 'data.mdb'
    os.truncate(data, data.stat().st_size - 1)
    says('is truncated', source, out)
    data.write_bytes(b'garbage')
    says('cannot be opened', source, out)
    deep = source / ('x' * 200) / ('y' * 200) / ('z' * 200)
    make_images(deep, ['a.png'])
    says('longer than 511 bytes', source, out)


def test_a_file_that_changes_meanwhile_is_noticed(source, tmp_path, monkeypatch, capsys):
    put = make_lmdb.put

    def shorten(env, items):
        put(env, [(key, value[:-1] if key == b'a.png' else value) for key, value in items])
    monkeypatch.setattr(make_lmdb, 'put', shorten)
    assert call(source, tmp_path / 'out.lmdb') == 1
    assert 'a file changed meanwhile' in capsys.readouterr().err
    assert not (tmp_path / 'out.lmdb/keys.txt').exists()
    assert read_image(source / 'a.png').shape == (24, 32, 3)


def test_python_gets_what_was_written(source, tmp_path):
    seen = []
    report = make_lmdb.make_lmdb(source, tmp_path / 'out.lmdb', commit=4, progress=lambda *n: seen.append(n))
    assert (report.files, report.skipped, seen) == (6, 0, [(4, 6), (6, 6)])
    assert report.nbytes == sum((source / name).stat().st_size for name in NAMES)


def test_a_link_in_the_output_is_not_written_through(source, tmp_path, capsys):
    assert call(source, tmp_path / 'out.lmdb') == 0
    (tmp_path / 'out.lmdb/data.mdb').rename(tmp_path / 'data.mdb')
    (tmp_path / 'out.lmdb/data.mdb').symlink_to(tmp_path / 'data.mdb')
    assert call(source, tmp_path / 'out.lmdb') == 1
    assert 'data.mdb is a link to' in capsys.readouterr().err


def test_names_that_are_not_utf8_are_keys(source, tmp_path):
    (source / 'sub/e.npy').unlink()
    (source / '\udcff.png').write_bytes((source / 'a.png').read_bytes())
    assert call(source, tmp_path / 'out.lmdb') == 0
    assert '\udcff.png' in contents(tmp_path / 'out.lmdb')
    packed, plain = SingleDataset(str(tmp_path / 'out.lmdb')), SingleDataset(str(source))
    assert packed.list_hash() == plain.list_hash()
    for index in range(len(plain)):
        assert np.array_equal(packed.load(index, 0)['inputs'], plain.load(index, 0)['inputs'])


def test_a_disk_that_is_full_is_said(tmp_path):
    lmdb = pytest.importorskip('lmdb')

    class Full:
        def begin(self, write):
            raise lmdb.Error('mdb_txn_commit: Input/output error')

        def path(self):
            return 'x.lmdb'
    with pytest.raises(WriteError, match='x.lmdb cannot be written to .*Input/output error'):
        put(Full(), [])
