import gc
import os
import pickle
import sys
import unicodedata

import pytest
from mmengine.fileio import BaseStorageBackend, register_backend

from restorekit.datasets import FileList, PairedDataset, SingleDataset, scan_images


def test_a_file_list_is_a_list_of_names():
    names = ['a.png', 'dünn/雾 1.png', '', 'odd\udcff.png', 'c.png']  # the fourth is a file name that is not UTF-8
    files = FileList(names)
    assert files == names and list(files) == names and len(files) == 5
    assert files[1] == names[1] and files[-1] == 'c.png' and list(files[1:4]) == names[1:4]
    assert list(files[::-2]) == names[::-2] and list(files[7:]) == [] and 'c.png' in files
    assert list(pickle.loads(pickle.dumps(files))) == names
    assert files != names[:4] and FileList() == []
    with pytest.raises(IndexError):
        files[5]


@pytest.mark.slow
def test_a_million_files_are_few_objects(tmp_path):
    lmdb = pytest.importorskip('lmdb')
    number = 10 ** 6
    for name, keys in (('hazy', (f'{i // 10:06d}_{i % 10}_haze_img_123.png' for i in range(number))),
                       ('clear', (f'{i:06d}.png' for i in range(number // 10)))):
        store = tmp_path / f'{name}.lmdb'  # a store's keys.txt lists files that need not be written for this test
        lmdb.open(str(store)).close()
        (store / 'keys.txt').write_text('\n'.join(keys))
    ann_file = tmp_path / 'hazy.txt'
    ann_file.write_text('\n'.join(reversed((tmp_path / 'hazy.lmdb' / 'keys.txt').read_text().split('\n'))))
    gc.collect()
    blocks = sys.getallocatedblocks()
    dataset = PairedDataset(str(tmp_path / 'hazy.lmdb'), str(tmp_path / 'clear.lmdb'), pairing='prefix',
                            ann_file=str(ann_file))
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 10_000
    hazy, clear = (dataset.sources[role] for role in ('input', 'gt'))
    assert len(dataset) == number and len(hazy.lists[0][0]) == 25
    assert hazy.lists[0].nbytes < 40e6 and clear.lists[0].nbytes < 4e6 and clear.order.nbytes == 4e6
    for i, stem in ((0, '099999'), (-1, '000000'), (123_456, '087654')):
        assert dataset.files(i)['input'].startswith(f'{tmp_path}/hazy.lmdb/{stem}_')
        assert dataset.files(i)['gt'] == f'{tmp_path}/clear.lmdb/{stem}.png'
    assert len(pickle.dumps(dataset)) < 40e6


def test_links_to_folders_are_followed_and_loops_end(tmp_path, make_images):
    make_images(tmp_path / 'nas' / 'ITS', ['1.png'])
    make_images(tmp_path / 'data' / 'own', ['2.png'])
    for link, target in (('ITS', 'nas/ITS'), ('again', 'nas/ITS'), ('own/up', 'data'), ('itself', 'data/itself')):
        (tmp_path / 'data' / link).symlink_to(tmp_path / target)
    (tmp_path / 'nas' / 'ITS' / 'across').symlink_to(tmp_path / 'data')
    assert scan_images(tmp_path / 'data') == ['ITS/1.png', 'own/2.png']
    (tmp_path / 'all').symlink_to(tmp_path / 'data')
    assert scan_images(tmp_path / 'all') == scan_images(tmp_path / 'data')


def test_folders_that_link_to_each_other_are_read_once(tmp_path, make_images):
    make_images(tmp_path / 'b' / 'deep', ['1.png'])
    make_images(tmp_path / 'c', ['2.png'])
    (tmp_path / 'a').symlink_to(tmp_path / 'b')  # before it in sorted order, but no place of its own
    (tmp_path / 'b' / 'c').symlink_to(tmp_path / 'c')
    assert scan_images(tmp_path) == ['b/deep/1.png', 'c/2.png']
    mesh = [tmp_path / 'mesh' / str(i) for i in range(30)]
    for folder in mesh:
        make_images(folder, ['3.png'])
        for other in mesh:
            (folder / f'to_{other.name}').symlink_to(other)
    assert scan_images(tmp_path / 'mesh') == sorted(f'{i}/3.png' for i in range(30))
    (tmp_path / 'links').mkdir()
    for name in ('z', 'y', 'x'):
        (tmp_path / 'links' / name).symlink_to(tmp_path / 'b')
    assert scan_images(tmp_path / 'links') == ['x/c/2.png', 'x/deep/1.png']


def test_names_in_any_script_are_read(tmp_path, make_images):
    make_images(tmp_path / 'трасса 1', ['雾.png', 'ñandú.png'])
    dataset = SingleDataset(str(tmp_path), include='трасса*')
    assert [dataset[i]['data_samples'].img_path for i in range(2)] == [
        f'{tmp_path}/трасса 1/ñandú.png', f'{tmp_path}/трасса 1/雾.png']
    make_images(tmp_path / 'hazy', ['e\u0301te\u0301_1.png'])  # decomposed accents, as macOS writes them
    make_images(tmp_path / 'clear', ['\u00e9t\u00e9.png'])
    assert len(PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), pairing='prefix')) == 1


@pytest.mark.parametrize('form', ['NFC', 'NFD'])
@pytest.mark.parametrize('packed', [False, True])
def test_a_list_may_have_another_normal_form(tmp_path, make_images, form, packed):
    names = [unicodedata.normalize(form, name) for name in ('dünn/ä_1.png', 'dünn/ö.png', 'é.png')]
    make_images(tmp_path / 'src' / names[0].partition('/')[0], [name.rpartition('/')[2] for name in names[:2]])
    make_images(tmp_path / 'src', names[2:])
    folder = tmp_path / 'src'
    if packed:
        folder = tmp_path / 'src.lmdb'
        with pytest.importorskip('lmdb').open(str(folder)) as store, store.begin(write=True) as changes:
            for name in names:
                changes.put(name.encode(), (tmp_path / 'src' / name).read_bytes())
    other = [unicodedata.normalize(dict(NFC='NFD', NFD='NFC')[form], name) for name in names]
    listed = tmp_path / 'list.txt'
    listed.write_text(f'{other[2]} {names[0]}\n{other[1]} {other[0]}\n', encoding='utf-8')
    dataset = PairedDataset(str(folder), str(folder), ann_file=str(listed))
    assert [dataset.files(i)['input'] for i in range(2)] == [f'{folder}/{names[2]}', f'{folder}/{names[1]}']
    assert [dataset.files(i)['gt'] for i in range(2)] == [f'{folder}/{names[0]}'] * 2
    assert dataset[1]['inputs'].shape == (3, 24, 32) and len(dataset.sources['gt'].lists[0]) == 1
    listed.write_text(f'{other[0]}\nkühn/{other[2]}\n{other[2]}/{other[2]}\n', encoding='utf-8')
    with pytest.raises(FileNotFoundError, match=f'2 of 3 files of .* are not in .*: kühn/{other[2]} .line 2.'):
        SingleDataset(str(folder), ann_file=str(listed))


def test_an_image_of_one_pixel_is_an_image(tmp_path, make_images):
    make_images(tmp_path, ['1.png'], size=(1, 1))
    crop = dict(type='RandomCrop', size=8)
    assert SingleDataset(str(tmp_path))[0]['inputs'].shape == (3, 1, 1)
    assert SingleDataset(str(tmp_path), pipeline=[crop])[0]['inputs'].shape == (3, 8, 8)


@register_backend('stored_in_a_dict', prefixes='dict', force=True)
class DictBackend(BaseStorageBackend):
    """A remote store, as mmengine's petrel backend is one."""

    content = {}

    def get(self, filepath):
        return self.content[str(filepath)]

    def get_text(self, filepath, encoding='utf-8'):
        return self.get(filepath).decode(encoding)

    def list_dir_or_file(self, dir_path, list_dir=True, recursive=False, **kwargs):
        assert recursive and not list_dir
        return (name.removeprefix(f'{dir_path}/') for name in self.content if name.startswith(f'{dir_path}/'))


@pytest.mark.parametrize(('root', 'backend_args'), [
    ('dict://bucket', None), ('/bucket', dict(backend='stored_in_a_dict'))])
def test_remote_stores_are_listed_and_read_by_mmengine(tmp_path, make_images, root, backend_args):
    for name, path in zip(('hazy/1_1.png', 'clear/1.png'), make_images(tmp_path, ['a.png', 'b.png']), strict=True):
        DictBackend.content[f'{root}/{name}'] = path.read_bytes()
    dataset = PairedDataset(f'{root}/hazy', f'{root}/clear', pairing='prefix', backend_args=backend_args)
    assert dataset.files(0) == dict(input=f'{root}/hazy/1_1.png', gt=f'{root}/clear/1.png')
    assert dataset[0]['data_samples'].gt.shape == (3, 24, 32)
    listed = tmp_path / 'list.txt'
    listed.write_text('1_1.png 1.png')
    again = PairedDataset(f'{root}/hazy', f'{root}/clear', ann_file=str(listed), backend_args=backend_args)
    assert again.files(0) == dataset.files(0) and again.list_hash() == dataset.list_hash()


def test_a_store_that_cannot_list_asks_for_a_list():
    with pytest.raises(ValueError, match='HTTPBackend cannot list the files of http://host/hazy; name them'):
        SingleDataset('http://host/hazy')


def test_one_folder_or_several(tmp_path, make_images):
    make_images(tmp_path / 'a', ['1.png', '2.png'])
    make_images(tmp_path / 'b', ['1.png'])
    folders = [str(tmp_path / 'a'), str(tmp_path / 'b')]
    dataset = SingleDataset(folders)
    assert [os.path.relpath(dataset.files(i)['input'], tmp_path) for i in range(3)] == ['a/1.png', 'a/2.png', 'b/1.png']
    with pytest.raises(TypeError, match=r"PairedDataset takes one folder here, but got \['.* ConcatDataset"):
        PairedDataset(folders, folders)
    with pytest.raises(ValueError, match='image_dir names 2 folders; it takes at least one, and with ann_file one'):
        SingleDataset(folders, ann_file='list.txt')
