import multiprocessing
import os
import pickle
import sys

import cv2
import numpy as np
import pytest
import torch

from restorekit.datasets import ClearDepthDataset, PairedDataset, SingleDataset

lmdb = pytest.importorskip('lmdb')


def pack(folder, target, keys_file=True):
    """Write all files below ``folder`` into an LMDB."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in files]
    environment = lmdb.open(str(target), map_size=2 ** 24)
    with environment.begin(write=True) as transaction:
        for name, path in zip(names, files, strict=True):
            transaction.put(name.encode(), path.read_bytes())
    environment.close()
    if keys_file:
        (target / 'keys.txt').write_text('\n'.join(names) + '\n', encoding='utf-8')
    return str(target)


@pytest.fixture
def stores(tmp_path, make_images):
    make_images(tmp_path / 'hazy' / 'été', ['1_1.png', '1_2.png'])
    make_images(tmp_path / 'hazy', ['2_1.png'])
    make_images(tmp_path / 'clear' / 'été', ['1.png'])
    make_images(tmp_path / 'clear', ['2.png'])
    return pack(tmp_path / 'hazy', tmp_path / 'hazy.lmdb'), pack(tmp_path / 'clear', tmp_path / 'packed', False)


@pytest.mark.parametrize('backend_args', [None, dict(backend='lmdb', readahead=True), dict(backend='local')])
def test_an_lmdb_gives_what_the_folder_gives(tmp_path, stores, backend_args):
    of_folders = PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), pairing='prefix')
    dataset = PairedDataset(*stores, pairing='prefix', backend_args=backend_args)
    assert len(dataset) == 3 and dataset.list_hash() == of_folders.list_hash()
    for i in range(3):
        item, expected = dataset[i], of_folders[i]
        assert item['inputs'].equal(expected['inputs'])
        assert item['data_samples'].gt.equal(expected['data_samples'].gt)
    assert dataset.files(2) == dict(input=f'{stores[0]}/été/1_2.png', gt=f'{stores[1]}/été/1.png')
    assert item['data_samples'].img_path == f'{stores[0]}/été/1_2.png'
    mixed = PairedDataset(stores[0], str(tmp_path / 'clear'), pairing='prefix')
    assert mixed[2]['data_samples'].gt.equal(item['data_samples'].gt)


def test_it_is_opened_in_each_process_anew(stores):
    dataset = SingleDataset(stores[0])
    expected = torch.stack([dataset[i]['inputs'] for i in range(3)])  # open here before the workers are forked
    loader = torch.utils.data.DataLoader(dataset, 1, num_workers=2, collate_fn=lambda items: items[0]['inputs'])
    assert torch.stack(list(loader)).equal(expected)
    assert torch.stack([dataset[i]['inputs'] for i in range(3)]).equal(expected)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[1]['inputs'].equal(expected[1])
    nested = multiprocessing.get_context('fork').Pool(1)
    with nested:
        assert nested.apply(dataset.read, (1, 'input')).transpose(2, 0, 1).tolist() == expected[1].tolist()


def test_depth_maps_are_read_from_it(tmp_path, make_images):
    make_images(tmp_path / 'clear', ['1.png', '2.png'], size=(4, 5))
    (tmp_path / 'depth').mkdir()
    values = np.linspace(0, 65535, 20).astype(np.uint16).reshape(4, 5)
    cv2.imwrite(str(tmp_path / 'depth' / '1.png'), values)
    np.save(tmp_path / 'depth' / '2.npy', values / 65535)
    dataset = ClearDepthDataset(str(tmp_path / 'clear'), pack(tmp_path / 'depth', tmp_path / 'depth.lmdb'))
    for i in range(2):
        assert torch.allclose(dataset[i]['data_samples'].depth[0], torch.from_numpy(values / 65535).float())


def test_what_is_missing_is_named(tmp_path, stores):
    (tmp_path / 'hazy.lmdb' / 'keys.txt').write_text('2_1.png\n9.png\n')
    with pytest.raises(FileNotFoundError, match=f'{stores[0]} has no file 9.png'):
        SingleDataset(stores[0])[1]
    (tmp_path / 'list.txt').write_text('2_1.png\n1_1.png')
    with pytest.raises(FileNotFoundError, match=r'1 of 2 files of .*list.txt are not in .*packed: 2_1.png|2 of 2'):
        SingleDataset(stores[1], ann_file=str(tmp_path / 'list.txt'))
    with pytest.raises(FileNotFoundError, match='no LMDB .*/none.lmdb; give the right one'):
        SingleDataset(str(tmp_path / 'none.lmdb'))
    (tmp_path / 'empty.lmdb').mkdir()
    with pytest.raises(FileNotFoundError, match='empty.lmdb is not an LMDB: it has no data.mdb'):
        SingleDataset(str(tmp_path / 'empty.lmdb'))


def test_an_unfinished_lmdb_is_refused(stores, tmp_path):
    (tmp_path / 'hazy.lmdb' / 'source.json').write_text('{}')
    assert len(SingleDataset(stores[0])) == 3
    (tmp_path / 'hazy.lmdb' / 'keys.txt').unlink()
    with pytest.raises(ValueError, match='hazy.lmdb is unfinished: .* no keys.txt, .* run it again'):
        SingleDataset(stores[0])


@pytest.mark.parametrize('keep', [0.99, 0.5, 0.0])
def test_a_truncated_lmdb_is_an_error_and_no_crash(tmp_path, keep):
    (tmp_path / 'files').mkdir()
    for i in range(9):
        (tmp_path / 'files' / f'{i}.png').write_bytes(bytes(20000))
    store = pack(tmp_path / 'files', tmp_path / 'a.lmdb')
    size = (tmp_path / 'a.lmdb' / 'data.mdb').stat().st_size
    os.truncate(tmp_path / 'a.lmdb' / 'data.mdb', max(8192, int(size * keep)))
    with pytest.raises(ValueError, match=f'a.lmdb is truncated: its data.mdb has .* of {size} bytes; copy it'):
        SingleDataset(store)


@pytest.mark.parametrize('content', [b'', b'x' * 5000, bytes(50000)])
def test_a_damaged_lmdb_is_named(tmp_path, stores, content):
    (tmp_path / 'hazy.lmdb' / 'data.mdb').write_bytes(content)
    with pytest.raises(ValueError, match='LMDB .*hazy.lmdb cannot be opened .* copy it or make it again'):
        SingleDataset(stores[0])


def test_wrong_options_are_named(stores):
    with pytest.raises(ValueError, match='hazy.lmdb: an LMDB takes no option readahed; allowed .* readahead, readonly'):
        SingleDataset(stores[0], backend_args=dict(backend='lmdb', readahed=True))
    with pytest.raises(ValueError, match="hazy.lmdb cannot be opened with .*'max_readers': 'many'"):
        SingleDataset(stores[0], backend_args=dict(backend='lmdb', max_readers='many'))


def test_options_of_lmdbs_leave_folders_alone(tmp_path, stores):
    options = dict(backend='lmdb', readahead=True)
    mixed = PairedDataset(stores[0], str(tmp_path / 'clear'), pairing='prefix', backend_args=options)
    assert [mixed.backend(0, role) is None for role in ('input', 'gt')] == [False, True]
    assert mixed[2]['data_samples'].gt.equal(PairedDataset(*stores, pairing='prefix')[2]['data_samples'].gt)
    with pytest.raises(FileNotFoundError, match='no LMDB .*/none; give the right one'):
        SingleDataset(str(tmp_path / 'none'), backend_args=options)


def test_the_missing_package_names_the_extra(stores, monkeypatch):
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    with pytest.raises(ImportError, match=r'python -m pip install "restorekit\[lmdb\]"'):
        SingleDataset(stores[0])
