"""A degradation and a loss of one's own: one file each outside the package, one config line each."""

import sys

import pytest
import torch
from tiny import config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.cli.main import main
from restorekit.config import RestoreConfig
from restorekit.registry import DEGRADATIONS, MODELS
from restorekit.testing import check_degradation, check_loss

DEGRADATION = '''
from restorekit.degradations import Degradation
from restorekit.registry import DEGRADATIONS


@DEGRADATIONS.register_module()
class Darker(Degradation):
    """Multiplies by a factor."""

    def __init__(self, factor=(0.4, 0.9)):
        super().__init__()
        self.factor = factor

    def draw(self, draw, height, width):
        return dict(factor=draw.uniform(*self.factor))

    def degrade(self, image, depth, params):
        return image * params['factor'].view(-1, 1, 1, 1)
'''
LOSS = '''
from torch import nn

from restorekit.models.losses.weighting import weighted_reduce
from restorekit.registry import MODELS


@MODELS.register_module()
class QuarticLoss(nn.Module):
    def __init__(self, loss_weight=1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pred, target, weight=None):
        return self.loss_weight * weighted_reduce((pred - target) ** 4, weight)
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The working folder, with modules of one's own in it that are forgotten afterwards."""
    (tmp_path / 'my_darkness.py').write_text(DEGRADATION)
    (tmp_path / 'my_losses.py').write_text(LOSS)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for registry, name, module in ((DEGRADATIONS, 'Darker', 'my_darkness'), (MODELS, 'QuarticLoss', 'my_losses')):
        registry.module_dict.pop(name, None)
        sys.modules.pop(module, None)


def test_one_file_and_one_config_line_each(mine):
    cfg = config('unused', iters=2, custom_imports=dict(imports=['my_darkness', 'my_losses']))
    cfg.pop('work_dir')
    cfg['model']['losses']['quartic'] = dict(type='QuarticLoss', loss_weight=2.0)
    cfg['train_dataloader']['dataset']['pipeline'][-1] = dict(type='Degrade', degradation=dict(type='Darker'))
    RestoreConfig(cfg).dump(str(mine / 'mine.py'))
    assert main(['train', str(mine / 'mine.py'), '--work-dir', str(mine / 'run')]) == 0
    state = load_checkpoint_file(mine / 'run' / 'iter_2.pth')
    assert float(state['message_hub']['log_scalars']['train/loss_quartic']['log'][-1]) > 0
    assert all(torch.isfinite(value).all() for value in state['state_dict'].values())
    check_degradation(dict(type='Darker'))  # the contract tests hold for them in one line each
    check_loss(dict(type='QuarticLoss'))


def test_a_mistake_in_ones_own_component_is_found_like_any_other(mine, capsys):
    cfg = config('unused', custom_imports=dict(imports=['my_losses']))
    cfg['model']['losses']['quartic'] = dict(type='QuarticLoss', los_weight=2.0)
    RestoreConfig(cfg).dump(str(mine / 'mine.py'))
    assert main(['train', str(mine / 'mine.py'), '--work-dir', str(mine / 'run')]) == 1
    assert "QuarticLoss takes no 'los_weight'; did you mean 'loss_weight'" in capsys.readouterr().err
    cfg['custom_imports'] = dict(imports=['my_loses'])
    RestoreConfig(cfg).dump(str(mine / 'mine.py'))
    assert main(['train', str(mine / 'mine.py'), '--work-dir', str(mine / 'run')]) == 1
    assert 'my_loses' in capsys.readouterr().err
