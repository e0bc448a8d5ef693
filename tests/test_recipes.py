"""Every Python block of docs/recipes.md: configs pass the check of training, modules keep their contracts."""

import re
import sys
from pathlib import Path

import pytest

from restorekit.config import load_config, phase_config
from restorekit.engine import prepare
from restorekit.testing import check_decoder, check_network

PAGE = (Path(__file__).parents[1] / 'docs/recipes.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL)
MODULES = [block for block in BLOCKS if 'import ' in block]
CONFIGS = [block for block in BLOCKS if 'import ' not in block and '_base_' not in block]


@pytest.fixture(scope='module')
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp('recipes')
    (folder / 'my_parts.py').write_text(MODULES[0], encoding='utf-8')
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.mark.parametrize('block', CONFIGS, ids=lambda block: re.sub(r'\W+', '_', block)[:40])
def test_configs_pass_the_check(parts, block):
    if 'MLflow' in block:
        pytest.importorskip('mlflow')
    if 'ScheduleFree' in block:
        pytest.importorskip('schedulefree')
    if 'TimmEncoder' in block:
        pytest.importorskip('timm')
    plain = re.search('EpochBased|OneLayer|continue_training', block)
    base = 'baselines/aod_net_1xb8-20k_paired' if plain else 'cid/cid_small_real'
    path = parts / f'child_{CONFIGS.index(block)}.py'
    path.write_text(f"_base_ = 'restorekit::{base}.py'\n{block}", encoding='utf-8')
    cfg = load_config(path)
    for name in cfg.get('phases') or [None]:
        phase = cfg if name is None else phase_config(cfg, name)
        assert prepare(phase, str(path), phase=name is not None, splits=()) is not None


def test_the_parts_keep_their_contracts(parts):
    import my_parts
    check_network(dict(type='OneLayer'))
    check_decoder(dict(type='LastMapDecoder'))
    assert issubclass(my_parts.TwiceRestorer, my_parts.Restorer)
    namespace = {}
    exec(compile(MODULES[1], 'recipes.md', 'exec'), namespace)
    import torch
    metric = namespace['MaxError']()
    assert not metric.higher_is_better
    assert float(metric.measure(torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.25))) == 0.25
