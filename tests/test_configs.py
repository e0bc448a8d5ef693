"""Every config outside ``_base_`` loads, passes the check of each phase, and builds."""

import fnmatch
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config

from restorekit.config import configs_root, load_config, phase_config
from restorekit.engine import MultiPhaseRunner, RestoreRunner
from restorekit.engine.config_check import check_config
from restorekit.engine.data_paths import join_data_root
from restorekit.registry import DATASETS, MODELS
from restorekit.tasks.study_file import Job, Study

ROOT = configs_root().parent
CONFIGS = sorted(path.relative_to(configs_root()).as_posix() for path in configs_root().rglob('*.py')
                 if not {'_base_', 'studies', 'domains'} & {*path.relative_to(configs_root()).parts})
QUICK = {'baselines/aod_net_1xb8-20k_its.py', 'cid/cid_quickstart.py', 'habits/ema.py'}
BASES = sorted((configs_root() / '_base_' / 'datasets').glob('*.py'))
METAFILES = sorted(configs_root().rglob('metafile.yml'))
DEPTH_SUFFIX = '.png'


def patterns_to_names(include):
    """File names that shell patterns such as ``s3[0-3]_*`` and ``143?_*.png`` keep."""
    patterns = [include] if isinstance(include, str) else include or ['1.png', '2.png']
    names = []
    for pattern in patterns:
        name = ''
        while pattern:
            if pattern[0] == '[':
                name, pattern = name + pattern[1], pattern[pattern.index(']') + 1:]
            else:
                name, pattern = name + {'?': '1', '*': '1'}.get(pattern[0], pattern[0]), pattern[1:]
        names.append(name if name.endswith(('.png', '.jpg')) else f'{name}.png')
    return names


def write(path, depth=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape, dtype = ((24, 32), np.uint16) if depth else ((24, 32, 3), np.uint8)
    assert cv2.imwrite(str(path), np.full(shape, 100, dtype))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Relative paths lead into the test's own folder."""
    monkeypatch.chdir(tmp_path)


def loaders(cfg):
    """The parts of a config whose paths the data root is joined before."""
    return {key: value for key, value in cfg.items() if key.endswith('_dataloader')}


def make_folders(node):
    """Fill the (joined) folders of every dataset below ``node`` with the files it looks for; procedural ones shrink."""
    if isinstance(node, (list, tuple)):
        for item in node:
            make_folders(item)
    if not isinstance(node, dict):
        return
    for item in node.values():
        make_folders(item)
    names = patterns_to_names(node.get('include'))
    kind = node.get('type')
    if kind == 'CachedFeatures':  # an encoder's weights may not be installed
        node.update(network=None, cache=tempfile.mkdtemp(), copies=1)
    if node.get('ann_file'):
        listed = Path(node['ann_file'])
        listed.parent.mkdir(parents=True, exist_ok=True)
        known = listed.read_text().split() if listed.is_file() else []
        listed.write_text('\n'.join(sorted({*known, *names})) + '\n')
    if kind == 'HazeField':
        write(Path(node['hazy_dir'], '1.png'))
        write(Path(node['clear_dir'], '1.png'))
    if kind == 'ProceduralScenes':
        node.update(length=2, height=16, width=16)
    elif kind == 'PairedDataset':
        for name in names:
            write(Path(node['input_dir'], name))
            clear = f'{name[:-4].split("_")[0]}.png' if node.get('pairing') == 'prefix' else name
            write(Path(node['gt_dir'], clear))
    elif kind == 'ClearDepthDataset':
        for name in names:
            write(Path(node['clear_dir'], name))
            if node.get('depth_dir'):
                write(Path(node['depth_dir'], Path(name).stem + DEPTH_SUFFIX), depth=True)
    elif kind == 'SingleDataset':
        folders = node['image_dir']
        for folder in [folders] if isinstance(folders, str) else folders:
            for name in names:
                write(Path(folder, name))


def pairs(hazy, clear, numbers):
    """Names of pairs; the number is counted from 1 with two digits."""
    return [pattern.format(number) for number in numbers for pattern in (hazy, clear)]


O_HAZE, I_HAZE = 'O-HAZE/# O-HAZY NTIRE 2018', 'I-HAZE/# I-HAZY NTIRE 2018'
SOTS = dict(indoor=['SOTS/indoor/hazy/1400_1.png', 'SOTS/indoor/hazy/1400_10.png', 'SOTS/indoor/gt/1400.png'],
            outdoor=['SOTS/outdoor/hazy/0001_0.8_0.2.jpg', 'SOTS/outdoor/gt/0001.png'])
LAYOUTS = dict(  # files of a download; of the small sets all
    sots_indoor=SOTS['indoor'], sots_outdoor=SOTS['outdoor'],
    its=['ITS/hazy/1_1_0.90179.png', 'ITS/hazy/1_2_0.97842.png', 'ITS/clear/1.png', *SOTS['indoor']],
    ots=['OTS_BETA/haze/0005_0.8_0.04.jpg', 'OTS_BETA/clear/0005.jpg', *SOTS['outdoor']],
    rtts=['RTTS/JPEGImages/AM_Bing_211.png', 'RTTS/Annotations/AM_Bing_211.xml'],
    urhi=['UnannotatedHazyImages/HF_Google_119.jpeg'],
    haze4k=[f'Haze4K/{split}/{name}' for split in ('train', 'test') for name in ('haze/1_0.89_1.56.png', 'gt/1.png')],
    o_haze=pairs(O_HAZE + '/hazy/{:02d}_outdoor_hazy.jpg', O_HAZE + '/GT/{:02d}_outdoor_GT.jpg', range(1, 46)),
    i_haze=pairs(I_HAZE + '/hazy/{:02d}_indoor_hazy.jpg', I_HAZE + '/GT/{:02d}_indoor_GT.jpg',
                 [*range(1, 26), *range(31, 36)]),
    dense_haze=pairs('Dense_Haze_NTIRE19/hazy/{:02d}_hazy.png', 'Dense_Haze_NTIRE19/GT/{:02d}_GT.png', range(1, 56)),
    nh_haze=pairs('NH-HAZE/{:02d}_hazy.png', 'NH-HAZE/{:02d}_GT.png', range(1, 56)),
    hazerd=[f'HazeRD/data/simu/IMG_{scene}_{sight}.jpg' for scene in range(15) for sight in (50, 100, 200, 500, 1000)] +
           [f'HazeRD/data/img/IMG_{scene}_RGB.jpg' for scene in range(15)],
    nhr=pairs('NHR/{:04d}_NighttimeHazy_1.jpg', 'NHR/{:04d}_lowLight_1.jpg', (5, 8)),
    nhm=pairs('NHM/NighttimeHazy/{}_view1_NighttimeHazy_2.jpg', 'NHM/lowLight/{}_view1_lowLight_2.jpg', (1, 2)),
    nhc=pairs('NHC/aachen_{}_nightHazy_1.png', 'NHC/aachen_{}_lowLight_1.png', (1, 2)),
    gta5_night=[f'GTA5/{folder}/0001.png' for folder in ('trainA', 'trainB', 'testA', 'testB')],
    real_night_haze=['RealNightHaze/1.jpg'],
    sie=['SIE_Dataset/Synthetic_images/Sand_dust_images/001.jpg', 'SIE_Dataset/Synthetic_images/Ground_truth/001.jpg'],
    sie_real=['SIE_Dataset/Real_world_images/Sandstorm/001.jpg', 'SIE_Dataset/Real_world_images/Floating_dust/001.jpg'])
WHOLE = {'o_haze', 'i_haze', 'dense_haze', 'nh_haze', 'hazerd'}
OWN = {'aio3', 'aio5', 'cdd11', 'paired_folders', 'multi_domain_haze', 'procedural', 'domains', 'haze_mixture',
       'haze_bench'}


def write_layout(root, files):
    """Write the files of a download; clear images of SOTS-indoor have their frame."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (44, 52) if 'SOTS/indoor/gt' in name else (24, 32)
        path.write_bytes(cv2.imencode('.png', np.full((height, width, 3), 100, np.uint8))[1].tobytes())
    if (root / 'NHR').is_dir():
        (root / 'NHR/train.txt').write_text('0005_NighttimeHazy_1.jpg\n')
        (root / 'NHR/val.txt').write_text('0008_NighttimeHazy_1.jpg\n')


def test_every_dataset_base_has_a_layout():
    assert {path.stem for path in BASES} == set(LAYOUTS) | OWN


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
def test_dataset_base_builds_from_the_layout_of_its_download(path, tmp_path):
    cfg = load_config(path, data_root=tmp_path)
    check_config(cfg, path.name)
    join_data_root(cfg)
    cfg = cfg.to_dict()
    make_folders(loaders(cfg)) if path.stem in OWN else write_layout(tmp_path, LAYOUTS[path.stem])
    items = {}
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        assert (cfg.get(f'{split}_evaluator') is not None) == (split != 'train' and loader is not None)
        if loader:
            data = DATASETS.build(loader['dataset'])
            items[split] = {frozenset(data.files(i).values()) for i in range(len(data))} if path.stem in LAYOUTS else {}
            item = data[0]
            assert item['inputs'].shape[0] == 3
            if path.stem in LAYOUTS:
                assert len(items[split]) == len(data) > 0
                assert (loader['dataset'].get('expected') == len(data)) == (path.stem in WHOLE)
                paired = loader['dataset']['type'] == 'PairedDataset'
                assert ('gt' in item['data_samples']) == paired
                assert split == 'train' or tuple(item['inputs'].shape[1:]) == (24, 32)
    assert not set(items.get('train', ())) & set(items.get('test', ()))


def undeleted(node):
    """``node`` without the ``_delete_`` of helper variables, which no rule meets."""
    if isinstance(node, dict):
        return {key: undeleted(value) for key, value in node.items() if key != '_delete_'}
    return node


@pytest.mark.parametrize('path', sorted(configs_root().rglob('*.py')),
                         ids=lambda path: path.relative_to(configs_root()).as_posix())
def test_config_means_the_same_to_mmengine(path):
    ours, theirs = load_config(path), Config.fromfile(path)
    theirs.setdefault('default_scope', 'restorekit')
    phases = list(ours.get('phases') or {})
    assert list(theirs.get('phases') or {}) == phases
    for a, b in [(phase_config(ours, name), phase_config(theirs, name)) for name in phases] or [(ours, theirs)]:
        assert undeleted(a.to_dict()) == undeleted(b.to_dict())


@pytest.mark.slow
@pytest.mark.parametrize('path', sorted((configs_root() / 'studies').glob('*.py')), ids=lambda path: path.stem)
def test_every_job_of_a_study_has_a_config_that_checks(path):
    study = Study(path)
    first = next(iter(study.domains))
    for job in study.jobs():  # every trial of every variant, and every domain
        if job.seed == study.settings['seeds'][0] and (job.domain == first or (job.variant, job.trial) ==
                                                       (study.baseline, 0)):
            cfg = study.config(job)
            check_config(cfg, job.name)
            sets = cfg.val_dataloader.dataset.datasets
            assert set(study.test_sets(job.domain)) <= set(sets)
            assert all(sets[name].domain == name for name in sets)


def test_there_are_configs():
    assert {'cid/cid_quickstart.py', 'cid/cid_small_real.py', *QUICK} <= set(CONFIGS)


@pytest.mark.parametrize('name', [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
                                  for name in CONFIGS])
def test_config_builds_in_every_phase(name, tmp_path, monkeypatch):
    cfg = load_config(name, data_root=tmp_path / 'data')
    cfg.work_dir = str(tmp_path / 'run')
    cfg.log_level = 'ERROR'
    folders = Config(cfg.to_dict())
    for part in (folders, *(folders.get('phases') or {}).values()):
        joined = Config(dict(part.to_dict(), data_root=str(tmp_path / 'data')))
        join_data_root(joined)
        make_folders(loaders(joined.to_dict()))  # only to write files
    runner = MultiPhaseRunner(cfg)  # checks every phase's config and its paths
    assert list(runner.phases) == list(cfg.get('phases') or ['train'])
    for phase, phase_cfg in runner.configs.items():
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            if phase_cfg.get(loader):
                dataset = phase_cfg[loader]['dataset'].to_dict()
                make_folders(dataset)
                item = DATASETS.build(dataset)[0]
                if loader != 'train_dataloader':
                    assert 'gt' in item['data_samples'], f'{phase}: a validation sample without ground truth'
                phase_cfg[loader].update(dataset=dataset, num_workers=0, persistent_workers=False)
        built = RestoreRunner.from_cfg(phase_cfg)
        optimizer = built.build_optim_wrapper(built.optim_wrapper)
        trained = {id(p) for group in optimizer.optimizer.param_groups for p in group['params']}
        assert trained == {id(p) for p in built.model.parameters() if p.requires_grad} != set()
        for module in phase_cfg.model.get('frozen', ()):
            assert not any(p.requires_grad for p in built.model.get_submodule(module).parameters())
        built.build_train_loop(phase_cfg.train_cfg)
        built.build_val_loop(phase_cfg.val_cfg)
        built.visualizer.close()


def test_base_networks_have_the_size_they_had():
    sizes = {}
    for path in (configs_root() / '_base_' / 'networks').glob('*.py'):
        with torch.device('meta'):
            network = MODELS.build(Config.fromfile(path).model.network)
        sizes[path.stem] = sum(parameter.numel() for parameter in network.parameters())
    assert sizes == dict(aod_net=1_761, cid_res2net101=49_351_930, cid_small=514_466, low_resolution_affine=1_951_417,
                         low_resolution_small=1_115_777)


def test_there_are_metafiles():
    assert {path.parent.name for path in METAFILES} >= {'baselines', 'cid'}


@pytest.mark.parametrize('path', METAFILES, ids=lambda p: p.parent.name)
def test_metafile_names_configs_that_exist(path):
    models = yaml.safe_load(path.read_text())['Models']
    assert models
    for model in models:
        assert (ROOT / model['Config']).is_file(), f'{path}: there is no {model["Config"]} ({model["Name"]})'
        assert '_base_' not in model['Config']


def test_every_config_of_a_method_is_in_a_metafile():
    named = {model['Config'].removeprefix('configs/') for path in METAFILES
             for model in yaml.safe_load(path.read_text())['Models']}
    examples = {name for name in CONFIGS if name.startswith('habits/')} | {'cid/cid_ablation.py'}  # of the study
    assert set(CONFIGS) - examples == named


def test_model_index_imports_every_metafile():
    imported = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    assert sorted(imported) == [path.relative_to(ROOT).as_posix() for path in METAFILES]


def test_the_parts_of_cid_differ_in_their_part_and_share_the_rest():
    study = Study(configs_root() / 'studies' / 'cid_parts.py')
    for variant in study.variants:
        cfg = study.config(Job(variant, 'none', 0))
        assert cfg.train_cfg.max_iters == 120
        assert ('reweighter' in cfg.model) == (variant in ('reweighting', 'everything'))
        assert ('alignment' in cfg.model) == (variant in ('alignment', 'everything'))
        weights = cfg.train_dataloader.dataset.source.weights
        alone = variant == 'source_only'
        assert [name for name, weight in weights.items() if weight] == (
            ['indoor', 'outdoor'] if alone else list(cfg.train_dataloader.dataset.source.datasets))


@pytest.mark.slow
def test_a_variant_trains_as_long_as_the_baseline_without_the_left_out_domain():
    study = Study(configs_root() / 'studies' / 'alignment_batches.py')
    lengths = set()
    for variant, domain in [('plain', 'dust'), *((variant, 'real') for variant in study.variants)]:
        cfg = study.config(Job(variant, domain, 0))
        phases = [phase_config(cfg, phase) for phase in cfg.phases]
        lengths.add(frozenset((phase.train_dataloader.batch_size, phase.train_cfg.max_iters) for phase in phases))
        assert [('alignment' in phase.model) for phase in phases] == \
            [variant == 'coral_first', variant not in ('plain', 'coral_first')]
        for phase in phases:
            weights = phase.train_dataloader.dataset.source.weights
            assert not any(weights[name] for name in study.test_sets(domain))
    assert lengths == {frozenset({(16, 120), (128, 16)})}


@pytest.mark.slow
def test_the_spurious_mixture_tests_what_it_rarely_shows():
    study = Study(configs_root() / 'studies' / 'spurious.py')
    for domain, share in dict(spurious=0.05, balanced=0.5).items():
        cfg = study.config(Job('decorrelation', domain, 0))
        weights = cfg.train_dataloader.dataset.source.weights
        rare = study.test_sets(domain)
        assert sum(weights[name] for name in rare) / sum(weights.values()) == pytest.approx(share)
        parts, tested = cfg.train_dataloader.dataset.source.datasets, cfg.val_dataloader.dataset.datasets
        assert set(weights) == set(parts) == set(tested) and cfg.model.anchor == 0
        for name, part in parts.items():  # the haze of a set is that of its name, in training and test
            assert part.dataset.pipeline.degrade == tested[name].pipeline[0]
            assert part.dataset.pipeline.degrade == parts[f'outdoor_{name.split("_")[1]}'].dataset.pipeline.degrade
            assert part.dataset.clear_dir == parts[f'{name.split("_")[0]}_white'].dataset.clear_dir


@pytest.mark.slow
def test_a_left_out_domain_is_not_trained_on_and_is_the_target():
    study = Study(configs_root() / 'studies' / 'domains_first.py')
    for domain, gone in dict(indoor={'indoor'}, real={'ohaze', 'tinted'}, fog={'fog'},
                             dust={'dust', 'ohaze', 'tinted'}).items():
        dataset = study.config(Job('cid', domain, 0)).train_dataloader.dataset
        weights = dataset.source.weights
        assert {name for name, weight in weights.items() if not weight} == gone
        seen = {name for name, weight in dataset.target.weights.items() if weight}
        assert seen <= gone and seen & set(study.test_sets(domain)) and 'photos' not in seen
        # no scene of a test set, and none of another domain, is trained on
        tested = study.config(Job('cid', domain, 0)).val_dataloader.dataset.datasets
        for name in study.test_sets(domain):
            one, other = dataset.source.datasets[name].dataset, tested[name]
            folder = 'gt_dir' if 'gt_dir' in one else 'clear_dir'
            if one[folder] == other.get(folder):
                patterns = [[entry.include] if isinstance(entry.include, str) else entry.include
                            for entry in (one, other)]
                names = [f's{i:02d}{tail}' for i in range(34) for tail in ('.jpg', '_full.png')] + \
                    [f'{drive}_f{i:05d}.jpg' for drive in ('0001TP', '0006R0', '0016E5', 'Seq05VD')
                     for i in range(0, 900, 30)] + [f'{i}.png' for i in range(1400, 1440)]
                chosen = [{n for n in names if any(fnmatch.fnmatch(n, p) for p in part)} for part in patterns]
                assert chosen[0] and chosen[1] and not chosen[0] & chosen[1]
