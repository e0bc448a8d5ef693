import collections
import itertools

import pytest
import torch

from restorekit.datasets import ConcatDataset, CounterSampler, Draw, SingleDataset
from restorekit.registry import DATASETS

SOURCE = dict(type='ProceduralScenes', length=5, height=16, width=24, domain='source',
              pipeline=[dict(type='Degrade', degradation=dict(type='AtmosphericScattering'))])
TARGET = dict(SOURCE, length=7, style='highland', domain='target')


def take(sampler, n):
    return list(itertools.islice(iter(sampler), n))


def test_draws_depend_on_seed_and_number_only():
    draws = take(CounterSampler(range(10), seed=3), 25)
    assert [draw.number for draw in draws] == list(range(25))
    assert sorted(draw.index for draw in draws[:10]) == list(range(10)) == sorted(d.index for d in draws[10:20])
    assert [d.index for d in draws[:10]] != [d.index for d in draws[10:20]]
    skipped = CounterSampler(range(10), seed=3)
    skipped.skip(13)
    assert take(skipped, 12) == draws[13:]
    assert take(CounterSampler(range(10), seed=4), 25) != draws


def test_ranks_share_the_global_order(monkeypatch):
    whole = take(CounterSampler(range(7), seed=1), 24)
    parts = []
    for rank in range(3):
        monkeypatch.setattr('restorekit.datasets.sampler.get_dist_info', lambda rank=rank: (rank, 3))
        sampler = CounterSampler(range(7), seed=1)
        sampler.skip(2)
        parts.append(take(sampler, 6))
    assert [draw for step in zip(*parts, strict=True) for draw in step] == whole[6:]


def test_fewer_images_than_a_batch_are_drawn_again():
    draws = take(CounterSampler(range(2), seed=0), 8)
    assert collections.Counter(draw.index for draw in draws) == {0: 4, 1: 4}
    assert len({draw.seed for draw in draws}) == 8
    with pytest.raises(ValueError, match='is empty'):
        CounterSampler([])


def test_pair_has_an_independent_unlabelled_target():
    dataset = DATASETS.build(dict(type='DomainPairDataset', source=SOURCE, target=TARGET))
    assert len(dataset) == 5
    items = [dataset[Draw(0, n, 1000 + n)] for n in range(12)]
    assert {item['data_samples'].img_path for item in items} == {items[0]['data_samples'].img_path}
    assert len({item['target']['data_samples'].img_path for item in items}) > 3
    for item in items:
        assert 'gt' in item['data_samples'] and item['data_samples'].domain == 'source'
        assert 'gt' not in item['target']['data_samples'] and item['target']['data_samples'].domain == 'target'
    again = dataset[Draw(0, 3, 1003)]
    assert torch.equal(again['target']['inputs'], items[3]['target']['inputs'])


@pytest.mark.slow
def test_concat_in_order_and_weighted():
    plain = DATASETS.build(dict(type='ConcatDataset', datasets=[SOURCE, TARGET]))
    assert len(plain) == 12
    assert [plain[i]['data_samples'].domain for i in (0, 4, 5, 11)] == ['source', 'source', 'target', 'target']
    weighted = ConcatDataset([SOURCE, TARGET], weights=[1, 3])
    domains = collections.Counter(weighted[(0, n)]['data_samples'].domain for n in range(200))
    assert 130 < domains['target'] < 170
    fixed = [weighted[i]['data_samples'].domain for i in range(12)]  # a test set with weights is still its images once
    assert fixed == [plain[i]['data_samples'].domain for i in range(12)]
    for weights in ([0, 0], [float('nan'), 1], [1]):
        with pytest.raises(ValueError, match='2 numbers >= 0'):
            ConcatDataset([SOURCE, TARGET], weights=weights)
    with pytest.raises(ValueError, match='give both as dicts or as lists'):
        ConcatDataset([SOURCE, TARGET], weights=dict(source=1))
    with pytest.raises(ValueError, match='at least one dataset'):
        ConcatDataset([])


def test_items_are_the_same_whatever_the_workers(tmp_path, make_images):
    make_images(tmp_path, ['1.png', '2.png', '3.png'])
    dataset = SingleDataset(str(tmp_path), pipeline=[dict(type='RandomCrop', size=(9, 11)), dict(type='RandomFlip')])

    def batches(workers):
        loader = torch.utils.data.DataLoader(dataset, 2, sampler=CounterSampler(dataset, seed=5), num_workers=workers,
                                             collate_fn=lambda items: torch.stack([item['inputs'] for item in items]))
        return torch.stack(list(itertools.islice(loader, 4)))
    assert torch.equal(batches(0), batches(2))


def test_out_of_range_index():
    with pytest.raises(IndexError, match='index 5 is out of range for 5'):
        DATASETS.build(SOURCE)[5]
