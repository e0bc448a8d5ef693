import collections
import itertools

import pytest
import torch

from restorekit.datasets import (
    ClearDepthDataset,
    ConcatDataset,
    CounterSampler,
    DomainPairDataset,
    Draw,
    PairedDataset,
    SingleDataset,
    UnpairedDataset,
)
from restorekit.files.image_io import ImageFileError

CROP = [dict(type='RandomCrop', size=8)]


@pytest.fixture
def folder(tmp_path, make_images):
    """Ten images; number 3 is empty and number 7 no image."""
    paths = make_images(tmp_path / 'some', [f'{i}.png' for i in range(10)])
    paths[3].write_bytes(b'')
    paths[7].write_text('no image')
    return str(tmp_path / 'some')


def test_a_broken_file_stops_with_its_name(folder):
    dataset = SingleDataset(folder)
    with pytest.raises(ImageFileError, match=f'{folder}/3.png is empty'):
        dataset[3]
    assert dataset.broken() == []
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', but got 'ignore'"):
        SingleDataset(folder, on_error='ignore')


@pytest.mark.parametrize('cache', [False, True])
def test_a_draw_of_a_broken_file_takes_another_image_by_its_seed(folder, cache):
    dataset = SingleDataset(folder, on_error='skip', pipeline=CROP, cache=cache)
    draws = [Draw(3, n, 500 + n) for n in range(60)]
    items = [dataset[draw] for draw in draws]
    taken = collections.Counter(item['data_samples'].img_path[-5:] for item in items)
    assert set(taken) == {f'{i}.png' for i in range(10)} - {'3.png', '7.png'} and max(taken.values()) < 20
    assert {item['inputs'].shape for item in items} == {(3, 8, 8)}
    assert dataset.broken() == [f'{folder}/3.png', f'{folder}/7.png']
    fresh = SingleDataset(folder, on_error='skip', pipeline=CROP)  # does not know yet what is broken
    for draw, item in zip(reversed(draws), reversed(items), strict=True):
        assert fresh[draw]['inputs'].equal(item['inputs'])
    plain = SingleDataset(folder, pipeline=CROP)
    for draw in [Draw(index, n, 77 + n) for n, index in enumerate((0, 1, 2, 4))]:
        assert dataset[draw]['inputs'].equal(plain[draw]['inputs'])  # good files are drawn as ever


def test_an_item_of_a_broken_file_is_a_placeholder(folder):
    dataset = SingleDataset(folder, on_error='skip', domain='web', pipeline=CROP)
    for _ in range(2):
        item = dataset[7]
        sample = item['data_samples']
        assert item['inputs'].shape == (3, 8, 8) and item['inputs'].dtype == torch.uint8 and not item['inputs'].any()
        assert sample.broken and 'gt' not in sample and sample.domain == 'web'
        assert sample.img_path == f'{folder}/7.png'
    assert not dataset[2]['data_samples'].get('broken')
    assert len(dataset) == 10 and dataset.broken() == [f'{folder}/7.png']


def test_wrappers_pass_on_whether_an_image_may_stand_in(folder, tmp_path, make_images):
    make_images(tmp_path / 'good', ['a.png'])
    leaf = dict(type='SingleDataset', image_dir=folder, on_error='skip')
    concat = ConcatDataset([dict(type='SingleDataset', image_dir=str(tmp_path / 'good')), leaf])
    assert concat[4]['data_samples'].broken and not concat[Draw(4, 0, 1)]['data_samples'].get('broken')
    pair = DomainPairDataset(concat, dict(leaf))
    assert pair[4]['data_samples'].broken
    targets = {pair[Draw(0, n, n)]['target']['data_samples'].img_path for n in range(80)}
    assert targets == {f'{folder}/{i}.png' for i in range(10) if i not in (3, 7)}
    assert sorted(pair.broken()) == [f'{folder}/3.png', f'{folder}/7.png']  # each once, though two parts met it
    assert [name for name, _ in pair.leaves()] == ['source/0', 'source/1', 'target']


def test_the_file_of_a_pair_that_is_broken_is_named(tmp_path, make_images):
    hazy = make_images(tmp_path / 'hazy', ['1.png', '2.png', '3.png', '4.png'])
    clear = make_images(tmp_path / 'clear', ['1.png', '2.png', '3.png', '4.png'])
    clear[1].write_bytes(clear[1].read_bytes()[:300])
    hazy[2].write_bytes(b'')
    make_images(tmp_path / 'clear', ['4.png'], size=(9, 9))
    dataset = PairedDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), on_error='skip')
    assert [bool(dataset[i]['data_samples'].get('broken')) for i in range(4)] == [False, True, True, True]
    assert dataset.broken() == [str(clear[1]), str(hazy[2]), str(hazy[3])]
    depth = ClearDepthDataset(str(tmp_path / 'hazy'), str(tmp_path / 'clear'), on_error='skip')
    assert depth[0]['data_samples'].broken and depth[1]['data_samples'].broken and depth[2]['data_samples'].broken
    assert depth.broken() == [str(clear[0]), str(clear[1]), str(hazy[2])]  # a colour image, a damaged one, no image


@pytest.mark.parametrize('key', [0, Draw(0, 0, 0)])
def test_if_every_file_is_broken_it_stops(tmp_path, make_images, key):
    for path in make_images(tmp_path, ['1.png', '2.png', '3.png']):
        path.unlink()
        path.write_text('x')
    dataset = SingleDataset(str(tmp_path), on_error='skip', domain='web')
    with pytest.raises(ValueError, match=r"none of the 3 images of SingleDataset 'web' can be read; the last: .*\.png"):
        for i in range(3):
            dataset[key if isinstance(key, Draw) else i]
    with pytest.raises(ValueError, match="none of the 3 images of SingleDataset 'web' can be read"):
        dataset[Draw(1, 1, 1)]


def test_what_workers_find_is_known_here(folder):
    dataset = SingleDataset(folder, on_error='skip', pipeline=CROP)

    def batches(workers):
        loader = torch.utils.data.DataLoader(dataset, 2, sampler=CounterSampler(dataset, seed=5), num_workers=workers,
                                             collate_fn=lambda items: torch.stack([item['inputs'] for item in items]))
        return torch.stack(list(itertools.islice(loader, 8)))
    by_workers = batches(2)
    assert dataset.broken() == [f'{folder}/3.png', f'{folder}/7.png']
    assert by_workers.equal(batches(0))


def test_unpaired_images_are_drawn_as_domain_pairs_are(folder, tmp_path, make_images):
    make_images(tmp_path / 'clear', ['a.png', 'b.png', 'c.png'], size=(20, 20))
    dataset = UnpairedDataset(folder, str(tmp_path / 'clear'), include='[0-2].png', pipeline=CROP, domain='hazy',
                              target_domain='clear', target_include='[ab]*')
    reference = DomainPairDataset(
        SingleDataset(folder, include='[0-2].png', pipeline=CROP, domain='hazy'),
        SingleDataset(str(tmp_path / 'clear'), include='[ab]*', pipeline=CROP, domain='clear'))
    assert len(dataset) == 3 and dataset.files(1) == dict(input=f'{folder}/1.png')
    targets = set()
    for key in (0, 2, Draw(1, 8, 9), Draw(1, 9, 12), Draw(1, 10, 13)):
        item, expected = dataset[key], reference[key]
        assert item['inputs'].equal(expected['inputs'])
        assert item['target']['inputs'].equal(expected['target']['inputs'])
        assert item['target']['data_samples'].domain == 'clear' and 'gt' not in item['data_samples']
        targets.add(item['target']['data_samples'].img_path[-5:])
    assert targets == {'a.png', 'b.png'}
    assert [name for name, _ in dataset.leaves()] == ['source', 'target']


def test_the_hash_is_of_the_names_in_order_and_not_of_the_place(tmp_path, make_images):
    for root in ('a', 'b'):
        make_images(tmp_path / root / 'in', ['1.png', '2.png'])
        make_images(tmp_path / root / 'more', ['1.png', '2.png'])
    first, second = (SingleDataset(str(tmp_path / root / 'in')) for root in ('a', 'b'))
    paired = PairedDataset(str(tmp_path / 'a' / 'in'), str(tmp_path / 'a' / 'more'))
    # sha256 of '1.png\n2.png\n'
    assert first.list_hash() == second.list_hash() == \
        'e582731ce5daca56b50e9d2834e16b3835376fec9bf3bff0273b0508ef8c4156'
    assert len({first.list_hash(), SingleDataset(str(tmp_path / 'a' / 'in'), include='1*').list_hash(),
                paired.list_hash(), ConcatDataset([first, paired]).list_hash(),
                SingleDataset([str(tmp_path / 'a' / 'in'), str(tmp_path / 'a' / 'more')]).list_hash(),
                DomainPairDataset(first).list_hash(), DomainPairDataset(first, second).list_hash()}) == 7
    assert ConcatDataset([first, paired]).list_hash() == ConcatDataset(dict(x=second, y=paired)).list_hash()
    assert ConcatDataset([first, paired]).files(3) == paired.files(1)


def test_the_hash_of_rendered_scenes_is_of_their_settings():
    from restorekit.datasets import ProceduralScenes
    first = ProceduralScenes(length=3, height=24, width=24, domain='x', pipeline=CROP)
    assert first.list_hash() == ProceduralScenes(length=3, height=24, width=24).list_hash()
    assert first.list_hash() != ProceduralScenes(length=3, height=24, width=24, scene_seed=1).list_hash()
    assert first.files(0) == {} and first.leaves() == [('x', first)] and first.broken() == []
