"""Training habits: each config of configs/habits acts, under phases; a cut run ends with the bits of a whole one."""

import copy
import json
import shutil

import pytest
import torch
from mmengine.hooks import EMAHook
from torch import nn

from restorekit.checkpoint import load_checkpoint_file
from restorekit.config import ConfigError, configs_root, load_config
from restorekit.engine import LayerDecayOptimWrapperConstructor, MultiPhaseRunner, ScheduleFreeHook
from restorekit.engine.layer_decay import encoder_layers
from restorekit.engine.loops import ResumableIterLoop
from restorekit.messages import InputError
from restorekit.registry import MODELS

TINY = {
    'train_cfg.max_iters': 4, 'train_cfg.val_interval': 2, 'log_level': 'ERROR', 'default_hooks.checkpoint.interval': 1,
    'default_hooks.checkpoint.max_keep_ckpts': -1, 'train_dataloader.num_workers': 0, 'custom_hooks': [],
    'train_dataloader.persistent_workers': False, 'train_dataloader.batch_size': 2,
    'train_dataloader.dataset.source': dict(length=6, height=40, width=40),
    'train_dataloader.dataset.source.pipeline.crop.size': 32,
    'val_dataloader.dataset.datasets.source': dict(length=2, height=32, width=32),
    'val_dataloader.dataset.datasets.target': None,
    'model.network.encoder': dict(base_channels=8), 'model.network.decoder': dict(channels=8, head_channels=4),
    'visualizer.vis_backends': [dict(type='LocalVisBackend')]}
NAMES = sorted(path.stem for path in (configs_root() / 'habits').glob('*.py'))
RESUMED = sorted({*NAMES} - {'base', 'compile', 'fully_sharded'})  # the last in test_fully_sharded
PACKAGES = dict(schedule_free='schedulefree')


def config(name, folder, **options):
    """The config of a habit, of a size that trains in a second; its own hooks, sizes and batches stay its own."""
    tiny = copy.deepcopy(TINY)
    if 'model.network' in options:
        tiny = {key: value for key, value in tiny.items() if not key.startswith('model.network')}
    if name == 'progressive':
        for phase, size in (('first', 16), ('second', 24), ('third', 32)):
            tiny[f'phases.{phase}.train_dataloader.dataset.source.pipeline.crop.size'] = size
        del tiny['train_dataloader.batch_size'], tiny['train_dataloader.dataset.source.pipeline.crop.size']
    if name in ('ema', 'early_stopping'):
        del tiny['custom_hooks']
    if name == 'warmup_cosine':
        tiny['param_scheduler'] = [dict(type='LinearLR', start_factor=0.01, end=2),
                                   dict(type='CosineAnnealingLR', begin=2, eta_min_ratio=0.01)]
    cfg = load_config(f'habits/{name}', options={**tiny, **options})
    cfg.work_dir = str(folder)
    return cfg


def train(name, folder, resume=False, **options):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name])
    torch.manual_seed(0)
    runner = MultiPhaseRunner(config(name, folder, **options), resume=resume)
    runner.train()
    return runner


def read(folder, phase='second', step=4):
    return load_checkpoint_file(folder / phase / f'iter_{step}.pth')


def same(a, b):
    """Whether two nested values are equal to the bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def killed(folder, copy):
    """Copy a run as a kill in its second phase, after the checkpoint of iteration 3, would have left it."""
    shutil.copytree(folder, copy)
    for path in copy.glob('second/*iter_4.pth'):
        path.unlink()
    if (copy / 'third').is_dir():
        shutil.rmtree(copy / 'third')
    (copy / 'second/last_checkpoint').write_text('iter_3.pth')
    state = json.loads((copy / 'run_state.json').read_text())
    state['phases'] = {'first': state['phases']['first']}
    (copy / 'run_state.json').write_text(json.dumps(state))


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp('plain')
    train('base', folder)
    return folder


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Runs that nothing cut, by habit, each trained once."""
    runs = {}

    def get(name):
        if name not in runs:
            runs[name] = tmp_path_factory.mktemp(name)
            train(name, runs[name])
        return runs[name]
    return get


@pytest.mark.slow
@pytest.mark.parametrize('name', RESUMED)
def test_a_run_cut_in_its_second_phase_ends_with_the_same_bits(name, whole, tmp_path):
    folder, cut = whole(name), tmp_path / 'cut'
    killed(folder, cut)
    train(name, cut, resume=True)
    last = sorted(path.relative_to(folder) for path in folder.rglob('iter_*.pth'))
    assert last == sorted(path.relative_to(cut) for path in cut.rglob('iter_*.pth')) != []
    a, b = (load_checkpoint_file(path / last[-1]) for path in (folder, cut))
    parts = ('state_dict', 'optimizer', 'param_schedulers', 'ema_state_dict', 'training_state_dict')
    for part in parts:
        assert same(a.get(part), b.get(part)), part
    assert {part for part in parts if part in a} >= {'state_dict', 'optimizer'}


def weights(model):
    return {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}


@pytest.mark.slow
def test_ema_weights_are_validated_and_handed_over(whole, monkeypatch, tmp_path):
    folder, seen = whole('ema'), {}

    class Look(EMAHook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 0:
                seen[runner.work_dir.rpartition('/')[2]] = weights(runner.model)

        def before_val_epoch(self, runner):
            super().before_val_epoch(runner)
            seen['validated'] = weights(runner.model)
    monkeypatch.setattr('mmengine.hooks.ema_hook.EMAHook.before_train_iter', Look.before_train_iter)
    train('ema', tmp_path)
    first, last = read(tmp_path, 'first'), read(tmp_path)
    key = 'network.encoder.conv1.0.weight'
    assert torch.equal(seen['second'][key], first['state_dict'][key])
    assert not torch.equal(seen['second'][key], first['ema_state_dict'][f'module.{key}'])  # those trained
    assert same(last['state_dict'], read(folder)['state_dict'])


@pytest.mark.slow
def test_the_best_is_that_of_each_metric_and_its_direction(whole):
    folder = whole('save_best')
    for phase in ('first', 'second'):
        names = sorted(path.name for path in (folder / phase).glob('best_*'))
        assert [name.rpartition('_iter_')[0] for name in names] == ['best_source_MAE@rgb', 'best_source_PSNR@rgb']
    best, = (folder / 'first').glob('best_source_PSNR*')
    runner = MultiPhaseRunner(config('save_best', folder), resume=True)
    assert runner._initial_weights('second', 'best', None) == str(best)
    hub = read(folder)['message_hub']['runtime_info']
    assert hub['best_score_source/MAE@rgb'] < 1 < hub['best_score_source/PSNR@rgb']


@pytest.mark.slow
def test_early_stopping_ends_a_phase_and_the_next_one_begins(tmp_path):
    hook = dict(type='EarlyStoppingHook', monitor='source/PSNR@rgb', patience=1, min_delta=50.0)
    options = {'train_cfg.max_iters': 20, 'train_cfg.val_interval': 1, 'custom_hooks': [hook]}
    state = train('early_stopping', tmp_path, **options).state['phases']
    assert [record['iterations'] for record in state.values()] == [2, 2]


@pytest.mark.slow
def test_warm_up_and_cosine(whole, plain):
    steps = [read(whole('warmup_cosine'), 'first', step) for step in (1, 2, 3)]
    rates = [step['optimizer']['param_groups'][0]['lr'] for step in steps]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 * (0.01 + 0.99 / 2)], abs=1e-9)  # for the iteration that follows
    key = 'network.decoder.head.3.bias'
    gap = steps[0]['state_dict'][key] - read(plain, 'first', 1)['state_dict'][key]
    assert gap.abs().median().item() == pytest.approx(0.99e-3, rel=1e-2)  # Adam's first step is its learning rate


def test_layers_learn_slower_towards_the_input(whole):
    groups = read(whole('layer_decay'))['optimizer']['param_groups']
    cfg = config('layer_decay', 'none')
    model = MODELS.build(cfg.model)
    wrapper = LayerDecayOptimWrapperConstructor(dict(optimizer=cfg.optim_wrapper.optimizer),
                                                cfg.optim_wrapper.paramwise_cfg)(model)
    rates = {id(group['params'][0]): group['lr'] for group in wrapper.optimizer.param_groups}
    names = {name: rates[id(p)] / 1e-3 for name, p in model.network.named_parameters()}
    assert names['encoder.conv1.0.weight'] == names['encoder.bn1.bias'] == pytest.approx(0.8 ** 4)
    assert [names[f'encoder.layer{i}.0.conv1.weight'] for i in (1, 2, 3)] == pytest.approx([0.8 ** 3, 0.64, 0.8])
    assert {rate for name, rate in names.items() if name.startswith('decoder')} == {1.0}
    assert len(groups) == len(names)


@pytest.mark.parametrize(('encoder', 'count'), [
    (dict(type='Res2Net', stage_blocks=[2, 3], base_channels=8, base_width=8, out_indices=[0, 1]), 1 + 5),
    (dict(type='EfficientNetLite', out_stages=(3, 5)), 1 + 11),
    (dict(type='PriorEncoder', features=dict(type='EfficientNetLite', out_stages=(3, 5))), 1 + 11),
    (dict(type='TimmEncoder', name='resnet18', out_indices=(1, 2, 3)), 1 + 6),
    (dict(type='TimmEncoder', name='convnext_atto', out_indices=(0, 1)), None)])
def test_layers_of_an_encoder_cover_it_in_order(encoder, count):
    if encoder['type'] == 'TimmEncoder':
        pytest.importorskip('timm')
    module = MODELS.build(encoder)
    layers = encoder_layers(module)
    assert [id(p) for layer in layers for p in layer] == [id(p) for p in module.parameters()]
    assert len(layers) == count if count is not None else len(layers) >= 5


def test_layer_decay_refuses_what_it_cannot_do():
    model = MODELS.build(config('layer_decay', 'none').model)
    for change, message in [(dict(layer_decay=1.5), r'must be in \(0, 1\], but got 1.5'), ({}, 'but got None'),
                            (dict(layer_decay=0.5, layers_of='network.encodr'), "did you mean 'network.encoder'")]:
        with pytest.raises(InputError, match=message):
            LayerDecayOptimWrapperConstructor(dict(optimizer=dict(type='Adam', lr=1e-3)), change)(model)


@pytest.mark.slow
def test_modules_learn_at_their_own_rate(whole):
    groups = read(whole('module_lr'), 'first', 1)['optimizer']['param_groups']
    assert {round(group['initial_lr'], 8) for group in groups} == {1e-4, 1e-3}
    assert {group['weight_decay'] for group in groups} == {0.01, 0.0}


@pytest.mark.slow
def test_batches_add_up_to_one_step(whole):
    folder = whole('accumulation')
    steps = [read(folder, step=step) for step in (1, 3, 4)]
    assert [len(content['optimizer']['state']) > 0 for content in steps] == [False, False, True]
    assert int(steps[-1]['optimizer']['state'][0]['step']) == 1
    assert ['gradients' in content for content in steps] == [True, True, False]


@pytest.mark.slow
def test_mixed_precision_changes_numbers_only_a_little(whole, plain):
    a, b = (read(folder)['state_dict']['network.encoder.conv1.0.weight'] for folder in (whole('amp'), plain))
    assert a.dtype == torch.float32 and not torch.equal(a, b) and (a - b).abs().max() < 2e-2


@pytest.mark.slow
def test_checkpointed_modules_compute_again_and_the_same(whole, plain, monkeypatch, tmp_path):
    assert same(read(whole('gradient_checkpointing'))['state_dict'], read(plain)['state_dict'])
    calls = []
    real = nn.Sequential.forward
    monkeypatch.setattr(nn.Sequential, 'forward', lambda self, x: calls.append(self) or real(self, x))
    names = ['network.encoder.layer2']
    options = {'train_cfg.max_iters': 1, 'train_cfg.val_interval': 9, 'activation_checkpointing': names}
    train('gradient_checkpointing', tmp_path, val_dataloader=None, **options)
    layer = [module for module in dict.fromkeys(calls) if len(module) == 1]
    assert sorted({calls.count(module) for module in layer}) == [1, 2]
    with pytest.raises(ConfigError, match=r"no module 'network.encoder.layer9'; did you mean 'network.encoder.layer"):
        train('gradient_checkpointing', tmp_path / 'no', activation_checkpointing=['network.encoder.layer9'])


@pytest.mark.slow
def test_patches_grow_under_one_optimizer(whole, monkeypatch, tmp_path):
    folder, seen = whole('progressive'), []
    real = ResumableIterLoop.run_iter
    monkeypatch.setattr(ResumableIterLoop, 'run_iter', lambda self, batch: (
        seen.append((len(batch['inputs']), batch['inputs'][0].shape[-1])), real(self, batch)))
    train('progressive', tmp_path, **{'train_cfg.max_iters': 1})
    assert seen == [(8, 16), (4, 24), (2, 32)]
    assert [int(read(folder, phase)['optimizer']['state'][0]['step']) for phase in ('first', 'second', 'third')] == \
        [4, 8, 12]


@pytest.mark.slow
def test_fine_tuning_takes_what_fits_and_reports_the_rest(plain, tmp_path):
    source = tmp_path / 'other.pth'
    state = {key.removeprefix('network.'): value for key, value in read(plain)['state_dict'].items()}
    state['decoder.extra'] = torch.zeros(3)
    key = 'encoder.layer1.0.conv1.weight'
    state[key] = torch.zeros(4, 8, 1, 1)
    missing = 'encoder.layer2.0.conv1.weight'
    del state[missing]
    torch.save(dict(params_ema=state), source)  # as another tool writes it
    cfg = config('fine_tune', tmp_path / 'run', load_from=str(source), log_level='INFO')
    runner = MultiPhaseRunner(cfg)
    runner.train()
    log, = (tmp_path / 'run/first').glob('*/*.log')
    text = log.read_text()
    own = len(read(tmp_path / 'run', 'first')['state_dict'])
    assert f'other.pth: {own - 2} of {own} tensors taken' in text
    assert f'of another shape: {key} ' in text and 'in the file (4, 8, 1, 1)' in text
    assert f'not in the file: {missing} (' in text and 'in the file only: decoder.extra (3,)' in text
    with pytest.raises(RuntimeError, match='another network(.|\n)*To take over what fits, set load_matching=True'):
        train('base', tmp_path / 'strict', load_from=str(source))
    torch.save(dict(other=torch.zeros(1)), source)
    with pytest.raises(RuntimeError, match='no tensor has the name and shape'):
        train('fine_tune', tmp_path / 'none', load_from=str(source))


@pytest.mark.slow
def test_schedule_free_weights_are_averaged_where_they_are_looked_at(whole, tmp_path, monkeypatch):
    schedulefree = pytest.importorskip('schedulefree')
    folder, seen = whole('schedule_free'), {}
    real = ScheduleFreeHook.before_val_epoch

    def look(self, runner):
        before = weights(self.model)
        real(self, runner)
        seen[runner.iter] = before, weights(self.model)
    monkeypatch.setattr(ScheduleFreeHook, 'before_val_epoch', look)
    train('schedule_free', tmp_path)
    content = read(tmp_path)
    trained, average = seen[4]
    key = 'network.encoder.conv1.0.weight'
    assert torch.equal(content['state_dict'][key], average[key]) and not torch.equal(trained[key], average[key])
    assert torch.equal(content['training_state_dict'][key], trained[key])
    assert same(content['state_dict'], read(folder)['state_dict'])
    p = nn.Parameter(trained[key].clone())  # the package's own way from the one to the other
    optimizer = schedulefree.AdamWScheduleFree([p], lr=5e-3)
    index = [name for name, _ in MODELS.build(config('schedule_free', 'no').model).named_parameters()].index(key)
    optimizer.state[p] = content['optimizer']['state'][index]
    optimizer.param_groups[0]['train_mode'] = True
    optimizer.eval()
    assert torch.equal(p.data, average[key])
    with pytest.raises(ConfigError, match='keeps an average of the weights itself; drop EMAHook'):
        train('schedule_free', tmp_path / 'both', custom_hooks=[dict(type='EMAHook')])


@pytest.mark.slow
def test_a_compiled_network_trains_as_a_plain_one(plain, tmp_path):
    if shutil.which('g++') is None and shutil.which('clang++') is None:
        pytest.skip('torch.compile needs a C++ compiler, and there is none')
    options = {'train_cfg.max_iters': 2, 'phases.second': None, 'val_dataloader': None,
               'model.network': dict(_delete_=True, type='AODNet', channels=4)}
    compiled, not_compiled = tmp_path / 'compiled', tmp_path / 'plain'
    train('compile', compiled, **options)
    train('base', not_compiled, **options)
    a, b = (read(folder, 'first', 2)['state_dict'] for folder in (compiled, not_compiled))
    assert a.keys() == b.keys()
    assert all(torch.allclose(a[key].float(), b[key].float(), atol=2e-3) for key in a)


def test_every_habit_is_tested():
    assert {'ema', 'save_best', 'early_stopping', 'warmup_cosine', 'layer_decay', 'module_lr', 'accumulation', 'amp',
            'gradient_checkpointing', 'compile', 'progressive', 'fine_tune', 'schedule_free', 'base',
            'fully_sharded'} == {*NAMES}
