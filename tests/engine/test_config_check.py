import sys
import types

import pytest
from mmengine.config import Config
from tiny import PHASES, config

from restorekit.config import ConfigError, load_config
from restorekit.engine import MultiPhaseRunner, check_config, check_paths, join_data_root
from restorekit.engine import config_check as module
from restorekit.messages import MissingDependencyError


def tiny(**changes):
    cfg = Config(config('work', phases=PHASES))
    cfg.merge_from_dict(changes)
    return cfg


def test_a_right_config_passes():
    check_config(tiny(), 'a.py')


@pytest.mark.parametrize(('changes', 'message'), [
    ({'model.network.type': 'EncoderDecodr'}, r"a.py: model.network: 'EncoderDecodr' is not .*'EncoderDecoder'"),
    ({'model.losses.pixel.type': 'L1Los'}, r"a.py: model.losses.pixel: 'L1Los' is not .*'L1Loss'"),
    ({'train_dataloader.dataset.pipeline.2.degradation.type': 'AtmosfericScattering'},
     r"a.py: train_dataloader.dataset.pipeline\[2\].degradation: 'AtmosfericScattering' .*'AtmosphericScattering'"),
    ({'train_dataloader.sampler.type': 'CountrSampler'}, r"train_dataloader.sampler: 'CountrSampler' .*CounterSampler"),
    ({'custom_hooks.0.type': 'StripsHook'}, r"custom_hooks\[0\]: 'StripsHook' is not .*'StripHook'"),
    ({'optim_wrapper.optimizer.type': 'Adan'}, r"optim_wrapper.optimizer: 'Adan' is not .*'Adam'"),
    ({'val_evaluator.0.type': 'PSRN'}, r"val_evaluator\[0\]: 'PSRN' is not .*'PSNR'")])
def test_a_misspelt_component_gives_place_and_nearest_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        check_config(tiny(**changes), 'a.py')


@pytest.mark.parametrize(('changes', 'message'), [
    ({'model.network.encoder.base_chanels': 8},
     "a.py: model.network.encoder: Res2Net takes no 'base_chanels'; did you mean 'base_channels'"),
    ({'model.share_intervall': 8},
     "a.py: model: CIDRestorer takes no 'share_intervall'; did you mean 'share_interval'"),
    ({'model.frosen': ['network']}, "CIDRestorer takes no 'frosen'; did you mean 'frozen'"),  # of its parent
    ({'train_dataloader.dataset.domian': 'x'}, "ProceduralScenes takes no 'domian'; did you mean 'domain'"),
    ({'train_dataloader.dataset.pipeline.1.probability': 1},
     r"pipeline\[1\]: RandomFlip takes no 'probability'.*'prob'"),
    ({'train_cfg.max_iter': 3}, "train_cfg: ResumableIterLoop takes no 'max_iter'; did you mean 'max_iters'"),
    ({'model.losses.pixel.zzz': 3}, "L1Loss takes no 'zzz'; it takes loss_weight"),
    ({'default_hooks.checkpoint.max_keep_ckpt': 1}, "SafeCheckpointHook takes no 'max_keep_ckpt'.*'max_keep_ckpts'")])
def test_a_misspelt_argument_gives_place_and_nearest_name(changes, message):
    with pytest.raises(ConfigError, match=message):
        check_config(tiny(**changes), 'a.py')


def test_a_missing_argument_of_a_dataset_is_named():
    for dataset, names in ((dict(type='PairedDataset', input_dir='a'), 'PairedDataset needs gt_dir'),
                           (dict(type='UnpairedDataset'), 'UnpairedDataset needs input_dir and target_dir')):
        cfg = tiny()
        cfg.train_dataloader.dataset = dataset
        with pytest.raises(ConfigError, match=f'a.py: train_dataloader.dataset: {names}'):
            check_config(cfg, 'a.py')


def test_a_misspelt_top_level_key_gives_the_nearest_and_a_new_one_may_be_used():
    with pytest.raises(ConfigError, match="a.py: nothing reads the top-level key 'train_dataloder'; did you mean "
                                          "'train_dataloader'"):
        check_config(tiny(train_dataloder=dict(batch_size=2)), 'a.py')
    check_config(tiny(my_crop=128), 'a.py')


def test_phase_keys_belong_into_phases():
    check_config(tiny(frozen=['network.encoder'], init_from='best'), 'a.py', phase=True)


@pytest.mark.slow
def test_a_mistake_in_a_file_names_the_file_and_the_phase(tmp_path):
    cfg = tiny(**{'phases.supervised.model.reweighter.target_es': 0.5})
    file = tmp_path / 'mine.py'
    cfg.dump(str(file))
    loaded = load_config(file)
    loaded.work_dir = str(tmp_path / 'run')
    with pytest.raises(ConfigError) as caught:
        MultiPhaseRunner(loaded)
    assert str(caught.value).startswith(f"{file}, phase 'supervised': model.reweighter: DecorrelationReweighter takes "
                                        "no 'target_es'; did you mean 'target_ess'")
    assert not (tmp_path / 'run').exists()


def paired(**kwargs):
    dataset = dict(dict(type='PairedDataset', input_dir='train/hazy', gt_dir='train/clear'), **kwargs)
    return Config(dict(train_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[dataset])),
                       val_dataloader=dict(dataset=dict(type='SingleDataset', image_dir=['a', 'b']))))


def test_data_root_is_joined_before_relative_paths_only():
    cfg = paired(gt_dir='/elsewhere/clear')
    join_data_root(cfg)
    assert cfg.train_dataloader.dataset.datasets[0].input_dir == 'train/hazy'  # no root: untouched
    cfg.data_root = '/data'
    join_data_root(cfg)
    dataset = cfg.train_dataloader.dataset.datasets[0]
    assert dataset.input_dir == '/data/train/hazy' and dataset.gt_dir == '/elsewhere/clear'
    assert cfg.val_dataloader.dataset.image_dir == ['/data/a', '/data/b']


def test_missing_data_names_folder_key_config_and_root(tmp_path):
    cfg = paired()
    with pytest.raises(FileNotFoundError) as caught:
        check_paths(cfg, 'a.py')
    text = str(caught.value)
    assert text.startswith('a.py: train_dataloader.dataset.datasets[0].input_dir looks for ')
    assert 'train/hazy, which is not there; no data root was given: pass --data-root FOLDER' in text
    cfg.data_root = str(tmp_path)
    join_data_root(cfg)
    (tmp_path / 'train' / 'hazy').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=rf'gt_dir .* {tmp_path}/train/clear, .*the data root is {tmp_path}'):
        check_paths(cfg, 'a.py')
    (tmp_path / 'train' / 'clear').mkdir()
    (tmp_path / 'a').mkdir()
    with pytest.raises(FileNotFoundError, match=f'val_dataloader.dataset.image_dir looks for {tmp_path}/b'):
        check_paths(cfg, 'a.py')
    (tmp_path / 'b').mkdir()
    check_paths(cfg, 'a.py')


def test_lists_lmdbs_and_remote_stores(tmp_path):
    cfg = Config(dict(data_root=str(tmp_path), train_dataloader=dict(dataset=dict(
        type='DomainPairDataset',
        source=dict(type='PairedDataset', input_dir='hazy.lmdb', gt_dir='s3://bucket/clear', ann_file='train.txt',
                    pairing=dict(input=r'(\d+)_', gt=r'\d+')),
        target=dict(type='SingleDataset', image_dir=('a', 'b'), ann_file='real.csv',
                    backend_args=dict(backend='petrel'))))))
    check_config(cfg, 'a.py')
    join_data_root(cfg)
    source, target = cfg.train_dataloader.dataset.source, cfg.train_dataloader.dataset.target
    assert (source.input_dir, source.gt_dir) == (f'{tmp_path}/hazy.lmdb', 's3://bucket/clear')
    assert source.ann_file == f'{tmp_path}/train.txt' and target.image_dir == [f'{tmp_path}/a', f'{tmp_path}/b']
    for name in ('hazy.lmdb', 'train.txt', 'real.csv'):  # the rest is elsewhere
        with pytest.raises(FileNotFoundError, match=f'looks for {tmp_path}/{name}'):
            check_paths(cfg, 'a.py')
        (tmp_path / name).touch()
    check_paths(cfg, 'a.py')
    cfg = Config(dict(data_root='s3://bucket/', val_dataloader=dict(dataset=dict(image_dir='a', ann_file='/b.txt'))))
    join_data_root(cfg)
    assert cfg.val_dataloader.dataset == dict(image_dir='s3://bucket/a', ann_file='/b.txt')


def test_clipping_by_value_is_accepted():
    check_config(tiny(**{'optim_wrapper.clip_grad': dict(type='value', clip_value=0.1)}), 'a.py')


@pytest.mark.parametrize(('changes', 'message'), [
    ({'train_dataloader.bach_size': 3}, "train_dataloader has no 'bach_size'; did you mean 'batch_size'"),
    ({'randomness.sed': 3}, "randomness has no 'sed'; did you mean 'seed'"),
    ({'optim_wrapper.clip_grad': dict(max_nrom=1)}, "clip_grad has no 'max_nrom'; did you mean 'max_norm'"),
    ({'optim_wrapper.acumulative_counts': 2}, "optim_wrapper has no 'acumulative_counts'"),
    ({'default_hooks.chekpoint': dict(interval=4)}, "default_hooks has no 'chekpoint'; did you mean 'checkpoint'")])
def test_a_misspelt_key_of_a_dict_without_type(changes, message):
    with pytest.raises(ConfigError, match=message):
        check_config(tiny(**changes), 'a.py')


def test_what_other_libraries_pass_on_is_not_refused():
    check_config(tiny(custom_hooks=[dict(type='EMAHook', momentum=0.1)]), 'a.py')
    check_config(tiny(**{'optim_wrapper.constructor': 'DefaultOptimWrapperConstructor'}), 'a.py')


def test_a_tracker_without_its_package_is_named_before_training(monkeypatch):
    cfg = Config(config('run', visualizer=dict(type='Visualizer', vis_backends=[dict(type='WandbVisBackend')])))
    monkeypatch.setitem(module._TRACKERS, 'WandbVisBackend', 'no_such_package')
    with pytest.raises(MissingDependencyError, match=r'vis_backends\[0\]: WandbVisBackend needs no_such_package, which '
                                                     'is not installed: pip install no_such_package'):
        check_config(cfg, 'a.py')
    cfg.visualizer.vis_backends = ['LocalVisBackend']
    with pytest.raises(ConfigError, match=r"vis_backends\[0\] must be a dict with a 'type', but got 'LocalVisBackend'"):
        check_config(cfg, 'a.py')


def test_a_tracker_gets_losses_and_metrics_by_one_line(tmp_path, monkeypatch):
    logged = {}
    wandb = types.SimpleNamespace(
        init=lambda **kwargs: None, run=types.SimpleNamespace(log_code=lambda **kwargs: None), finish=lambda: None,
        config=types.SimpleNamespace(update=lambda *args, **kwargs: None), join=lambda: None,
        Image=lambda image: image, log=lambda values, commit: logged.update(values))
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    backends = [dict(type='LocalVisBackend'), dict(type='WandbVisBackend')]
    cfg = Config(config(tmp_path, iters=2, visualizer=dict(type='Visualizer', vis_backends=backends)))
    cfg.default_hooks.logger = dict(type='LoggerHook', interval=1)
    MultiPhaseRunner(cfg).train()
    assert {'loss', 'loss_pixel', 'lr', 'source/PSNR@rgb'} <= set(logged) and logged['lr'] > 0
