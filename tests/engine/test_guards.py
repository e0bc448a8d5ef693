"""What stops or warns a run: gradients, collapse, disks, changed configs, domains and batches that are too small."""

import errno
import uuid

import pytest
import torch
from files import DEAD_TEMPORARY
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny import PAIR, PHASES, config, scenes

import restorekit.engine.phases as phases_module
import restorekit.files.atomic as atomic_module
from restorekit.checkpoint import CheckpointWriteError, load_checkpoint_file
from restorekit.cli.main import main
from restorekit.config import ConfigError
from restorekit.engine import EmbeddingMonitorHook, MultiPhaseRunner, RestoreRunner
from restorekit.engine.config_diff import differences, relevant
from restorekit.engine.hooks.guards import check_gradients
from restorekit.files.atomic import atomic_write_text
from restorekit.models.losses import L1Loss
from restorekit.models.restorers import NonFiniteGradientError
from restorekit.registry import MODELS


@MODELS.register_module()
class BadGradientAtCall(L1Loss):
    """The L1 loss, whose gradient is ``value`` at one call."""

    def __init__(self, call, value):
        super().__init__()
        self.call, self.value, self.calls = call, value, 0

    def forward(self, pred, target, weight=None):
        self.calls += 1
        if self.calls == self.call:
            pred.register_hook(lambda grad: torch.full_like(grad, self.value))
        return super().forward(pred, target, weight)


class Weights(Hook):
    """Keeps the network's weights after each iteration."""

    def __init__(self):
        self.after = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.after.append([p.detach().clone() for p in runner.model.network.parameters()])


def quick(folder, **kwargs):
    cfg = config(folder, **kwargs)
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator', 'custom_hooks'):
        cfg.pop(key)
    return cfg


def build(cfg, **changes):
    return RestoreRunner.from_cfg(Config(dict(cfg, experiment_name=uuid.uuid4().hex, **changes),
                                         format_python_code=False))


@pytest.mark.parametrize(('value', 'kind'), [(float('nan'), 'NaN'), (float('inf'), '(NaN|infinite)')])
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.0)])
def test_bad_gradient_stops_before_the_weights_change(tmp_path, value, kind, clip):
    cfg = quick(tmp_path, iters=6)
    cfg['model']['losses'] = dict(pixel=dict(type='BadGradientAtCall', call=4, value=value))
    if clip:
        cfg['optim_wrapper']['clip_grad'] = clip
    runner, weights = build(cfg), Weights()
    runner.register_hook(weights)
    with pytest.raises(NonFiniteGradientError, match=rf'the gradient of \d+ of \d+ trained parameters is {kind} '
                                                     r'\(network\..*\) at iteration 4 of 6') as caught:
        runner.train()
    assert f'The last good checkpoint is {tmp_path}/iter_2.pth' in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(runner.model.network.parameters(), weights.after[2], strict=True))


def test_only_the_bad_parameters_are_named_though_clipping_would_spread_them(tmp_path):
    cfg = quick(tmp_path, iters=1)
    cfg['optim_wrapper']['clip_grad'] = dict(max_norm=1.0)
    runner = build(cfg)
    name, parameter = next(iter(runner.model.network.decoder.named_parameters()))
    parameter.register_hook(lambda grad: grad * float('nan'))
    with pytest.raises(NonFiniteGradientError, match=rf'gradient of 1 of \d+ .* is NaN \(network.decoder.{name}\)'):
        runner.train()


def test_large_finite_gradients_are_left_alone(tmp_path):
    cfg = quick(tmp_path, iters=1)
    cfg['model']['losses']['pixel']['loss_weight'] = 1e25
    runner = build(cfg)
    runner.train()
    assert runner.iter == 1 and all(p.isfinite().all() for p in runner.model.parameters())


def test_collapse_of_the_embeddings_is_warned_of_once(tmp_path):
    runner = build(quick(tmp_path))
    hook = EmbeddingMonitorHook(fraction=0.1, window=4)
    warnings = []
    runner.logger.warning = warnings.append
    for i in range(40):
        for domain, value in (('source', 2.0), ('target', 1.0 if i < 10 else 0.05)):
            runner.message_hub.update_scalar(f'train/embedding_std_{domain}', value)
        hook.after_train_iter(runner, i)
    assert len(warnings) == 1
    assert warnings[0].startswith('the target embeddings are collapsing: their standard deviation fell from 1 ')
    with pytest.raises(ValueError, match=r'fraction must be in \(0, 1\)'):
        EmbeddingMonitorHook(fraction=1)


def test_the_spread_that_is_watched_is_logged_by_alignment(tmp_path):
    cfg = quick(tmp_path, iters=1)
    cfg['model']['alignment'] = dict(type='CORALLoss')
    cfg['train_dataloader']['dataset'] = PAIR
    runner = build(cfg)
    runner.train()
    assert runner.message_hub.get_scalar('train/embedding_std_source').current() > 0
    assert any(isinstance(hook, EmbeddingMonitorHook) for hook in runner.hooks)


@pytest.mark.slow
def test_full_disk_says_what_and_where_and_loses_nothing(tmp_path, monkeypatch):
    real = torch.save

    def full(obj, file):
        if obj['meta']['iter'] == 4:
            file.write(b'PK half')
            raise OSError(errno.ENOSPC, 'No space left on device')
        real(obj, file)
    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(CheckpointWriteError) as caught:
        build(quick(tmp_path, iters=6)).train()
    text = str(caught.value)
    assert f'{tmp_path}/iter_4.pth could not be written at iteration 4: No space left on device' in text
    assert f'The last good checkpoint is {tmp_path}/iter_2.pth; make room, then continue with --resume' in text
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.glob('*.pth*')] == ['iter_2.pth']
    assert load_checkpoint_file(tmp_path / 'iter_2.pth')['meta']['iter'] == 2
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_2.pth'


def test_a_file_too_large_for_the_disk_is_such_an_error(tmp_path):
    """What torch itself makes of a write that fails."""
    resource = pytest.importorskip('resource')
    import signal
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    runner = build(quick(tmp_path, iters=2))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(CheckpointWriteError, match='could not be written at iteration 2'):
            runner.train()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.glob('*.pth*'))


def test_the_command_line_shows_a_full_disk_as_a_sentence(capsys, monkeypatch):
    def full(args):
        raise OSError(errno.ENOSPC, 'No space left on device', 'log.json')
    monkeypatch.setattr('restorekit.cli.show_config.run', full)
    assert main(['show-config', 'cid/cid_quickstart']) == 1
    assert 'error: log.json: No space left on device' in capsys.readouterr().err


@pytest.mark.parametrize('kind', ['file in the way', 'read-only'])
def test_work_dir_that_cannot_be_written_to(tmp_path, monkeypatch, kind):
    folder = tmp_path / 'run'
    if kind == 'read-only':
        def refuse(text, path):
            raise PermissionError(errno.EACCES, 'Permission denied')
        monkeypatch.setattr(phases_module, 'atomic_write_text', refuse)
    else:
        folder.write_text('')
        folder = folder / 'inside'
    with pytest.raises(OSError, match=f'the work dir {folder} cannot be written to .* pass another --work-dir'):
        MultiPhaseRunner(Config(config(folder))).train()


def test_state_file_is_the_old_or_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / 'run_state.json'
    atomic_write_text('old', path)

    def cut(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr(atomic_module.os, 'fsync', cut)
    with pytest.raises(OSError, match='No space'):
        atomic_write_text('new', path)
    assert path.read_text() == 'old' and list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_over_is_removed(tmp_path):
    (tmp_path / DEAD_TEMPORARY).write_text('half')
    (tmp_path / 'mine.tmp').write_text('kept')
    build(quick(tmp_path, iters=1)).train()
    assert not (tmp_path / DEAD_TEMPORARY).exists() and (tmp_path / 'mine.tmp').exists()


def test_config_differences_are_those_that_bear_on_the_result():
    old = Config(config('a', workers=2, phases=PHASES))
    new = Config(config('b', workers=0, phases=PHASES, launcher='pytorch', resume=True, load_from='x.pth'))
    assert differences(relevant(old), relevant(new)) == []
    new.optim_wrapper.optimizer.lr = 0.5
    new.train_dataloader.dataset.pipeline[0].size = 16
    new.model.pop('losses')
    new.randomness.deterministic = True
    assert differences(relevant(old), relevant(new)) == [
        'model.losses: {"pixel": {"type": "L1Loss"}} -> (not set)',
        'train_dataloader.dataset.pipeline[0].size: 32 -> 16',
        'optim_wrapper.optimizer.lr: 0.001 -> 0.5',
        'randomness.deterministic: (not set) -> true']


@pytest.mark.slow
def test_a_changed_config_is_shown_and_refused_unless_told(tmp_path):
    def runner(lr, **kwargs):
        phases = {'first': {}, 'second': dict(optim_wrapper=dict(optimizer=dict(lr=lr)))}
        return MultiPhaseRunner(Config(quick(tmp_path, iters=2, phases=phases)), **kwargs)
    runner(0.1, phase='first').train()
    runner(0.2, resume=True).train()  # the second phase had not begun
    state = (tmp_path / 'run_state.json').read_text()
    with pytest.raises(ConfigError, match=r'(?s)second: optim_wrapper.optimizer.lr: 0.2 -> 0.3.*--allow-config-change'):
        runner(0.3, resume=True).train()
    assert (tmp_path / 'run_state.json').read_text() == state
    said, last = [], runner(0.3, resume=True, allow_config_change=True)
    last.announce = said.append
    last.train()
    assert 'second: optim_wrapper.optimizer.lr: 0.2 -> 0.3' in said[0]
    runner(0.3, resume=True).train()  # now it is the config of the run


def test_target_domain_that_is_empty(tmp_path):
    (tmp_path / 'photos').mkdir()
    cfg = quick(tmp_path / 'run')
    cfg['train_dataloader']['dataset'] = dict(PAIR, target=dict(type='SingleDataset', domain='target',
                                                                image_dir=str(tmp_path / 'photos')))
    with pytest.raises((ValueError, FileNotFoundError), match='photos'):
        build(cfg).train()


@pytest.mark.slow
def test_small_target_domain_never_runs_out(tmp_path):
    cfg = quick(tmp_path, iters=4)
    cfg['train_dataloader'].update(batch_size=3, dataset=dict(PAIR, target=scenes(length=1, domain='target')))
    cfg['model']['alignment'] = dict(type='CORALLoss')
    runner = build(cfg)
    runner.train()
    assert runner.iter == 4


def test_batch_of_one(tmp_path):
    def run(ingredient):
        cfg = quick(tmp_path / uuid.uuid4().hex, iters=1)
        cfg['model'].update(ingredient)
        cfg['train_dataloader'].update(batch_size=1, dataset=PAIR)
        runner = build(cfg)
        runner.train()
        return runner
    reweighted = run(dict(reweighter=dict(type='DecorrelationReweighter'), anchor=0.0))
    assert reweighted.message_hub.get_scalar('train/reweight_ess').current() == 1
    with pytest.raises(ValueError, match='CORALLoss needs at least 2 samples of each domain over all processes, but '
                                         'got 1 source and 1 target; raise train_dataloader.batch_size'):
        run(dict(alignment=dict(type='CORALLoss')))


@pytest.mark.parametrize('fused', [False, True])
def test_steps_that_a_loss_scaler_skips_are_left_to_it(fused):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], fused=fused)
    optimizer.register_step_pre_hook(lambda optimizer, *_: check_gradients(optimizer, {parameter: 'network.weight'}))
    scaler = torch.amp.GradScaler('cpu', init_scale=4.0)
    scaler.scale((parameter * float('inf')).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    assert parameter.tolist() == [1, 1, 1] and scaler.get_scale() == 2
    with pytest.raises(NonFiniteGradientError, match=r'gradient of 1 of 1 trained parameters is .* \(network.weight\)'):
        optimizer.grad_scale = None  # what the scaler leaves on a fused optimizer
        optimizer.step()


def test_the_guards_can_be_dropped(tmp_path):
    cfg = quick(tmp_path)
    cfg['default_hooks'].update(gradients=None, embeddings=None)
    names = {type(hook).__name__ for hook in build(cfg).hooks}
    assert not names & {'GradientGuardHook', 'EmbeddingMonitorHook'} and 'SafeCheckpointHook' in names
    names = {type(hook).__name__ for hook in build(quick(tmp_path)).hooks}
    assert {'GradientGuardHook', 'EmbeddingMonitorHook'} < names
