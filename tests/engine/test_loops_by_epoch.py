"""Runs that are counted in epochs, with the endless sampler and with a finite one."""

import json

import pytest
import torch
from mmengine.config import Config
from tiny import config

from restorekit.checkpoint import load_checkpoint_file
from restorekit.engine import MultiPhaseRunner, ResumableEpochLoop


def epochs(folder, sampler='CounterSampler', epochs=2, **checkpoint):
    """Six images in batches of two: three iterations an epoch."""
    cfg = config(folder)
    cfg.update(train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=1), custom_hooks=[],
               param_scheduler=[dict(type='MultiStepLR', milestones=[1], gamma=0.1)])
    cfg['train_dataloader']['sampler'] = dict(type=sampler, shuffle=True)
    cfg['default_hooks']['checkpoint'] = dict(dict(type='SafeCheckpointHook', interval=1), **checkpoint)
    return Config(cfg)


def learned(folder, name):
    return load_checkpoint_file(folder / name)


@pytest.mark.slow
@pytest.mark.parametrize('sampler', ['CounterSampler', 'DefaultSampler'])
def test_epochs_end_validate_and_save(tmp_path, monkeypatch, sampler):
    validated = []
    real = ResumableEpochLoop._validation_due
    monkeypatch.setattr(ResumableEpochLoop, '_validation_due',
                        lambda self: validated.append((self._epoch, self._iter)) or real(self))
    runner = MultiPhaseRunner(epochs(tmp_path, sampler))
    runner.train()
    assert validated == [(1, 3), (2, 6)]
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    record = json.loads((tmp_path / 'run_state.json').read_text())['phases']['train']
    assert (record['iterations'], record['checkpoint'], record['metrics_iteration']) == (6, 'epoch_2.pth', 6)
    first, last = learned(tmp_path, 'epoch_1.pth'), learned(tmp_path, 'epoch_2.pth')
    assert (first['meta']['epoch'], first['meta']['iter'], last['meta']['iter']) == (1, 3, 6)
    assert last['message_hub']['log_scalars']['train/lr']['log'].tolist() == pytest.approx([1e-3] * 3 + [1e-4] * 3)


@pytest.mark.slow
@pytest.mark.parametrize('sampler', ['CounterSampler', 'DefaultSampler'])
@pytest.mark.parametrize('at', [2, 4])
def test_a_run_cut_within_an_epoch_is_resumed_bit_for_bit(tmp_path, monkeypatch, sampler, at):
    every = dict(interval=1, by_epoch=False, max_keep_ckpts=9)
    MultiPhaseRunner(epochs(tmp_path / 'whole', sampler, **every)).train()
    real = ResumableEpochLoop.run_iter

    def cut(self, batch):
        if self._iter == at:
            raise KeyboardInterrupt
        real(self, batch)
    monkeypatch.setattr(ResumableEpochLoop, 'run_iter', cut)
    with pytest.raises(KeyboardInterrupt):
        MultiPhaseRunner(epochs(tmp_path / 'cut', sampler, **every)).train()
    monkeypatch.setattr(ResumableEpochLoop, 'run_iter', real)
    MultiPhaseRunner(epochs(tmp_path / 'cut', sampler, **every), resume=True).train()
    a, b = (learned(tmp_path / name, 'iter_6.pth') for name in ('whole', 'cut'))
    assert a['meta']['epoch'] == b['meta']['epoch'] == 1 and a['meta']['iter'] == b['meta']['iter'] == 6
    assert all(torch.equal(value, b['state_dict'][key]) for key, value in a['state_dict'].items())
    assert a['optimizer']['param_groups'][0]['lr'] == b['optimizer']['param_groups'][0]['lr'] == pytest.approx(1e-4)
