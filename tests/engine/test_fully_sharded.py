"""Fully sharded training: refused without CUDA; its mechanics, in two processes on the CPU, are those of DDP."""

import copy
import os
import shutil
import socket

import pytest
import torch
import torch._dynamo  # noqa: F401 (what every optimizer imports; children then need not)
from machine import forks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import config, fork, scenes
from torch import nn

from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError, load_config
from restorekit.engine import FullyShardedModel, MultiPhaseRunner, RestoreRunner, fully_sharded
from restorekit.engine.hooks.guards import check_gradients
from restorekit.messages import InputError, UnavailableError
from restorekit.models import RestorationNetwork
from restorekit.models.restorers import NonFiniteGradientError
from restorekit.registry import MODELS

SHARDED = dict(type='FullyShardedModel')
two_processes = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason='this torch is built without torch.distributed'),
    forks]


def processes(test):
    for mark in two_processes:
        test = mark(test)
    return test


def make(folder, model=None, launcher='pytorch', **overrides):
    cfg = config(folder, iters=3, interval=1, launcher=launcher)
    cfg['model'].update({'type': 'Restorer', **(model or {})})
    cfg['custom_hooks'] = []
    cfg['default_hooks']['checkpoint'].update(max_keep_ckpts=-1, save_best='PSNR')
    cfg['optim_wrapper'] = dict(optimizer=dict(type='SGD', lr=1.0, momentum=0.9), clip_grad=dict(max_norm=0.5))
    cfg.update(copy.deepcopy(overrides))
    return Config(cfg, format_python_code=False)


def several_habits(**overrides):
    """Frozen modules, mixed precision, accumulation and recomputation, in two phases with one optimizer."""
    wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16', optimizer=dict(type='SGD', lr=0.1, momentum=0.9),
                   accumulative_counts=2)
    hook = dict(type='SafeCheckpointHook', interval=2, max_keep_ckpts=-1)
    return dict(train_cfg=dict(type='ResumableIterLoop', max_iters=4, val_interval=4), optim_wrapper=wrapper,
                default_hooks=dict(checkpoint=hook),
                phases=dict(first={}, second=dict(continue_training=True)),
                frozen=['network.encoder.conv1', 'network.encoder.layer3'],
                activation_checkpointing=['network.encoder.layer1', 'network.encoder.layer2.0'], **overrides)


def join(rank, port):
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1',
                      MASTER_PORT=str(port))
    fully_sharded.DEVICES = ('cpu',)


def train(rank, port, jobs):
    join(rank, port)
    for folder, resume, options in jobs:
        with DefaultScope.overwrite_default_scope('restorekit'):
            model = MultiPhaseRunner(make(folder, **options), resume=resume).train()
        if 'model_wrapper_cfg' in options:
            model.train()
            whole = sum(p.numel() for p in model.parameters())
            held = sum(p.to_local().numel() for p in model.parameters())
            assert len(model.blocks) == 5 and 0.4 < held / whole < 0.6, held / whole
    torch.distributed.destroy_process_group()


def port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def run(*jobs):
    """Train each (folder, resume, options) in turn, in two processes."""
    MultiPhaseRunner(make('unused'))  # imports what is named in the config
    assert fork(train, port(), jobs, ranks=2) == [0, 0]


def cut(folder, copied):
    """Copy a run as a kill right after the checkpoint of iteration 2 would have left it."""
    shutil.copytree(folder, copied)
    (copied / 'iter_3.pth').unlink()
    (copied / 'last_checkpoint').write_text('iter_2.pth')
    (copied / 'run_state.json').unlink()


def read(folder, file='iter_3.pth'):
    return load_checkpoint_file(folder / file)


def flat(value, name=''):
    """Names, and numbers or tensors, of nested values."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    return {key: item for inner, part in value.items() for key, item in flat(part, f'{name}.{inner}').items()}


def gap(a, b):
    """The largest difference of the weights, optimizers and schedules of two checkpoints, alike in all else."""
    assert {*a} == {*b}
    parts = [part for part in ('state_dict', 'optimizer', 'param_schedulers') if part in a]  # a best one has no second
    a, b = ({part: content[part] for part in parts} for content in (a, b))
    a, b = flat(a), flat(b)
    assert [*a] == [*b]
    largest = 0.0
    for key, value in a.items():
        assert type(value) is type(b[key]), key
        if isinstance(value, torch.Tensor):
            assert (value.shape, value.dtype) == (b[key].shape, b[key].dtype), key
            largest = max(largest, *(value.double() - b[key].double()).abs().flatten().tolist(), 0.0)
        elif isinstance(value, float):
            largest = max(largest, abs(value - b[key]))
        else:
            assert value == b[key], key
    return largest


@processes
def test_weights_and_checkpoints_are_those_of_ddp_and_a_cut_run_ends_with_the_same_bits(tmp_path):
    plain, whole = tmp_path / 'plain', tmp_path / 'whole'
    sharded = dict(model_wrapper_cfg=SHARDED)
    run((plain, False, {}), (whole, False, sharded))
    start = read(plain, 'iter_1.pth')['state_dict']['network.encoder.conv1.0.weight']
    assert (start - read(plain)['state_dict']['network.encoder.conv1.0.weight']).abs().max() > 1e-4  # it learns
    for step in (1, 2, 3):
        assert gap(read(plain, f'iter_{step}.pth'), read(whole, f'iter_{step}.pth')) < 1e-6
    best, = (path.name for path in plain.glob('best_*'))  # saved while the weights are gathered
    assert gap(read(plain, best), read(whole, best)) < 1e-6
    cut(whole, tmp_path / 'cut')
    cut(plain, tmp_path / 'other')
    run((tmp_path / 'cut', True, sharded), (tmp_path / 'other', True, sharded))
    assert gap(read(whole), read(tmp_path / 'cut')) == 0.0
    assert gap(read(whole), read(tmp_path / 'other')) < 1e-6  # of a checkpoint that was not sharded
    cut(whole, tmp_path / 'one')
    options = dict(launcher='none', model_wrapper_cfg=SHARDED)
    with pytest.raises(UnavailableError, match=r'needs CUDA GPUs.*Drop model_wrapper_cfg'):
        MultiPhaseRunner(make(tmp_path / 'one', **options), resume=True).train()
    MultiPhaseRunner(make(tmp_path / 'one', launcher='none'), resume=True).train()
    assert 0 < gap(read(whole), read(tmp_path / 'one')) < 0.5  # resumed, with half of the batch


@processes
def test_phases_mixed_precision_accumulation_and_recomputation_are_those_of_ddp(tmp_path):
    plain, sharded = tmp_path / 'plain', tmp_path / 'sharded'
    run((plain, False, several_habits()), (sharded, False, several_habits(model_wrapper_cfg=SHARDED)))
    files = sorted(path.relative_to(plain) for path in plain.rglob('iter_*.pth'))
    assert len(files) == 4
    for file in files:
        assert gap(read(plain, file), read(sharded, file)) < 1e-4, file  # bfloat16 rounds


@MODELS.register_module()
class OneScale(RestorationNetwork):
    """A network with a parameter that has no dimension."""

    def __init__(self, shape=()):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape))

    def forward(self, x):
        return x * self.scale


def shards_and_guards(rank, port):
    join(rank, port)
    torch.distributed.init_process_group('gloo')
    model = FullyShardedModel(MODELS.build(dict(type='Restorer', network=dict(type='OneScale', shape=(3, 1, 1)))))
    with torch.no_grad():
        model.module.network.scale += rank
    model.shard()
    own = model.module.network.scale
    assert own.to_local().shape[0] == (2, 1)[rank] and fully_sharded.whole(own).flatten().tolist() == [1.0] * 3
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.full((1, 3, 2, 2), float('nan') if rank else 1.0)).sum().backward()
    with pytest.raises(NonFiniteGradientError, match=r'1 of 1 trained parameters is NaN \(network.scale\)'):
        check_gradients(optimizer, {own: 'network.scale'})
    model.eval()
    assert type(model.module.network.scale) is nn.Parameter and not fully_sharded.is_sharded(model.module.network.scale)
    for _ in range(rank):  # more images here than there
        model(torch.ones(1, 3, 2, 2))
    model.train()
    assert model.module.network.scale is own
    with pytest.raises(InputError, match=r'without a dimension, but got network.scale; give it the shape \(1,\)'):
        FullyShardedModel(MODELS.build(dict(type='Restorer', network=dict(type='OneScale')))).shard()
    torch.distributed.destroy_process_group()


@processes
def test_each_process_holds_a_part_and_both_see_a_gradient_that_is_not_finite(tmp_path):
    assert fork(shards_and_guards, port(), ranks=2) == [0, 0]


def test_it_is_refused_without_cuda_and_without_a_launcher(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = load_config('habits/fully_sharded')
    cfg.work_dir = str(tmp_path / 'run')
    with pytest.raises(UnavailableError, match=r'FullyShardedModel \(FSDP2\) needs CUDA GPUs, and torch finds none '
                                               'here. Drop model_wrapper_cfg: on a CPU'):
        MultiPhaseRunner(cfg).train()
    with pytest.raises(UnavailableError, match='needs CUDA GPUs'):
        RestoreRunner.from_cfg(make(tmp_path / 'run', launcher='none', model_wrapper_cfg=SHARDED)).train()
    monkeypatch.setattr(fully_sharded, 'DEVICES', ('cpu',))
    with pytest.raises(UnavailableError, match='this run has none: start with `tools/dist_train.sh'):
        MultiPhaseRunner(cfg).train()
    monkeypatch.delattr(torch.distributed.fsdp.FSDPModule, 'set_reshard_after_forward', raising=False)
    cfg.launcher = 'pytorch'
    with pytest.raises(UnavailableError, match='needs torch 2.8 or newer, but got'):
        MultiPhaseRunner(cfg).train()
    assert not (tmp_path / 'run/first').exists()


@pytest.mark.parametrize(('options', 'message'), [
    (dict(custom_hooks=[dict(type='EMAHook')]), 'no whole weights to average; drop EMAHook'),
    (dict(train_dataloader=dict(batch_size=2, dataset=dict(
        type='CachedFeatures', dataset=scenes(), network=None, cache='c'))), 'whole encoder to compare'),
    (dict(compile=True), 'together with compile; drop one of the two'),
    (dict(model=dict(type='CIDRestorer')), r'but got CIDRestorer; drop model_wrapper_cfg'),
    (dict(optim_wrapper=dict(optimizer=dict(type='AdamWScheduleFree'))), 'the average of AdamWScheduleFree; use AdamW'),
    (dict(model_wrapper_cfg=dict(SHARDED, blocks=['network.encoder.layer9'])),
     "no module 'network.encoder.layer9'; did you mean 'network.encoder.layer"),
    (dict(model_wrapper_cfg=dict(SHARDED, block=[])), "takes no 'block'; did you mean 'blocks'")])
def test_what_cannot_be_sharded_is_refused_before_anything_runs(options, message, tmp_path):
    if 'optim_wrapper' in options:
        pytest.importorskip('schedulefree')
    with pytest.raises(ConfigError, match=message):
        MultiPhaseRunner(make(tmp_path, **{'model_wrapper_cfg': SHARDED, **options}))


def test_blocks_are_the_outermost_items_made_of_modules():
    model = MODELS.build(make('unused').model)
    assert FullyShardedModel(model).blocks == [
        *(f'network.encoder.layer{i}.0' for i in (1, 2, 3)), 'network.decoder.blocks.0', 'network.decoder.blocks.1']
    assert FullyShardedModel(model, blocks=['network.encoder']).blocks == ['network.encoder']
