import argparse
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from restorekit.config import load_config, phase_config
from restorekit.engine import MultiPhaseRunner

FILE = Path(__file__).parents[2] / 'tools' / 'research' / 'ablation.py'
spec = importlib.util.spec_from_file_location('ablation', FILE)
ablation = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ablation)


def arguments(**kwargs):
    return argparse.Namespace(**{**dict(cfg_options={}, pretrain_iters=None, iters=None, batch=None, crop=None,
                                        workers=None), **kwargs})


def test_variants_differ_in_their_part_and_share_the_rest():
    args = arguments(pretrain_iters=30, iters=10, crop=48, batch=4)
    options = ablation.options_of(args, load_config('cid/cid_ablation'))
    cfg = load_config('cid/cid_ablation', options)
    phases = {name: phase_config(cfg, name) for name in cfg.phases}
    assert [phases[name].train_cfg.max_iters for name in phases] == [30, 30, 10, 10, 10, 10, 10]
    for name, phase in phases.items():
        assert phase.train_dataloader.batch_size == 4
        assert phase.train_dataloader.dataset.source.datasets.sots.pipeline.crop.size == 48
        assert phase.train_dataloader.dataset.source.datasets.sots.pipeline.view.size == 96
        assert ('reweighter' in phase.model) == (name in ('reweighting', 'everything'))
        assert ('alignment' in phase.model) == (name in ('alignment', 'everything'))
        assert (phase.train_dataloader.dataset.target is not None) == (name in ('alignment', 'everything'))
        one = 'one_domain' in name or name == 'source_only'
        assert list(phase.train_dataloader.dataset.source.weights) == (['sots'] if one else ['sots', 'camvid', 'bsds'])
        degradation = phase.train_dataloader.dataset.source.datasets.sots.pipeline.degrade.degradation
        assert (degradation.type == 'AtmosphericScattering') == one
    assert set(ablation.VARIANTS) < set(phases)


def test_tables_give_mean_and_deviation_over_the_seeds():
    def record(psnr, ess):
        def phase(**watched):
            return dict(metrics={'a/PSNR@rgb': psnr, 'a/input_PSNR@rgb': 12.0}, iterations=7, seconds=60.0,
                        watched=watched)
        return dict(pretrain_many_domains=phase(), **{name: phase() for name in ablation.VARIANTS},
                    ) | dict(reweighting=phase(reweight_ess=ess))
    text = ablation.tables([record(20.0, 6.0), record(21.0, 7.0)], arguments(), 120)
    assert '| hazy input | 12.00 |' in text and '| source only | 20.50 ± 0.71 |' in text
    assert '| + reweighting | 6.500 ± 0.707 |' in text and '| all | - |' in text and '2 seeds' in text
    assert ablation.spread([20.0], 2) == '20.00'


def test_course_of_a_spread_is_its_end_over_its_start():
    assert ablation.watched('embedding_std_source', np.linspace(2, 1, 11)) == pytest.approx(0.5, rel=0.1)
    assert ablation.watched('reweight_ess', np.array([1.0, 3.0])) == 2


def test_the_config_of_every_variant_is_checked(tmp_path):
    cfg = load_config('cid/cid_ablation')
    cfg.work_dir = str(tmp_path / 'run')
    with pytest.raises(FileNotFoundError, match='pass --data-root FOLDER'):
        MultiPhaseRunner(cfg)
