"""What users of other tools report of their training runs; each failed once."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from tiny import config, scenes

import restorekit.evaluation.metrics.natural
from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError, RestoreConfig, import_modules, load_config
from restorekit.engine import MultiPhaseRunner, RestoreRunner
from restorekit.engine.loops import ResumableIterLoop
from restorekit.messages import InputError, UserError
from restorekit.registry import TRANSFORMS
from restorekit.tasks.train import prepared_run

QUIET = dict(custom_hooks=[])


def iterations(folder):
    return json.loads((folder / 'run_state.json').read_text())['phases']['train']['iterations']


def run_config(folder, **changes):
    return Config(config(folder, **{**QUIET, **changes}))


@pytest.mark.slow
@pytest.mark.parametrize('cut', [3, 6])
def test_early_stopping_goes_on_counting_after_a_resume(tmp_path, monkeypatch, cut):
    """Lightning 18727: the best value and the count began anew, so that a resumed run trained longer."""
    hook = dict(type='EarlyStoppingHook', monitor='PSNR', patience=3, min_delta=50)
    options = dict(iters=20, custom_hooks=[hook])
    MultiPhaseRunner(run_config(tmp_path / 'whole', **options)).train()
    real = ResumableIterLoop.run_iter

    def stop(self, batch):
        if self._iter == cut:
            raise KeyboardInterrupt
        real(self, batch)
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', stop)
    with pytest.raises(KeyboardInterrupt):
        MultiPhaseRunner(run_config(tmp_path / 'cut', **options)).train()
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', real)
    MultiPhaseRunner(run_config(tmp_path / 'cut', **options), resume=True).train()
    assert iterations(tmp_path / 'cut') == iterations(tmp_path / 'whole') == 8
    state = load_checkpoint_file(tmp_path / 'cut' / 'iter_8.pth')['message_hub']['runtime_info']
    assert state['early_stopping_source/PSNR@rgb'][:2] == [6, 2]  # saved before the last validation


@pytest.mark.slow
def test_a_schedule_given_in_epochs_runs_over_a_run_of_iterations(tmp_path):
    """mmcv 2320: converted without an end, it was over after one epoch of the data."""
    schedule = dict(type='CosineAnnealingLR', convert_to_iter_based=True, eta_min=0.0)
    MultiPhaseRunner(run_config(tmp_path, iters=9, interval=9, param_scheduler=[schedule])).train()
    rates = load_checkpoint_file(tmp_path / 'iter_9.pth')['message_hub']['log_scalars']['train/lr']['log'].tolist()
    assert len(set(rates)) == 9 and rates == sorted(rates, reverse=True)  # three epochs of three iterations


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(param_scheduler=[dict(type='CosineAnnealingLR', by_epoch=False, convert_to_iter_based=True)]),
     r'param_scheduler\[0\]: convert_to_iter_based=True turns epochs .* by_epoch=False'),
    (dict(train_cfg=dict(max_iters='4')), "train_cfg.max_iters must be a whole number of at least 1.*, but got '4'"),
    (dict(train_cfg=dict(max_iters=float('inf'))), 'train_cfg.max_iters must be a whole number .* but got inf'),
    (dict(train_cfg=dict(max_iters=True)), 'train_cfg.max_iters must be a whole number of at least 1.*, but got True'),
    (dict(custom_hooks=[dict(type='EMAHook', momemtum=0.1)]), r"custom_hooks\[0\]: .* 'momemtum'"),
    (dict(custom_hooks=[dict(type='EMAHook', momentum=2)]), r'custom_hooks\[0\]: momentum must be in range'),
    (dict(custom_hooks=[dict(type='EMAHook', ema_type='StochasticWeightAverage', gamma=9)]), "unexpected .* 'gamma'"),
    (dict(custom_hooks=[dict(type='EMAHook', priority='HIGHEST!')]), r"\.priority must be .* but got 'HIGHEST!'"),
    (dict(train_dataloader=dict(sampler=dict(type='CounterSampler'), shuffle=True, dataset=scenes())),
     r'train_dataloader.shuffle=True contradicts its sampler'),
    (dict(train_dataloader=dict(batch_size=0, dataset=scenes())), 'batch_size must be a whole number of at least 1'),
    (dict(train_dataloader=dict(batch_size='2', dataset=scenes())), "batch_size must be .* but got '2'"),
    (dict(train_dataloader=dict(num_workers=-1, dataset=scenes())), 'num_workers must be a whole number of at least 0'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=-1.0))), 'optimizer: Invalid learning rate: -1.0'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam', betas=0.9))), 'optim_wrapper.optimizer: '),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam', betas=dict(a=1)))), r'optimizer\.betas must be .* got a dict'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam', betas=[]))), r'betas must be a list of two numbers, but got'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam', betas=''))), r'betas must be a list of two numbers, but got'),
    (dict(env_cfg=dict(mp_cfg=[dict(mp_start_method='fork')])), r'env_cfg\.mp_cfg must be a dict, but got'),
    (dict(visualizer=dict(type='Visualizer', vis_backends=3)), r'vis_backends must be a list of dicts'),
    (dict(env_cfg=dict(dist_cfg=b'nccl')), r'env_cfg\.dist_cfg must be a dict, but got'),
    (dict(optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.0, weight_decay=-1))), 'Invalid weight_decay value: -1'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'), accumulative_counts=0)), 'optim_wrapper: _accumulative'),
    (dict(optim_wrapper=dict(type='AmpOptimWrapper', dtype='float16')), 'AmpOptimWrapper has no optimizer'),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'), paramwise_cfg=dict(bias_lr_mul=2.0))),
     "paramwise_cfg has no 'bias_lr_mul'; did you mean 'bias_lr_mult'"),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'),
                             paramwise_cfg=dict(custom_keys=dict(encoder=dict(lr_mul=2))))),
     r"custom_keys\['encoder'\] has no 'lr_mul'; did you mean 'lr_mult'"),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'), paramwise_cfg=dict(custom_keys=dict(encoder=2)))),
     r"custom_keys\['encoder'\] must be a dict such as dict\(lr_mult=0.1\), but got 2"),
    (dict(auto_scale_lr=dict(enable=True)), 'auto_scale_lr.enable=True needs base_batch_size'),
    (dict(randomness=dict(seed='abc')), "randomness.seed must be a whole number from 0 .* but got 'abc'"),
    (dict(env_cfg=dict(mp_cfg=dict(mp_start_method='span'))), "mp_start_method must be one of .* but got 'span'"),
    (dict(default_scope='mmagic'), "default_scope='mmagic' is the name of no project that is imported"),
    (dict(randomness=dict(seed=-5)), 'randomness.seed must be a whole number .* but got -5'),
    (dict(lr_config=dict(policy='step')), "nothing reads the key 'lr_config' of MMCV 1.x; say param_scheduler"),
    (dict(optimizer=dict(type='SGD', lr=0.1)), "key 'optimizer', and the optimizer is Adam; did you mean"),
    (dict(phases=dict(a=dict(max_iters=4))), "phase 'a': nothing reads the key 'max_iters'; .*train_cfg.max_iters"),
    (dict(phases=dict(a=dict(modle={}))), "phase 'a': nothing reads the key 'modle'; did you mean 'model'"),
    (dict(phases=dict(a=dict(work_dir='b'))), "phase 'a': work_dir has no effect in a phase"),
    *((dict(phases={name: {}}), f'the name of a phase becomes .* but got {name!r}'.replace('\\', '\\\\'))
      for name in (1, '', '.', '..', 'a/b', '../b', 'best', 'previous', ' a'))])
def test_mistakes_that_were_tracebacks_or_riddles(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        MultiPhaseRunner(run_config(tmp_path / 'run', **changes))


def test_the_priority_of_a_hook_is_no_argument_of_its_average(tmp_path):
    hooks = [dict(type='EMAHook', priority=49), dict(type='EMAHook', momentum=0.1, priority='VERY_HIGH')]
    assert MultiPhaseRunner(run_config(tmp_path / 'run', custom_hooks=hooks)).configs['train'].custom_hooks == hooks


def test_none_for_the_validation_data_is_enough(tmp_path):
    runner = MultiPhaseRunner(run_config(tmp_path / 'run', val_dataloader=None))
    assert runner.configs['train'].val_cfg is runner.configs['train'].val_evaluator is None


@pytest.mark.parametrize(('option', 'meant'), [('max_iters', 'train_cfg.max_iters'), ('seed', 'randomness.seed'),
                                               ('lr_config', 'param_scheduler')])
def test_an_option_that_sets_a_variable_comes_too_late(option, meant):
    with pytest.raises(ConfigError, match=f"nothing reads the option '{option}'; did you mean {meant}"):
        prepared_run('cid/cid_quickstart', options={option: 4})


def test_a_variable_of_a_config_is_no_mistake(tmp_path):
    optimizer = dict(type='Adam', lr=1e-3)
    runner = MultiPhaseRunner(run_config(tmp_path / 'run', max_iters=40, batch_size=7, lr=1e-3, optimizer=optimizer,
                                         resume_from=None))
    assert runner.configs['train'].train_cfg.max_iters == 4


@pytest.mark.parametrize(('hooks', 'message'), [
    (dict(default_hooks=dict(logger=dict(type='LoggerHook', interval=0))), 'the hook LoggerHook: interval must be'),
    (dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor='PSNR', patience=0)]), 'patience .* but got 0')])
def test_impossible_arguments_of_hooks_are_sentences(tmp_path, hooks, message):
    with pytest.raises(UserError, match=message):
        MultiPhaseRunner(run_config(tmp_path / 'run', **hooks)).train()
    assert not (tmp_path / 'run').exists()


def test_which_keys_are_better_can_be_said_as_in_mmengine(tmp_path):
    checkpoint = dict(type='SafeCheckpointHook', save_best=['PSNR'], less_keys=['PSNR'])
    MultiPhaseRunner(run_config(tmp_path, iters=2, default_hooks=dict(checkpoint=checkpoint))).train()
    assert (tmp_path / 'best_source_PSNR@rgb_iter_2.pth').is_file()


@pytest.mark.parametrize('name', ['./net/mine.py', 'net/mine', '.net.mine', 'net.mine.py'])
def test_a_path_in_custom_imports_is_told_from_a_module(name):
    with pytest.raises(ConfigError, match=r"takes the names of modules, with dots .*: imports=\['net.mine'\]"):
        import_modules(dict(imports=[name]), 'a.py')


def test_find_unused_parameters_reaches_the_wrapper(monkeypatch):
    """It was dropped, since MMEngine reads it only where no wrapper is given."""
    seen = []
    monkeypatch.setattr(Runner, 'wrap_model', lambda self, cfg, model: seen.append(cfg))
    for options in (dict(find_unused_parameters=True), {}):
        runner = object.__new__(RestoreRunner)
        runner._distributed, runner.cfg = True, options
        runner.wrap_model(dict(static_graph=True), torch.nn.Linear(1, 1))
    assert seen[0]['find_unused_parameters'] is True and seen[0]['static_graph'] is True
    assert 'find_unused_parameters' not in seen[1] and seen[1]['type'] == 'MMDistributedDataParallel'


@pytest.mark.parametrize('name', ['bom.py', 'bom.json', 'bom.yaml'])
def test_a_config_of_a_windows_editor_is_read(tmp_path, name):
    """With a byte order mark and its line ends."""
    (tmp_path / 'base.py').write_bytes(b'\xef\xbb\xbftrain_cfg = dict(max_iters=4)\r\nvalue = 1\r\n')
    content = dict(py="_base_ = 'base.py'\nvalue = 2\n", json='{"_base_": "./base.py", "value": 2}',
                   yaml='_base_: ./base.py\nvalue: 2\n')[name.partition('.')[2]]
    (tmp_path / name).write_bytes(b'\xef\xbb\xbf' + content.replace('\n', '\r\n').encode())
    cfg = load_config(tmp_path / name)
    assert (cfg.value, cfg.train_cfg) == (2, dict(max_iters=4))


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    RestoreConfig(config('~/run', load_from='~/a.pth', data_root='~/data')).dump(str(tmp_path / 'tiny.py'))
    cfg = load_config(tmp_path / 'tiny.py')
    assert (cfg.work_dir, cfg.load_from, cfg.data_root) == tuple(f'{tmp_path}/{name}' for name in
                                                                 ('run', 'a.pth', 'data'))
    assert load_config(tmp_path / 'tiny.py', data_root='~/other').data_root == f'{tmp_path}/other'
    (tmp_path / 'b.pth').write_bytes(b'')
    runner = prepared_run(tmp_path / 'tiny.py', work_dir='~/here', load_from='~/b.pth')
    assert (runner.work_dir, runner.cfg.load_from) == (tmp_path / 'here', f'{tmp_path}/b.pth')


@pytest.mark.parametrize(('metrics', 'keys'), [
    ([dict(type='PSNR'), dict(type='SSIM'), dict(type='PSNR')], ['PSNR@rgb', 'SSIM@rgb']),
    ([dict(type='PSNR'), dict(type='PSNR', prefix='mine')], ['PSNR@rgb', 'PSNR@rgb'])])
def test_a_metric_that_is_named_twice_counts_once(tmp_path, metrics, keys):
    """It was a traceback of MMEngine at the first validation."""
    runner = MultiPhaseRunner(run_config(tmp_path, iters=2, val_evaluator=metrics))
    runner.train()
    found = list(json.loads((tmp_path / 'run_state.json').read_text())['phases']['train']['metrics'])
    assert [key.rpartition('/')[2] for key in found if 'input_' not in key] == keys


def test_metrics_that_differ_under_one_key_are_refused_before_training(tmp_path):
    metrics = [dict(type='NIQE'), dict(type='NIQE', parameters=str(tmp_path / 'restorekit.npz'))]
    source = Path(restorekit.evaluation.metrics.natural.__file__).with_name('niqe.npz')
    with np.load(source) as arrays:
        np.savez(tmp_path / 'restorekit.npz', **{**arrays, 'mean': arrays['mean'] + 1})
    with pytest.raises(ConfigError, match='two metrics of one label'):
        MultiPhaseRunner(run_config(tmp_path / 'run', iters=2, val_evaluator=metrics)).train()
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(('transform', 'message'), [
    *((dict(type='RandomCrop', size=size), 'size must be one or two numbers of pixels')
      for size in (32.5, '32', (32, 32, 3), [32], (8.0, 8), True, None)),
    (dict(type='RandomFlip', prob='0.5'), r'prob must be in \[0, 1\]'),
    (dict(type='RandomResize', scale=0.5), r'scale must be \(low, high\)'),
    (dict(type='RandomResize', min_size='8'), 'min_size must be a number of pixels'),
    (dict(type='RandomResizedCrop', size=8, scale=('a', 'b')), r'scale must be \(low, high\)'),
    (dict(type='LimitSize', max_size=0), 'max_size must be a number of pixels'),
    (dict(type='RandomColour', exposure=1.1), r'exposure must be \(low, high\)'),
    (dict(type='RandomColour', gain='a'), r'gain must be in \[0, 1\)')])
def test_impossible_arguments_of_transforms_are_sentences(transform, message):
    with pytest.raises(InputError, match=message):
        TRANSFORMS.build(transform)
