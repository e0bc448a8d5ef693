"""An argument that would have no effect beside another one is refused, with both named."""

import sys

import pytest
import torch
from tiny import config

from restorekit import registry
from restorekit.cli.main import main
from restorekit.degradations import Degradation, DepthEstimator, convert_depth
from restorekit.engine import MultiPhaseRunner
from restorekit.files.image_io import write_image
from restorekit.messages import InputError, UserError, refuse_unused
from restorekit.models.restorers import DistillationRestorer

NETWORK = dict(type='AODNet')
LOSSES = dict(pixel=dict(type='L1Loss'))


@pytest.mark.parametrize(('kind', 'cfg', 'both'), [
    ('DEGRADATIONS', dict(type='AtmosphericScattering', airlight_hue=0.5), ('airlight_hue', 'airlight_saturation')),
    ('DEGRADATIONS', dict(type='NonHomogeneousHaze', airlight_hue=(0.1, 0.2)), ('airlight_hue', 'airlight_saturation')),
    ('DEGRADATIONS', dict(type='CIDScattering', mode='faithful', kappa=0.2), ('kappa', 'mode')),
    ('MODELS', dict(type='FrequencyLoss', alpha=2), ('alpha', 'kind')),
    ('MODELS', dict(type='FrequencyLoss', kind='amplitude', alpha=0.5), ('alpha', 'kind')),
    ('MODELS', dict(type='RehazeLoss', kind='dark_channel', radius=3), ('radius', 'kind')),
    ('MODELS', dict(type='DecorrelationReweighter', reduction='projection'), ('reduction', 'dims')),
    ('MODELS', dict(type='PerceptualLoss', layers={}, pretrained=None), ('layers', 'weights')),
    ('MODELS', dict(type='ContrastiveLoss', layers={}, pretrained=None), ('layers', 'weights')),
    ('MODELS', dict(type='PriorEncoder', feature_scale=0.5), ('feature_scale', 'features')),
    ('MODELS', dict(type='Res2Net', pretrained='a.pth', init_cfg=dict(type='Kaiming', layer='Conv2d')),
     ('init_cfg', 'pretrained')),
    ('MODELS', dict(type='EfficientNetLite', pretrained='a.pth', init_cfg=dict(type='Pretrained', checkpoint='b.pth')),
     ('init_cfg', 'pretrained')),
    ('MODELS', dict(type='CIDRestorer', network=NETWORK, anchor=0.5), ('anchor', 'reweighter')),
    ('MODELS', dict(type='CIDRestorer', network=NETWORK, align='sources'), ('align', 'alignment')),
    ('MODELS', dict(type='DistillationRestorer', network=NETWORK, losses=LOSSES, teacher=dict(network=NETWORK)),
     ('teacher', 'loss')),
    ('METRICS', dict(type='PSNR', protocol=dict(name='mine', crop_place='centre')), ('crop_place', 'crop_multiple')),
    ('METRICS', dict(type='PSNR', protocol=dict(name='mine', round_luma=False)), ('round_luma', 'colour')),
    ('METRICS', dict(type='PSNR', protocol=dict(name='mine', colour='y-bt601', round_luma=False)),
     ('round_luma', 'quantize')),
    ('HOOKS', dict(type='SafeCheckpointHook', rule='greater'), ('rule', 'save_best')),
    ('HOOKS', dict(type='SafeCheckpointHook', greater_keys=['PSNR']), ('greater_keys', 'save_best')),
    ('HOOKS', dict(type='SafeCheckpointHook', save_best='PSNR', less_keys=['MAE']), ('less_keys', 'save_best')),
    ('HOOKS', dict(type='SafeCheckpointHook', save_best='PSNR', rule='less', greater_keys='PSNR'),
     ('greater_keys', 'rule')),
    ('HOOKS', dict(type='AdaptiveBatchNormHook', dataset=None, batches=3), ('batches', 'dataset')),
    ('DATASETS', dict(type='ConcatDataset', datasets=[dict(type='ProceduralScenes', seed=4)]),
     ('seed', 'ConcatDataset')),
    ('DATASETS', dict(type='DomainPairDataset', source=dict(type='ProceduralScenes', seed=4)),
     ('seed', 'DomainPairDataset')),
    ('DATASETS', dict(type='CachedFeatures', dataset=dict(type='ProceduralScenes'), network=None, cache='c',
                      weights='w.pth'), ('weights', 'network'))])
def test_an_unused_argument_is_refused(kind, cfg, both):
    with pytest.raises(InputError) as caught:
        getattr(registry, kind).build(cfg)
    assert all(name in str(caught.value) for name in both), caught.value


def test_rules_by_key_say_which_way_is_better():
    hook = registry.HOOKS.build(dict(type='SafeCheckpointHook', save_best=['mine', 'yours', 'PSNR'], less_keys='mine',
                                     greater_keys=['yours']))
    assert hook.wanted_rules == ['less', 'greater', None]


def test_a_hue_needs_a_saturation_which_may_be_drawn_down_to_zero():
    build, image, depth = registry.DEGRADATIONS.build, torch.rand(2, 3, 4, 4), torch.ones(2, 1, 4, 4)
    grey, tinted = (build(dict(type='AtmosphericScattering', airlight_saturation=s, airlight_hue=0.5)) for s in (0, 1))
    plain = build(dict(type='AtmosphericScattering'))
    assert torch.equal(grey(image, depth, seeds=[1, 2])[0], plain(image, depth, seeds=[1, 2])[0])
    assert not torch.allclose(tinted(image, depth, seeds=[1, 2])[0], plain(image, depth, seeds=[1, 2])[0])


@pytest.mark.parametrize(('options', 'both'), [
    (dict(pairing='prefix', ann_file='list.csv'), ('pairing', 'ann_file')),
    (dict(type='ClearDepthDataset', depth=dict(scale=2)), ('depth', 'depth_dir')),
    (dict(type='ClearDepthDataset', depth=dict(near=0.2), depth_dir='gt'), ('near', 'kind')),
    (dict(type='ClearDepthDataset', depth=dict(knd='disparity'), depth_dir='gt'), ('knd', 'kind'))])
def test_datasets_of_files(options, both, tmp_path):
    for folder in ('hazy', 'gt'):
        write_image(tmp_path / folder / 'a_1.png', torch.zeros(4, 4, 3, dtype=torch.uint8).numpy())
    (tmp_path / 'list.csv').write_text('input,gt\na_1.png,a_1.png\n')
    clear = options.get('type') == 'ClearDepthDataset'
    cfg = dict(type='PairedDataset', input_dir=str(tmp_path / 'hazy'), gt_dir=str(tmp_path / 'gt')) if not clear else \
        dict(clear_dir=str(tmp_path / 'gt'))
    cfg.update({key: str(tmp_path / value) if key in ('ann_file', 'depth_dir') else value
                for key, value in options.items()})
    with pytest.raises(InputError) as caught:
        registry.DATASETS.build(cfg)
    assert all(name in str(caught.value) for name in both), caught.value


def test_depth(tmp_path):
    with pytest.raises(InputError, match="near is for kind='disparity' and has no effect with kind='depth'"):
        convert_depth([[1.0]], near=0.3)
    (tmp_path / 'a.onnx').write_bytes(b'')
    with pytest.raises(InputError, match=r"device is for a torch module .* device='cuda'"):
        DepthEstimator(str(tmp_path / 'a.onnx'), device='cuda')


def test_a_teacher_that_a_loss_asks_for_is_used():
    model = DistillationRestorer(NETWORK, teacher=dict(network=NETWORK), losses=dict(t=dict(type='TeacherLoss')))
    assert model.teacher is not None


@pytest.mark.parametrize(('changes', 'both'), [
    (dict(phases=dict(a=dict(init_from='best'), b={})), ('init_from', 'first phase')),
    (dict(phases=dict(a={}, b=dict(init_from='best'))), ('init_from', 'save_best')),
    (dict(phases=dict(a=dict(default_hooks=dict(checkpoint=dict(save_best='PSNR')), val_dataloader=None),
                      b=dict(init_from='best'))), ('init_from', 'validation')),
    (dict(phases=dict(a=dict(init_from=None)), load_from='FILE'), ('init_from', 'load_from')),
    (dict(init_from='best'), ('init_from', 'first phase')),
    (dict(default_hooks=dict(param_scheduler=None)), ('default_hooks.param_scheduler', 'no effect')),
    (dict(train_cfg=dict(max_iters=4, val_begin=5)), ('val_begin', 'run of 4')),
    (dict(train_cfg=dict(max_iters=4, val_interval=0)), ('val_interval', 'val_dataloader')),
    (dict(param_scheduler=[dict(type='MultiStepLR', milestones=[40, 60])]), ('milestones', 'run of 4')),
    (dict(param_scheduler=[dict(type='StepLR', step_size=4)]), ('step_size', 'run of 4')),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'), clip_grad=dict(clip_value=1.0))), ('clip_value', 'type')),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'), clip_grad=dict(type='value', max_norm=1.0))),
     ('max_norm', 'type')),
    (dict(optim_wrapper=dict(optimizer=dict(type='Adam'), clip_grad=dict(norm_type=1))), ('clip_grad', 'max_norm'))])
def test_configs_are_refused_before_training(changes, both, tmp_path):
    cfg = config(tmp_path / 'run', **changes)
    if cfg.get('load_from'):
        cfg['load_from'] = str(tmp_path / 'a.pth')
        (tmp_path / 'a.pth').write_bytes(b'')
    with pytest.raises(UserError) as caught:
        MultiPhaseRunner(cfg)
    assert all(name in str(caught.value) for name in both), caught.value
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(('command', 'both'), [
    ('measure a.png a.png --pairing prefix', ('pairing', 'two images')),
    ('measure --dataset-options gt_border=2', ('dataset_options', 'scene')),
    ('synthesize day --clear d --out o --depth-options scale=2', ('depth_options', 'no depth')),
    ('degradation-stats day --real d --depth d', ('depth', 'clear')),
    ('degradation-stats day --real d --depth-options scale=2', ('depth_options', 'no depth')),
    ('degradation-stats day --real d --data-root d', ('data_root', 'dataset')),
    ('browse-degradations day --depth-options scale=2', ('depth_options', 'no depth')),
    ('browse-degradations day --image a.png --style room', ('style', 'image')),
    ('browse-degradations day --out a.jpg --colours 16', ('colours', 'out')),
    ('extract-patches d o --pairing prefix', ('pairing', 'pairs')),
    ('browse-dataset cid/cid_quickstart --split val --start 5', ('start', 'split')),
    ('plot-logs d --smooth 0.5', ('smooth', 'out')),
    ('detect-compare --images d --annotations d --pictures 3', ('pictures', 'out')),
    ('study --report d --workers 1 --job 1/2', ('--report', '--job')),
    ('train cid/cid_quickstart --allow-config-change', ('allow_config_change', 'resume'))])
def test_options_of_commands(command, both, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / 'a.png', torch.zeros(4, 4, 3, dtype=torch.uint8).numpy())
    write_image(tmp_path / 'd' / 'a.png', torch.zeros(4, 4, 3, dtype=torch.uint8).numpy())
    assert main(command.split()) == 1
    err = capsys.readouterr().err
    assert all(name in err for name in both) and 'Traceback' not in err, err
    assert not (tmp_path / 'o').exists() and not (tmp_path / 'work_dirs').exists()


def test_refuse_unused_looks_up_the_default():
    class Base:
        def __init__(self, alpha=(1, 1)):
            refuse_unused(self, dict(alpha=alpha), 'b', 'c')

    class Child(Base):
        def __init__(self, beta=2, **kwargs):
            super().__init__(**kwargs)
    for same in ((1, 1), [1, 1], 1):
        Child(alpha=same)
    with pytest.raises(InputError, match=r'Child: alpha is for b and has no effect with c, but got alpha=\(1, 2\); '
                                         r'drop alpha \(its default is \(1, 1\)\), or give b'):
        Child(alpha=(1, 2))
    with pytest.raises(TypeError, match="Child has no argument 'gamma'"):
        refuse_unused(Child(), dict(gamma=1), 'b', 'c')


def ranges(name):
    """(lowest, highest) of every range that a degradation takes, as its constructor checks them."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for cls in registry.DEGRADATIONS.get(name).__mro__[:-1]:
            module = sys.modules[cls.__module__]
            if hasattr(module, 'check_range'):
                original = module.check_range

                def record(key, value, minimum=None, maximum=None, original=original):
                    found[key] = minimum, maximum
                    return original(key, value, minimum, maximum)
                patch.setattr(module, 'check_range', record)
        registry.DEGRADATIONS.build(dict(type=name))
    return found


#: An argument that is refused alone, and what it goes with.
BESIDE = {'airlight_hue': dict(airlight_saturation=0.9)}
ALONE = sorted(name for name in registry.DEGRADATIONS.names() if name != 'HazeField'
               and registry.DEGRADATIONS.get(name).__module__.startswith('restorekit.degradations')
               and issubclass(registry.DEGRADATIONS.get(name), Degradation)
               and not registry.DEGRADATIONS.get(name).composite)


@pytest.mark.parametrize('name', ALONE)
def test_every_number_of_a_degradation_has_an_effect(name):
    generator = torch.Generator().manual_seed(0)
    image, depth = torch.rand(4, 3, 24, 32, generator=generator), torch.rand(4, 1, 24, 32, generator=generator)
    for key, (low, high) in ranges(name).items():
        beside = BESIDE.get(key, {})
        before = registry.DEGRADATIONS.build(dict(type=name, **beside))
        usual = getattr(before, key)
        ends = usual if isinstance(usual, tuple) else (usual, usual)
        results = [before(image, depth, seeds=[0, 1, 2, 3])[0]]
        for value in (low, high, (low + ends[0]) / 2, (high + ends[1]) / 2):
            value = int(value) if isinstance(ends[0], int) else value
            after = registry.DEGRADATIONS.build({'type': name, **beside, key: value})
            results.append(after(image, depth, seeds=[0, 1, 2, 3])[0])
        assert any(not torch.equal(results[0], other) for other in results[1:]), key
