import json

import pytest

from restorekit.datasets import ClearDepthDataset, PairedDataset, SingleDataset, read_list

ROWS = [('b_1.png', 'b.png'), ('a_2.png', 'a.png'), ('a_1.png', 'a.png')]
LISTS = {
    'list.txt': '# hazy and clear\n\n' + '\n'.join(' '.join(row) for row in ROWS),
    'tabs.txt': '\n'.join('\t'.join(row) for row in ROWS) + '\n',
    'three.txt': '\n'.join(f'{row[0]} {row[1]} {row[1]}' for row in ROWS),
    'windows.txt': '\r\n'.join('  '.join(row) for row in ROWS) + '\r\n\r\n',
    'slashes.txt': '\n'.join('.\\' + '  ./'.join(row) for row in ROWS),
    'list.csv': 'gt, note,input\r\n' + ''.join(f'{gt},"x, y",{name}\r\n' for name, gt in ROWS),
    'list.jsonl': '\n'.join(json.dumps(dict(gt=gt, input=name, weather='fog')) for name, gt in ROWS)}


@pytest.fixture
def folders(tmp_path, make_images):
    make_images(tmp_path / 'hazy', ['a_1.png', 'a_2.png', 'b_1.png', 'not_listed.png'])
    make_images(tmp_path / 'clear', ['a.png', 'b.png', 'c.png'])
    return str(tmp_path / 'hazy'), str(tmp_path / 'clear')


def write(tmp_path, text, name='list.txt', encoding='utf-8'):
    (tmp_path / name).write_bytes(text.encode(encoding))
    return str(tmp_path / name)


@pytest.mark.parametrize('pairing', ['stem', 'list'])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('name', LISTS)
def test_every_kind_of_list_gives_pairs_in_its_order(tmp_path, folders, name, encoding, pairing):
    ann_file = write(tmp_path, LISTS[name], name, encoding)
    dataset = PairedDataset(*folders, pairing=pairing, ann_file=ann_file)
    files = [tuple(dataset.files(i).values()) for i in range(len(dataset))]
    assert files == [(f'{folders[0]}/{hazy}', f'{folders[1]}/{clear}') for hazy, clear in ROWS]
    sample = dataset[1]['data_samples']
    assert (sample.img_path, sample.gt_path) == files[1]
    only = SingleDataset(folders[0], ann_file=ann_file, include='a_*')
    assert [only.files(i)['input'] for i in range(len(only))] == [f'{folders[0]}/{name}' for name, _ in ROWS[1:]]


def test_a_list_of_hazy_images_alone_leaves_the_pairing_to_the_rule(tmp_path, folders):
    ann_file = write(tmp_path, 'b_1.png\na_1.png')
    dataset = PairedDataset(*folders, pairing='prefix', ann_file=ann_file)
    assert [dataset.files(i)['gt'] for i in range(2)] == [f'{folders[1]}/b.png', f'{folders[1]}/a.png']
    assert dataset.unused == 1
    with pytest.raises(ValueError, match=f"pairing='list' needs an ann_file .*; {ann_file} has none"):
        PairedDataset(*folders, pairing='list', ann_file=ann_file)
    with pytest.raises(ValueError, match=r"pairing='list' needs an ann_file with a column of clear images$"):
        PairedDataset(*folders, pairing='list')


def test_clear_images_and_their_depth(tmp_path, folders):
    for text, name in (('b.png c.png\na.png a.png', 'list.txt'), ('x b.png c.png\ny a.png a.png', 'three.txt'),
                       ('gt,depth\nb.png,c.png\na.png,a.png\n', 'list.csv')):
        dataset = ClearDepthDataset(folders[1], folders[1], ann_file=write(tmp_path, text, name))
        assert [tuple(dataset.files(i).values()) for i in range(2)] == [
            (f'{folders[1]}/b.png', f'{folders[1]}/c.png'), (f'{folders[1]}/a.png', f'{folders[1]}/a.png')]
    dataset = ClearDepthDataset(folders[1], folders[1], ann_file=write(tmp_path, 'c.png\na.png'))
    assert dataset.files(0) == dict(gt=f'{folders[1]}/c.png', depth=f'{folders[1]}/c.png')
    assert dataset.files(1) == dict(gt=f'{folders[1]}/a.png', depth=f'{folders[1]}/a.png')


def test_a_name_with_spaces_needs_tabs_or_a_csv(tmp_path, make_images):
    make_images(tmp_path / 'in', ['my photo 1.png'])
    for text, name in (('my photo 1.png\tx', 'list.txt'), ('input\nmy photo 1.png\n', 'list.csv')):
        assert len(SingleDataset(str(tmp_path / 'in'), ann_file=write(tmp_path, text, name))) == 1
    with pytest.raises(FileNotFoundError, match=r'my \(line 1\).*if they contain spaces, use a .csv list'):
        SingleDataset(str(tmp_path / 'in'), ann_file=write(tmp_path, 'my photo 1.png'))


def test_files_that_are_not_there_are_named_with_their_lines(tmp_path, folders):
    text = '# test split\na_1.png\n' + '\n'.join(f'{i}.png' for i in range(6)) + '\nnowhere/b_1.png'
    with pytest.raises(FileNotFoundError, match=r'7 of 8 files of .*list.txt are not in .*hazy: 0.png \(line 3\), .*'
                                                r'4.png \(line 7\) \.\.\.; names in a list are relative to that'):
        SingleDataset(folders[0], ann_file=write(tmp_path, text))
    with pytest.raises(FileNotFoundError, match=r'1 of 2 files of .* are not in .*clear: d.png \(line 2\);'):
        PairedDataset(*folders, ann_file=write(tmp_path, 'a_1.png a.png\nb_1.png d.png'))


@pytest.mark.parametrize(('name', 'text', 'message'), [
    ('list.txt', '', 'names no image'),
    ('list.txt', '# nothing\n \n', 'names no image'),
    ('list.csv', 'input,gt\n', 'names no image'),
    ('list.txt', 'a.png\nb.png\n\na.png\n', r'lines 1 and 4 are the same \(a.png\); an image listed twice'),
    ('list.txt', 'a.png b.png\rc.png d.png\ra.png e.png\r', 'lines 1 and 3 both name a.png'),
    ('list.CSV', 'input,gt\ra.png,"' + 'b' * 200_000 + '\r', 'line 2 is not CSV'),
    ('list.txt', 'a.png b.png\nc.png\n', r'line 2: 1 names where line 1 has 2; if a name contains spaces'),
    ('list.txt', 'a b c d\n', r'line 1: 4 names where at most 3 fit \(hazy clear depth\)'),
    ('list.txt', '/data/a.png\n', r'line 1: /data/a.png is an absolute path; names in a list are relative'),
    ('list.txt', 'D:\\data\\a.png\n', 'line 1: D:/data/a.png is an absolute path'),
    ('list.csv', 'hazy;clear\na;b\n',
     "has no column 'input'; its first line must be a header with input, gt, separated by commas, but got "
     "'hazy;clear'"),
    ('list.csv', 'input,gt\na.png\n', 'line 2: 1 cells under 2 columns'),
    ('list.csv', 'input,gt\na.png,\n', 'line 2: a name of a file is empty'),
    ('list.jsonl', '{"input": "a.png"}\n{"input": }', 'line 2 is not JSON'),
    ('list.jsonl', '["a.png"]', r'line 1: each line must be an object with the keys input, but got \["a.png"\]'),
    ('list.jsonl', '{"input": "a.png", "gt": "b.png"}\n{"input": "c.png"}', 'line 2: .* with the keys input, gt'),
    ('list.jsonl', '{"input": 3}', 'line 1: a name of a file is 3')])
def test_mistakes_name_the_list_and_the_line(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_list(write(tmp_path, text, name), ('input', 'gt'))
    assert str(tmp_path / name) in str(caught.value)


def test_what_is_no_text_file_is_said(tmp_path):
    with pytest.raises(ValueError, match=r'is not UTF-8 text .*; save it as UTF-8'):
        read_list(write(tmp_path, 'é.png', encoding='latin-1'), ('input',))
    with pytest.raises(FileNotFoundError, match=r'no list file .*none.txt; give the right one \(in a config: ann_file'):
        read_list(tmp_path / 'none.txt', ('input',))
    with pytest.raises(FileNotFoundError, match="none of the 1 names of .* matches include='b"):
        read_list(write(tmp_path, 'a.png'), ('input',), include='b*')


@pytest.mark.parametrize('name', ['list.json', 'list.xlsx', 'LIST.YAML'])
def test_lists_of_other_kinds_are_refused_by_their_suffix(tmp_path, name):
    (tmp_path / name).write_text('[{"input": "a.png"}]')
    with pytest.raises(ValueError, match=rf'{name} is not a list that is read; write one as .txt .* or .jsonl'):
        read_list(tmp_path / name, ('input',))
