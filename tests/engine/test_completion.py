"""What a config leaves unsaid, and what is refused before training."""

import copy

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from tiny import config

from restorekit.config import ConfigError
from restorekit.datasets import CounterSampler
from restorekit.engine import MultiPhaseRunner, check_config
from restorekit.engine.completion import complete_config
from restorekit.engine.config_check import check_custom_keys

ITERATIONS = dict(train_cfg=dict(type='ResumableIterLoop', max_iters=8))
EPOCHS = dict(train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=8))


def completed(base=ITERATIONS, **changes):
    cfg = copy.deepcopy(dict(base, **changes))
    complete_config(cfg, 'a.py')
    again = copy.deepcopy(cfg)
    complete_config(again, 'a.py')
    assert again == cfg
    return cfg


@pytest.mark.parametrize(('base', 'by_epoch'), [(ITERATIONS, False), (EPOCHS, True),
                                                (dict(train_cfg=dict(by_epoch=True, max_epochs=3)), True),
                                                (dict(train_cfg=dict(max_iters=8)), False)])
def test_everything_counts_what_the_loop_counts(base, by_epoch):
    cfg = completed(base, param_scheduler=[dict(type='MultiStepLR', milestones=[2]), dict(type='LinearLR', end=3)],
                    default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook'), logger=dict(type='LoggerHook')),
                    custom_hooks=[dict(type='ProfilerHook'), dict(type='EMAHook')])
    found = [*cfg['param_scheduler'], cfg['default_hooks']['checkpoint'], cfg['custom_hooks'][0], cfg['log_processor']]
    assert [node['by_epoch'] for node in found] == [by_epoch] * 5
    assert cfg['default_hooks']['logger']['log_metric_by_epoch'] is by_epoch
    assert 'by_epoch' not in cfg['custom_hooks'][1]
    assert cfg['train_cfg']['type'] == ('EpochBasedTrainLoop' if by_epoch else 'ResumableIterLoop')


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(param_scheduler=[dict(type='MultiStepLR', milestones=[2], by_epoch=True)]),
     r'a.py: param_scheduler\[0\].by_epoch=True: this run counts iterations'),
    (dict(param_scheduler=dict(generator=[dict(type='ConstantLR', by_epoch=True)])), r'param_scheduler.generator\[0\]'),
    (dict(default_hooks=dict(checkpoint=dict(type='SafeCheckpointHook', by_epoch=True))),
     'default_hooks.checkpoint.by_epoch=True'),
    (dict(custom_hooks=[dict(type='EMAHook', begin_epoch=2)]), r'custom_hooks\[0\].begin_epoch=2: .*say begin_iter'),
    (dict(log_processor=dict(by_epoch=True)), 'log_processor.by_epoch=True'),
    (dict(train_cfg=dict(type='ResumableIterLoop', max_iters=8, max_epochs=2)), 'iterations, but got max_epochs=2'),
    (dict(train_cfg=dict(type='EpochBasedTrainLoop', max_iters=8)), 'counts epochs, but got max_iters=8'),
    (dict(param_scheduler=dict(type='ReduceOnPlateauLR', by_epoch=False)), 'acts after each validation'),
    (dict(param_scheduler=[dict(type='LinearLR', end=10)]), r'LinearLR\(end=10\) does not end in a run of 8'),
    (dict(param_scheduler=[dict(type='CosineAnnealingLR', begin=10)]),
     'CosineAnnealingLR in a run of 8 iterations: end should be larger than begin'),
    (dict(param_scheduler=[dict(type='MultiStepLR')]), "MultiStepLR in a run of 8 iterations: .*'milestones'"),
    (dict(val_dataloader=dict(batch_size=1)), 'val_dataloader is given, but no val_evaluator')])
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        completed(**changes)


def test_converted_epochs_are_no_contradiction():
    scheduler = dict(type='MultiStepLR', milestones=[2], by_epoch=True, convert_to_iter_based=True)
    assert completed(param_scheduler=[scheduler])['param_scheduler'] == [scheduler]
    warm_up = dict(type='LinearLR', by_epoch=False, end=500)
    assert completed(EPOCHS, param_scheduler=[warm_up])['param_scheduler'] == [warm_up]  # of iterations, as usual


def test_a_run_without_validation_is_asked_for_by_none(tmp_path):
    cfg = config(tmp_path, iters=1, val_dataloader=None)
    MultiPhaseRunner(Config(cfg)).train()
    assert (tmp_path / 'iter_1.pth').is_file()


def test_none_drops_hooks_schedules_backends_and_validation():
    cfg = completed(custom_hooks=[None, dict(type='EMAHook')], param_scheduler=[None], val_dataloader=None,
                    val_cfg=dict(type='ValLoop'), val_evaluator=[dict(type='PSNR')],
                    visualizer=dict(type='Visualizer', vis_backends=[None, dict(type='LocalVisBackend')]))
    assert cfg['custom_hooks'] == [dict(type='EMAHook')] and cfg['param_scheduler'] == []
    assert cfg['val_cfg'] is cfg['val_evaluator'] is None
    assert cfg['visualizer']['vis_backends'] == [dict(type='LocalVisBackend')]


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(param_scheduler=[dict(type='MultiStepLR', milestone=[2])]), "MultiStepLR takes no 'milestone'; did you"),
    (dict(param_scheduler=[dict(type='CosineAnnealingLR', T_Max=8)]), "takes no 'T_Max'; did you mean 'T_max'"),
    (dict(log_processor=dict(window_siz=3)), "log_processor has no 'window_siz'; did you mean 'window_size'"),
    (dict(log_processor=dict(type='LogProcessor', window_siz=3)), "LogProcessor takes no 'window_siz'"),
    (dict(env_cfg=dict(cudnn_benchmrk=True)), "env_cfg has no 'cudnn_benchmrk'; did you mean 'cudnn_benchmark'"),
    (dict(env_cfg=dict(mp_cfg=dict(start_method='fork'))), "env_cfg.mp_cfg has no 'start_method'; did you"),
    (dict(visualizer=dict(type='Visualizer', vis_backend=[])), "Visualizer takes no 'vis_backend'; did you me"),
    (dict(visualizer=dict(vis_backend=[])), "visualizer has no 'vis_backend'"),
    (dict(model=dict(type=3)), "model.type must be a component's name, but got 3"),
    # what is offered is of the kind that stands there
    (dict(train_dataloader=dict(dataset=dict(type='L1Los'))), "'L1Los' is not in the dataset registry(?!.*L1Loss)"),
    (dict(train_dataloader=dict(dataset=dict(type='PairdDataset'))), "dataset registry; did you mean 'PairedDataset'"),
    (dict(model=dict(losses=dict(a=dict(type='L1Los')))), r"model registry \(losses\); did you mean 'L1Loss'"),
    (dict(model=dict(network=dict(type='L1Loss_'))), r'model registry \(networks\)(?!.*L1Loss[^_])'),
    (dict(model=dict(network=dict(encoder=dict(type='Res2Nett')))), r"\(encoders\); did you mean 'Res2Net'"),
    (dict(val_evaluator=[dict(type='PNSR')]), "metric registry; did you mean 'PSNR'"),
    (dict(custom_hooks=[dict(type='EMAHok')]), "hook registry; did you mean 'EMAHook'")])
def test_mistakes_are_refused_by_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        check_config(changes, 'a.py')


def test_custom_keys_that_match_nothing_are_refused():
    import torch
    model = torch.nn.ModuleDict(dict(network=torch.nn.ModuleDict(dict(encoder=torch.nn.Linear(1, 1)))))

    def check(**keys):
        check_custom_keys(dict(optim_wrapper=dict(paramwise_cfg=dict(custom_keys=keys))), model, 'a.py')
    check(encoder=dict(lr_mult=0.1))
    with pytest.raises(ConfigError, match="no parameter has 'encodr' in its name; did you mean 'network.encoder'"):
        check(encodr=dict(lr_mult=0.1))


@pytest.mark.parametrize(('split', 'given', 'sampler'), [
    ('train', dict(sampler=None), dict(type='CounterSampler', shuffle=True)),
    ('train', {}, dict(type='CounterSampler', shuffle=True)),
    ('train', dict(shuffle=False), dict(type='CounterSampler', shuffle=False)),
    ('val', dict(sampler=None, shuffle=None), dict(type='DefaultSampler', shuffle=False)),
    ('train', dict(sampler=dict(type='DefaultSampler')), dict(type='DefaultSampler'))])
def test_a_loader_without_a_sampler_gets_one(split, given, sampler):
    loader = f'{split}_dataloader'
    cfg = completed(**{loader: dict(given, batch_size=1)}, val_evaluator=[dict(type='PSNR')])
    assert cfg[loader] == dict(batch_size=1, sampler=sampler)


def test_a_run_whose_sampler_is_none_draws_at_random(tmp_path):
    cfg = config(tmp_path, iters=1, val_dataloader=None)
    cfg['train_dataloader']['sampler'], seen = None, []

    class Look(Hook):
        def before_train(self, runner):
            seen.append(runner.train_dataloader.sampler)
    runner = MultiPhaseRunner(Config(cfg))
    runner.hooks.append(Look())
    runner.train()
    assert isinstance(seen[0], CounterSampler) and seen[0].shuffle and seen[0].seed == 3


@pytest.mark.parametrize(('key', 'loop', 'words'), [
    ('val_cfg', 'TestLoop', 'is a loop for test_cfg; leave the type out, or give one derived from ValLoop'),
    ('val_cfg', 'EvaluationLoop', 'is a loop for test_cfg'), ('test_cfg', 'ValLoop', 'is a loop for val_cfg'),
    ('test_cfg', 'ResumableIterLoop', 'is a loop for train_cfg'), ('train_cfg', 'ValLoop', 'is a loop for val_cfg')])
def test_a_loop_of_another_kind_is_refused(tmp_path, key, loop, words):
    cfg = config(tmp_path)
    cfg[key] = dict(cfg.get(key) or {}, type=loop)
    with pytest.raises(ConfigError, match=f'a.py: {key}.type={loop} {words}'):
        check_config(Config(cfg), 'a.py')
