import math

import pytest
import torch
from machine import alike
from mmengine.evaluator import BaseMetric
from tiny import config, scenes

from restorekit.datasets import ConcatDataset, ProceduralScenes, SingleDataset
from restorekit.engine import RestoreRunner
from restorekit.evaluation import PSNR, SSIM
from restorekit.evaluation.provenance import config_hash, set_hashes, set_names
from restorekit.registry import METRICS


def runner(tmp_path, evaluator=None, dataset=None, batch_size=2):
    cfg = config(tmp_path)
    kept = {key: cfg[key] for key in ('default_scope', 'work_dir', 'log_level', 'model', 'visualizer')}
    sets = dataset or dict(type='ConcatDataset', datasets=dict(
        near=scenes(length=3, domain='near'), far=scenes(length=2, scene_seed=4, domain='far')))
    return RestoreRunner.from_cfg(dict(
        kept, test_cfg=dict(type='EvaluationLoop'), test_evaluator=evaluator or [dict(type='PSNR'), dict(type='SSIM')],
        test_dataloader=dict(batch_size=batch_size, num_workers=0, sampler=None, dataset=sets)))


def test_rows_and_means_are_those_of_the_metrics_alone(tmp_path):
    torch.manual_seed(0)
    run = runner(tmp_path)
    metrics = run.test()
    loop, model = run.test_loop, run.model
    psnr, ssim = PSNR(), SSIM()
    for index in range(5):
        item = loop.dataset[index]
        batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
        samples = [sample.to_dict() for sample in model.test_step(batch)]
        psnr.process(batch, samples)
        ssim.process(batch, samples)
    for position, metric in enumerate((psnr, ssim)):
        for row, alone in zip(loop.rows, metric.results, strict=True):
            assert row['values'][position] == alike([alone['value'], alone['baseline']])
    assert [(row['index'], row['domain'], row['image']) for row in loop.rows] == [
        (0, 'near', '00000.png'), (1, 'near', '00001.png'), (2, 'near', '00002.png'), (3, 'far', '00000.png'),
        (4, 'far', '00001.png')]
    values = [row['values'][0][0] for row in loop.rows]
    assert metrics['near/PSNR@rgb'] == math.fsum(values[:3]) / 3
    assert metrics['far/PSNR@rgb'] == math.fsum(values[3:]) / 2
    assert sorted(loop.strips) == [0, 1, 2, 3, 4] and loop.strips[0].startswith(b'\xff\xd8')


class Total(BaseMetric):
    default_prefix = 'total'

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(n=len(results))


def test_what_has_no_number_per_image_is_refused(tmp_path):
    METRICS.register_module(module=Total, force=True)
    try:
        with pytest.raises(TypeError, match='Total is not a metric of single images'):
            _ = runner(tmp_path, [dict(type='Total')]).test_loop
    finally:
        METRICS._module_dict.pop('Total')


def test_names_are_relative_and_different(tmp_path, make_images):
    for folder in ('a/x', 'a/y', 'b'):
        make_images(tmp_path / folder, ['1.png', '2.png'])
    one, two = (SingleDataset(str(tmp_path / folder), domain='day') for folder in ('a', 'b'))
    assert set_names(one) == [('day', f'{name}.png') for name in ('x/1', 'x/2', 'y/1', 'y/2')]
    assert set_names(two) == [('day', '1.png'), ('day', '2.png')]
    flat = SingleDataset(str(tmp_path / 'a' / 'x'), domain='day')
    both = ConcatDataset(dict(first=flat, second=two))
    assert set_names(both) == [('day', name) for name in ('first/1.png', 'first/2.png', 'second/1.png', 'second/2.png')]
    assert set(set_hashes(both)) == {'day'} and set_hashes(two) == {'day': two.list_hash()}
    assert set_hashes(both) != set_hashes(ConcatDataset(dict(first=two, second=flat, third=two)))
    assert set_names(ProceduralScenes(length=1)) == [('test', '00000.png')]


def test_the_hash_of_a_config_is_of_what_decides_numbers():
    base = dict(model=dict(type='A', ratio=(1, 2)), work_dir='x')
    assert config_hash(base) == config_hash(dict(work_dir='y', model=dict(ratio=[1, 2], type='A'), launcher='pytorch'))
    assert config_hash(base) != config_hash(dict(base, model=dict(type='A', ratio=(1, 3))))
