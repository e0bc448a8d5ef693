"""One look through a config before anything runs."""

import pytest
import torch
from mmengine.config import Config
from tiny import config

from restorekit.config import ConfigError
from restorekit.engine import prepare
from restorekit.messages import MissingFileError
from restorekit.models import AODNet
from restorekit.registry import MODELS


@MODELS.register_module()
class LooksAtItsWeights(AODNet):
    """A network that cannot be built without memory, and counts how often it is built."""

    built = 0

    def __init__(self):
        super().__init__()
        self.scale = float(next(self.parameters()).detach().abs().sum().item())
        LooksAtItsWeights.built += 1


def ready(tmp_path, **changes):
    return Config(config(tmp_path, **changes))


def test_the_model_is_built_without_memory_and_the_config_is_ready(tmp_path):
    cfg = ready(tmp_path, frozen=['network.encoder'])
    model = prepare(cfg, 'c.py', phase=True)
    assert {parameter.device.type for parameter in model.parameters()} == {'meta'}
    assert cfg.model.frozen == ['network.encoder'] and 'frozen' not in cfg
    assert not any(p.requires_grad for p in model.network.encoder.parameters())
    assert torch.ones(1).device.type == 'cpu'  # the device is set back


def test_a_network_that_looks_at_its_weights_is_built_in_full(tmp_path):
    LooksAtItsWeights.built = 0
    model = prepare(ready(tmp_path, model=dict(type='Restorer', network=dict(type='LooksAtItsWeights'))), 'c.py')
    assert LooksAtItsWeights.built == 1 and next(model.parameters()).device.type == 'cpu'


def test_mistakes_are_found(tmp_path):
    cfg = ready(tmp_path)
    cfg.model.network.encoder.base_channels = -1
    with pytest.raises(ValueError, match='base_channels must be a whole number of at least 1, but got -1'):
        prepare(cfg, 'c.py')
    with pytest.raises(ConfigError, match="did you mean 'Res2Net'"):
        cfg.model.network.encoder.type = 'Res2Nt'
        prepare(cfg, 'c.py')


def test_the_data_root_is_joined_and_looked_for(tmp_path):
    def cfg(root):
        paired = dict(type='PairedDataset', input_dir='hazy', gt_dir='clear')
        return Config(dict(data_root=str(root), test_dataloader=dict(dataset=paired)))
    with pytest.raises(MissingFileError, match=r'test_dataloader\.dataset\.input_dir looks for .*data/hazy'):
        prepare(cfg(tmp_path / 'data'), 'c.py')
    joined = cfg(tmp_path / 'data')
    assert prepare(joined, 'c.py', splits=('train',)) is None  # no model
    assert joined.test_dataloader.dataset.input_dir == str(tmp_path / 'data' / 'hazy')
