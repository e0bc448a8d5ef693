import multiprocessing
import os
import uuid

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny import PHASES, config, scenes

import restorekit.engine.runner as runner_module
from restorekit.checkpoint import CheckpointError, atomic_save, load_checkpoint_file
from restorekit.datasets import ProceduralScenes
from restorekit.engine import MultiPhaseRunner, RestoreRunner
from restorekit.models import AODNet, NonFiniteLossError
from restorekit.models.losses import L1Loss
from restorekit.models.restorers import NonFiniteWeightsError
from restorekit.registry import DATASETS, MODELS


@MODELS.register_module()
class NaNAtCall(L1Loss):
    """NaN at one call, the L1 loss otherwise."""

    def __init__(self, call):
        super().__init__()
        self.call, self.calls = call, 0

    def forward(self, pred, target, weight=None):
        self.calls += 1
        return super().forward(pred, target, weight) * (float('nan') if self.calls == self.call else 1)


@DATASETS.register_module()
class CountedScenes(ProceduralScenes):
    """Writes the number of every draw it is asked for to a file."""

    def __init__(self, log, **kwargs):
        super().__init__(**kwargs)
        self.log = log

    def __getitem__(self, key):
        with open(self.log, 'a') as file:
            os.write(file.fileno(), f'{self.as_draw(key).number}\n'.encode())
        return super().__getitem__(key)


class Recorder(Hook):
    """Keeps each iteration's seeds and the network's weights before and after it."""

    def __init__(self):
        self.seeds, self.before, self.after = [], [], []

    @staticmethod
    def _weights(runner):
        return {key: value.clone() for key, value in runner.model.network.state_dict().items()}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seeds.append([sample.seed for sample in data_batch['data_samples']])
        self.before.append(self._weights(runner))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.after.append(self._weights(runner))


def build(cfg, **changes):
    """The runner of a plain run."""
    return RestoreRunner.from_cfg(Config(dict(cfg, experiment_name=uuid.uuid4().hex, **changes),
                                         format_python_code=False))


def train(cfg, **changes):
    """Train a plain run; returns its runner and what was recorded."""
    runner = build(cfg, **changes)
    recorder = Recorder()
    runner.register_hook(recorder, priority='VERY_HIGH')
    runner.train()
    return runner, recorder


def quick(folder, **kwargs):
    """A config that validates nothing."""
    cfg = config(folder, **kwargs)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks'):
        cfg.pop(key)
    return cfg


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value.cpu(), b[key].cpu()), key


def test_nan_stops_with_the_iteration_the_loss_and_the_last_checkpoint(tmp_path):
    cfg = quick(tmp_path, iters=6)
    cfg['model']['losses'] = dict(pixel=dict(type='L1Loss'), odd=dict(type='NaNAtCall', call=4))
    runner = build(cfg)
    recorder = Recorder()
    runner.register_hook(recorder)
    with pytest.raises(NonFiniteLossError) as caught:
        runner.train()
    text = str(caught.value)
    assert text.startswith('loss_odd is nan at iteration 4 of 6') and str(tmp_path / 'iter_2.pth') in text
    assert 'stopped before the weights changed' in text and 'loss_pixel' not in text
    for key, value in runner.model.network.named_parameters():
        assert torch.equal(value, recorder.before[3][key]) and torch.equal(value, recorder.after[2][key]), key
    saved = load_checkpoint_file(tmp_path / 'iter_2.pth')['state_dict']
    assert all(torch.equal(saved[f'network.{key}'], value.cpu()) for key, value in recorder.after[1].items())
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_2.pth'


class Spoiler(Hook):
    """Makes a weight NaN after the third iteration, as an optimizer step does that overflows."""

    priority = 'HIGHEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 3:
            next(runner.model.network.parameters()).data.view(-1)[0] = float('nan')


def test_weights_that_are_not_finite_are_not_saved_over_good_ones(tmp_path):
    runner = build(quick(tmp_path, iters=6))
    runner.register_hook(Spoiler())
    with pytest.raises(NonFiniteWeightsError, match='1 tensors of the model are NaN .* over good ones') as caught:
        runner.train()
    assert 'weights changed' not in str(caught.value) and 'iteration 4 of 6' in str(caught.value)
    assert not (tmp_path / 'iter_4.pth').exists()
    saved = load_checkpoint_file(tmp_path / 'iter_2.pth')['state_dict']
    assert all(value.isfinite().all() for value in saved.values())


def test_nan_before_the_first_checkpoint_says_there_is_none(tmp_path):
    cfg = quick(tmp_path)
    cfg['model']['losses'] = dict(odd=dict(type='NaNAtCall', call=1))
    with pytest.raises(NonFiniteLossError, match='iteration 1 of 4 .* last good checkpoint is none yet'):
        train(cfg)


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_resume_reads_no_past_batch_again_and_keeps_the_order(tmp_path, workers):
    def counted(name):
        cfg = quick(tmp_path / 'run', iters=6, workers=workers)
        cfg['train_dataloader']['dataset'] = dict(
            scenes(domain='source', length=5, height=16, width=16, pipeline=[
                dict(type='Degrade', degradation=dict(type='AtmosphericScattering'))]),
            type='CountedScenes', log=str(tmp_path / name))
        return cfg
    whole, recorder = train(counted('whole'))
    expected = recorder.seeds
    resumed, recorder = train(counted('resumed'), resume=True, load_from=str(tmp_path / 'run' / 'iter_4.pth'))
    assert recorder.seeds == expected[4:] and len(expected) == 6
    numbers = sorted(int(line) for line in (tmp_path / 'resumed').read_text().split())
    assert numbers[:4] == [8, 9, 10, 11]  # two iterations of two; four before them are not read
    assert len(numbers) == 4 if workers == 0 else len(numbers) <= 4 + 2 * 2 * 2  # what workers fetch ahead
    assert_equal(whole.model.state_dict(), resumed.model.state_dict())
    assert not multiprocessing.active_children()  # the workers ended with the training


@pytest.mark.slow
def test_a_sampler_that_cannot_skip_is_advanced(tmp_path):
    cfg = quick(tmp_path, iters=5, interval=2)
    cfg['train_dataloader']['sampler'] = dict(type='InfiniteSampler')
    whole, recorder = train(cfg)
    expected = recorder.seeds
    resumed, recorder = train(cfg, resume=True, load_from=str(tmp_path / 'iter_4.pth'))
    assert recorder.seeds == expected[4:]
    assert_equal(whole.model.state_dict(), resumed.model.state_dict())


def test_batch_larger_than_the_data_set(tmp_path):
    cfg = quick(tmp_path, iters=2)
    cfg['train_dataloader'].update(batch_size=5, dataset=scenes(length=2, domain='source'))
    _, recorder = train(cfg)
    assert [len(set(seeds)) for seeds in recorder.seeds] == [5, 5]  # each draw with a degradation of its own


def test_options_of_workers_do_not_matter_without_workers():
    loader = RestoreRunner.build_dataloader(dict(
        batch_size=2, num_workers=0, persistent_workers=True, prefetch_factor=4, dataset=scenes(),
        sampler=dict(type='DefaultSampler', shuffle=False)))
    assert loader.num_workers == 0 and len(next(iter(loader))['inputs']) == 2


def test_loader_without_a_batch_says_what_to_do(tmp_path):
    cfg = quick(tmp_path, iters=2)
    cfg['train_dataloader'].update(batch_size=5, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=False),
                                   dataset=scenes(length=2, domain='source'))
    with pytest.raises(ValueError, match='yields no batch: it has fewer images than a batch'):
        train(cfg)


@pytest.mark.parametrize('iters', [0, 2.5])
def test_impossible_length_is_an_error(tmp_path, iters):
    with pytest.raises(ValueError, match=f'max_iters must be a whole number of at least 1, but got {iters}'):
        train(quick(tmp_path, iters=iters))


@pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a GPU')
def test_mixed_precision_on_the_cpu_is_bfloat16(tmp_path):
    cfg = quick(tmp_path, iters=2)
    cfg['optim_wrapper'] = dict(type='AmpOptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
    runner = build(cfg)
    recorder, seen = Recorder(), []
    runner.register_hook(recorder)
    conv = next(m for m in runner.model.network.modules() if isinstance(m, torch.nn.Conv2d))
    conv.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    runner.train()
    assert set(seen) == {torch.bfloat16}
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in runner.model.parameters())
    assert any(not torch.equal(recorder.before[0][key], recorder.after[-1][key]) for key in recorder.before[0])


@pytest.mark.skipif(torch.cuda.is_available(), reason='about machines without a GPU')
def test_float16_on_the_cpu_is_refused(tmp_path):
    cfg = quick(tmp_path)
    cfg['optim_wrapper'] = dict(type='AmpOptimWrapper', dtype='float16', optimizer=dict(type='Adam', lr=1e-3))
    with pytest.raises(ValueError, match="on the CPU is bfloat16, but dtype='float16'"):
        train(cfg)


@pytest.mark.slow
def test_resume_never_runs_text_from_a_checkpoint(tmp_path):
    train(quick(tmp_path / 'run', iters=2))
    trap = tmp_path / 'trap'
    text = f"open({str(trap)!r}, 'w').close()\nmodel = dict(type='X')\n"
    Config.fromstring(text, '.py')
    assert trap.exists()  # so the trap works
    trap.unlink()
    checkpoint = load_checkpoint_file(tmp_path / 'run' / 'iter_2.pth')
    checkpoint['meta'].update(config=text, cfg=text)
    atomic_save(checkpoint, tmp_path / 'evil.pth')
    runner, _ = train(quick(tmp_path / 'run', iters=3), resume=True, load_from=str(tmp_path / 'evil.pth'))
    assert runner.iter == 3 and not trap.exists()


def test_runs_started_in_one_second_share_nothing(tmp_path):
    a, b = (MultiPhaseRunner(Config(config(tmp_path / name, phases=PHASES))) for name in 'ab')
    names = [cfg.experiment_name for runner in (a, b) for cfg in runner.configs.values()]
    assert len(set(names)) == 6
    built = [RestoreRunner.from_cfg(runner.configs['supervised']) for runner in (a, b)]
    assert built[0].message_hub is not built[1].message_hub
    assert built[0].visualizer is not built[1].visualizer and built[0].logger is not built[1].logger
    built[0].message_hub.update_scalar('train/loss', 1.0)
    assert 'train/loss' not in built[1].message_hub.log_scalars


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    atomic_save(dict(state_dict=AODNet().state_dict()), tmp_path / 'aod.pth')
    with pytest.raises(CheckpointError) as caught:
        train(quick(tmp_path / 'run'), load_from=str(tmp_path / 'aod.pth'))
    text = str(caught.value)
    assert 'aod.pth is a checkpoint of another network than this EncoderDecoder' in text
    assert "missing: 'encoder." in text and "10 unexpected: 'conv1.weight'" in text


def test_fine_tuning_takes_the_network_and_no_training_state(tmp_path):
    first, _ = train(quick(tmp_path / 'first', iters=2))
    cfg = quick(tmp_path / 'second', iters=1)
    cfg['model']['reweighter'] = dict(type='DecorrelationReweighter')
    _, recorder = train(cfg, load_from=str(tmp_path / 'first' / 'iter_2.pth'))
    assert_equal(recorder.before[0], first.model.network.state_dict())
    optimizer = load_checkpoint_file(tmp_path / 'second' / 'iter_1.pth')['optimizer']
    assert {float(state['step']) for state in optimizer['state'].values()} == {1.0}


@pytest.mark.slow
def test_old_checkpoint_goes_only_after_the_new_one_is_there(tmp_path, monkeypatch):
    cfg = quick(tmp_path, interval=1)
    cfg['default_hooks']['checkpoint']['max_keep_ckpts'] = 1

    def fail_at_3(obj, path):
        if str(path).endswith('iter_3.pth'):
            raise OSError(28, 'No space left on device')
        atomic_save(obj, path)
    monkeypatch.setattr(runner_module, 'atomic_save', fail_at_3)
    with pytest.raises(OSError, match='No space left'):
        train(cfg)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_2.pth')
    assert load_checkpoint_file(tmp_path / 'iter_2.pth')['meta']['iter'] == 2
    monkeypatch.setattr(runner_module, 'atomic_save', atomic_save)
    train(cfg, resume=True, load_from=str(tmp_path / 'iter_2.pth'))
    assert [path.name for path in tmp_path.glob('*.pth*')] == ['iter_4.pth']


def test_a_half_written_checkpoint_never_has_the_name_of_one(tmp_path, monkeypatch):
    def cut(obj, file):
        file.write(b'PK half')
        raise KeyboardInterrupt
    monkeypatch.setattr(torch, 'save', cut)
    with pytest.raises(KeyboardInterrupt):
        train(quick(tmp_path))
    assert not list(tmp_path.glob('*.pth*')) and not (tmp_path / 'last_checkpoint').exists()


def test_best_checkpoint_is_that_of_the_best_validation(tmp_path):
    cfg = config(tmp_path, interval=1, iters=3)
    cfg['default_hooks']['checkpoint'].update(save_best='source/PSNR@rgb', rule='less', max_keep_ckpts=1)
    runner, _ = train(cfg)
    values = runner.message_hub.get_scalar('val/source/PSNR@rgb').data[0].tolist()
    best = values.index(min(values)) + 1
    assert [path.name for path in tmp_path.glob('best*')] == [f'best_source_PSNR@rgb_iter_{best}.pth']
    assert load_checkpoint_file(next(tmp_path.glob('best*')))['meta']['iter'] == best
    assert (tmp_path / 'iter_3.pth').is_file()


@pytest.mark.slow
def test_ema_weights_are_the_ones_saved_and_both_are_resumed(tmp_path):
    def averaged(folder, iters):
        cfg = quick(folder, iters=iters)
        cfg['custom_hooks'] = [dict(type='EMAHook', momentum=0.3)]
        cfg.pop('param_scheduler')  # it would end with each run
        return cfg
    runner, recorder = train(averaged(tmp_path / 'whole', 4))
    saved = load_checkpoint_file(tmp_path / 'whole' / 'iter_4.pth')
    for key, _ in runner.model.network.named_parameters():
        mean = recorder.after[0][key]
        for later in recorder.after[1:]:
            mean = 0.7 * mean + 0.3 * later[key]
        assert torch.allclose(saved['state_dict'][f'network.{key}'], mean.cpu(), atol=1e-6), key
        assert torch.equal(saved['ema_state_dict'][f'module.network.{key}'], recorder.after[-1][key].cpu()), key
    train(averaged(tmp_path / 'cut', 2))
    train(averaged(tmp_path / 'cut', 4), resume=True, load_from=str(tmp_path / 'cut' / 'iter_2.pth'))
    again = load_checkpoint_file(tmp_path / 'cut' / 'iter_4.pth')
    assert_equal(saved['state_dict'], again['state_dict'])
    assert_equal(saved['ema_state_dict'], again['ema_state_dict'])
    _, fine = train(averaged(tmp_path / 'fine', 1), load_from=str(tmp_path / 'whole' / 'iter_4.pth'))
    assert_equal(fine.before[0], {key.removeprefix('network.'): value for key, value in saved['state_dict'].items()
                                  if key.startswith('network.')})
