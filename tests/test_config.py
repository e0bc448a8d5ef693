"""Finding, loading and recording configs."""

import copy
import importlib
import json
import pickle
import re
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from restorekit import config
from restorekit.messages import WriteError, nearest


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of configs, taken for restorekit's own."""
    files = {
        '_base_/runtime.py': "default_scope = 'restorekit'\nlog_level = 'INFO'\n",
        '_base_/phases.py': """model = dict(type='A', width=4)
phases = dict(
    pretrain=dict(train_cfg=dict(max_iters=10), model=dict(loss=dict(type='L1Loss', loss_weight=1.0))),
    supervised=dict(frozen=['network.encoder'], train_cfg=dict(max_iters=20)),
    adapt=dict(train_dataloader=dict(dataset=dict(type='PairedDataset', gt='clear'))))
""",
        'cid/cid_quickstart.py': "_base_ = ['../_base_/phases.py', '../_base_/runtime.py']\n",
        'cid/cid_res2net101_8xb2-300k_haze.py': "_base_ = './cid_quickstart.py'\n",
        'aod/aod_net.py': "model = dict(type='B')\n",
    }
    for name, text in files.items():
        write(tmp_path / 'configs' / name, text)
    monkeypatch.setattr('restorekit.config.files.mim_root', lambda: tmp_path)
    return tmp_path / 'configs'


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize('name', ['cid/cid_quickstart', 'cid/cid_quickstart.py', 'restorekit::cid/cid_quickstart'])
def test_config_is_found_by_name(root, name):
    assert config.configs_root() == root
    assert config.find_config(name) == root / 'cid/cid_quickstart.py'


def test_config_is_found_by_path(root, tmp_path, monkeypatch):
    path = write(tmp_path / 'mine.py', 'a = 1\n')
    assert config.find_config(path) == path
    monkeypatch.chdir(tmp_path)
    assert config.find_config('mine.py') == path
    assert config.find_config('cid/cid_res2net101_8xb2-300k_haze').parent == root / 'cid'


@pytest.mark.parametrize('name', ['cid/cid_quickstrat', 'cid_quickstart', 'cdi/cid_quickstart.py', 'zoo/cid_qickstart'])
def test_missing_config_names_the_nearest_and_the_folder(root, name):
    with pytest.raises(FileNotFoundError, match="Did you mean 'cid/cid_quickstart'") as error:
        config.find_config(name)
    assert str(root) in str(error.value) and repr(name) in str(error.value)


def test_missing_config_with_nothing_near_lists_all(root):
    with pytest.raises(FileNotFoundError, match='It has: aod/aod_net, cid/cid_quickstart, cid/cid_res2net101'):
        config.find_config('0000')


def test_nearest_is_blind_to_case_and_bounded():
    assert nearest('psnr', ['PSNR', 'SSIM']) == ['PSNR']
    assert nearest('aaa', ['aaab', 'aaac', 'aaad', 'aaae'], n=2) == ['aaae', 'aaad']
    assert nearest('x', []) == []


def test_options_and_data_root_are_applied(root):
    cfg = config.load_config('cid/cid_quickstart',
                             {'model.width': 8, 'phases.adapt.train_cfg.max_iters': 5}, data_root=Path('/data'))
    assert cfg.model == {'type': 'A', 'width': 8} and cfg.data_root == '/data'
    assert cfg.phases.adapt.train_cfg.max_iters == 5 and cfg.phases.pretrain.train_cfg.max_iters == 10
    assert cfg.default_scope == 'restorekit' and cfg.filename == str(root / 'cid/cid_quickstart.py')


def test_default_scope_is_ours_unless_said(root, tmp_path):
    assert config.load_config('aod/aod_net').default_scope == 'restorekit'
    assert 'data_root' not in config.load_config('aod/aod_net')
    assert config.load_config(write(tmp_path / 'b.py', "default_scope = 'other'\n")).default_scope == 'other'


def test_option_that_does_not_fit_is_named(root):
    with pytest.raises(config.ConfigError, match=r"(?s)'hooks.1.x': 1.*cid_quickstart.py: the list has 1 items"):
        write(root / '_base_/runtime.py', "hooks = [dict(type='A')]\n")
        config.load_config('cid/cid_quickstart', {'hooks.1.x': 1})
    with pytest.raises(config.ConfigError, match="'adpt' is not in the phases of this config; did you mean 'adapt'"):
        config.load_config('cid/cid_quickstart', {'phases.adpt.seed': 1})


def test_syntax_error_in_a_base_names_file_and_line(root):
    write(root / '_base_/runtime.py', "log_level = 'INFO'\nhooks = dict(a=1\nb = 2\n")
    with pytest.raises(ValueError, match=r'_base_/runtime.py, line [23]: .*not valid Python'):
        config.load_config('cid/cid_quickstart')


def test_error_while_a_base_runs_names_file_and_line(root):
    write(root / '_base_/runtime.py', "log_level = 'INFO'\n\nsteps = iterations\n")
    with pytest.raises(ValueError, match=r"_base_/runtime.py, line 3: .*NameError: name 'iterations' is not defined"):
        config.load_config('cid/cid_res2net101_8xb2-300k_haze')


def test_missing_base_names_file_line_and_nearest(root):
    write(root / 'cid/cid_quickstart.py', "a = 1\n_base_ = ['../_base_/phases.py', '../_base_/runtim.py']\n")
    message = r"cid_quickstart.py, line 2: .*'../_base_/runtim.py' is missing.*runtime.py"
    with pytest.raises(FileNotFoundError, match=message):
        config.load_config('cid/cid_res2net101_8xb2-300k_haze')
    write(root / 'cid/cid_quickstart.py', "_base_ = 'restorekit::nowhere/a.py'\n")
    with pytest.raises(FileNotFoundError, match='line 1: .*The folder does not exist'):
        config.load_config('cid/cid_quickstart')


def test_key_set_by_two_bases_names_both(root):
    write(root / '_base_/runtime.py', "log_level = 'INFO'\nmodel = dict(type='B')\n")
    with pytest.raises(ValueError, match=r"line 1: two of its _base_ set 'model': ../_base_/phases.py and ../_base_/r"):
        config.load_config('cid/cid_quickstart')
    write(root / '_base_/runtime.py', "log_level = 'INFO'\nmodel = 1\ndel model\n")
    assert config.load_config('cid/cid_quickstart').model.type == 'A'


def test_config_that_is_its_own_base_is_said(root):
    write(root / '_base_/runtime.py', "_base_ = '../cid/cid_quickstart.py'\n")
    with pytest.raises(ValueError, match='its own _base_'):
        config.load_config('cid/cid_quickstart')


def test_phases_merge_by_name_and_survive_a_dump(root, tmp_path):
    child = write(tmp_path / 'child.py', f"""_base_ = '{root / 'cid/cid_quickstart.py'}'
phases = dict(
    supervised=dict(train_cfg=dict(max_iters=7)),
    pretrain=dict(model=dict(loss=dict(_delete_=True, type='SSIMLoss'))),
    adapt=dict(train_dataloader=dict(dataset=dict(_delete_=True, type='DomainPairDataset'))),
    finetune=dict(train_cfg=dict(max_iters=1)))
""")
    cfg = config.load_config(child)
    expected = {
        'pretrain': {'train_cfg': {'max_iters': 10}, 'model': {'loss': {'type': 'SSIMLoss'}}},
        'supervised': {'frozen': ['network.encoder'], 'train_cfg': {'max_iters': 7}},
        'adapt': {'train_dataloader': {'dataset': {'type': 'DomainPairDataset'}}},
        'finetune': {'train_cfg': {'max_iters': 1}}}
    cfg.dump(tmp_path / 'dumped.py')
    record = config.config_from_json(config.config_to_json(cfg))
    for loaded in (cfg, config.load_config(tmp_path / 'dumped.py'), record):
        assert loaded.phases.to_dict() == expected
        assert list(loaded.phases) == ['pretrain', 'supervised', 'adapt', 'finetune']  # the order they run in


def test_json_record_of_a_text_config_is_the_config(root):
    cfg = config.load_config('cid/cid_quickstart', {'model.scale': 0.5, 'model.deep': None, 'model.on': True})
    record = config.config_to_json(cfg)
    assert json.loads(record) == cfg.to_dict()
    again = config.config_from_json(record)
    assert isinstance(again, Config) and again.to_dict() == cfg.to_dict()
    assert again.phases.adapt.train_dataloader.dataset.gt == 'clear'


def test_json_record_of_a_lazy_config_has_dotted_names(tmp_path):
    path = write(tmp_path / 'lazy.py', 'from mmengine.dataset import DefaultSampler\n'
                                       'from collections import OrderedDict\n'
                                       'sampler = dict(type=DefaultSampler, size=(1, 2), kind=OrderedDict)\n')
    cfg = config.load_config(path)
    assert json.loads(config.config_to_json(cfg))['sampler'] == {
        'type': 'mmengine.dataset.DefaultSampler', 'size': [1, 2], 'kind': 'collections.OrderedDict'}
    assert json.loads(config.config_to_json(cfg._cfg_dict))['sampler']['type'] == 'mmengine.dataset.DefaultSampler'


def test_json_record_names_classes_functions_and_paths():
    record = config.config_to_json({'a': {'type': Path}, 'b': write, 'c': Path('x/y')})
    assert json.loads(record) == {'a': {'type': f'{Path.__module__}.Path'}, 'b': f'{__name__}.write', 'c': 'x/y'}


@pytest.mark.parametrize('text', ['a = 1', '[1]', '', '"x"', 'import os'])
def test_record_that_is_no_json_object_is_refused(text):
    with pytest.raises(ValueError, match='recorded config'):
        config.config_from_json(text)


def test_a_child_config_may_replace_text_by_a_dict_and_a_data_set_by_another(tmp_path):
    (tmp_path / 'base.py').write_text(
        "train_dataloader = dict(batch_size=2, dataset=dict(type='PairedDataset', input_dir='a', gt_dir='b', "
        "pairing='stem', pipeline=[1]))\noptimizer = dict(type='Adam', lr=1)\nsteps = [1, 2]\n")
    (tmp_path / 'same.py').write_text(
        "_base_ = 'base.py'\ntrain_dataloader = dict(dataset=dict(type='PairedDataset', pairing=dict(input='x')))\n"
        "optimizer = dict(type='SGD', momentum=0.9)\n")
    (tmp_path / 'other.py').write_text(
        "_base_ = 'base.py'\ntrain_dataloader = dict(dataset=dict(type='SingleDataset', image_dir='c'))\n")
    (tmp_path / 'list.py').write_text("_base_ = 'base.py'\nsteps = dict(a=1)\n")
    same, other = (config.load_config(tmp_path / f'{name}.py') for name in ('same', 'other'))
    assert same.train_dataloader.dataset == dict(
        type='PairedDataset', input_dir='a', gt_dir='b', pairing=dict(input='x'), pipeline=[1])
    assert same.optimizer == dict(type='SGD', momentum=0.9)
    assert other.train_dataloader == dict(batch_size=2, dataset=dict(type='SingleDataset', image_dir='c'))
    assert config.load_config(tmp_path / 'list.py').steps == dict(a=1)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Write a module beside a config that imports it; returns the function that loads the config."""
    monkeypatch.setattr(sys, 'path', list(sys.path))

    def load(text, imports="dict(imports=['my_own_net'])"):
        if text is not None:
            (tmp_path / 'my_own_net.py').write_text(text)
        sys.modules.pop('my_own_net', None)
        importlib.invalidate_caches()
        return config.load_config(write(tmp_path / 'c.py', f'custom_imports = {imports}\n'))
    yield load
    sys.modules.pop('my_own_net', None)


@pytest.mark.parametrize('imports', ["dict(imports=['my_own_net'])", "['my_own_net']", "'my_own_net'"])
def test_a_module_beside_the_config_is_imported(own_module, imports):
    own_module('value = 3\n', imports)
    assert sys.modules['my_own_net'].value == 3


@pytest.mark.parametrize(('text', 'message'), [
    ('\nimport not_there_package\n', "'my_own_net' fails in .*/my_own_net.py, line 2: .*named 'not_there_package'"),
    ('from json import not_a_name\n', "my_own_net.py, line 1: ImportError: cannot import name 'not_a_name'"),
    ('import json\njson.NoSuchLayer\n', "my_own_net.py, line 2: AttributeError: .*'NoSuchLayer'"),
    ('x = (\n', 'my_own_net.py, line 1: SyntaxError'),
    (None, "custom_imports names 'my_own_net', but there is no such module.*beside the config")])
def test_a_module_that_fails_says_what_failed_and_where(own_module, text, message):
    with pytest.raises(config.ConfigError, match=r'c.py: custom_imports.*') as error:
        own_module(text)
    assert re.search(message, str(error.value)), error.value


def test_a_misspelt_key_of_custom_imports_is_named(own_module):
    with pytest.raises(config.ConfigError, match="custom_imports has no 'import'; did you mean 'imports'"):
        own_module('', "{'import': ['a']}")


def test_written_config_reads_back_as_itself_in_its_order(tmp_path):
    data = {'b': {'type': 'B', 'x': (1,), 'a': [], 'lambda': 1}, 'a': [{'type': 'A', 'p': 0.5}, {'2-3': None}],
            'inf': float('inf'), 'deep': {'long': ['a long text ' * 4] * 4, 'nested': [[(1, 2)], {}]},
            'c': True, 'quote': "it's"}
    cfg = config.RestoreConfig(data)
    cfg.dump(tmp_path / 'c.py')
    text = (tmp_path / 'c.py').read_text()
    again = config.load_config(tmp_path / 'c.py').to_dict()
    assert again.pop('default_scope') == 'restorekit' and json.dumps(again) == json.dumps(cfg.to_dict())
    assert again['b']['x'] == (1,) and max(map(len, text.splitlines())) <= 120
    assert "a = [\n    dict(type='A', p=0.5),\n    {'2-3': None},\n]\n" in text


def test_children_of_yaml_bases_variables_and_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv('RK_TEST_STEPS', '7')
    write(tmp_path / 'base.yaml', 'model:\n  type: A\n  width: 4\nloss:\n  type: L1Loss\n')
    path = write(tmp_path / 'child.py', """_base_ = 'base.yaml'
name = '{{fileBasenameNoExtension}}'
steps = {{'$RK_TEST_STEPS:3'}}
model = dict(width=_base_.model.width * 2, loss={{_base_.loss}})
""")
    cfg = config.load_config(path)
    assert cfg.name == 'child' and cfg.steps == 7 and cfg.env_variables == {'RK_TEST_STEPS': '7'}
    assert cfg.model == dict(type='A', width=8, loss=dict(type='L1Loss', _scope_=None)) or \
        cfg.model == dict(type='A', width=8, loss=dict(type='L1Loss'))
    assert 'type: A' in cfg.text and '_base_.model.width * 2' in cfg.text


def test_options_stay_with_the_config(root, tmp_path):
    cfg = config.load_config('cid/cid_quickstart', {'train_cfg.max_iters': 5, 'phases.adapt.seed': 1})
    cfg.dump(tmp_path / 'dumped.py')
    copies = [cfg, cfg.copy(), copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg)),
              config.load_config(tmp_path / 'dumped.py'), config.config_from_json(config.config_to_json(cfg))]
    for again in copies:
        assert isinstance(again, config.RestoreConfig)
        assert [config.phase_config(again, name).train_cfg.max_iters for name in again.phases] == [5, 5, 5]
        assert config.phase_config(again, 'adapt').seed == 1 and 'phases' not in config.phase_config(again, 'adapt')
    with pytest.raises(config.ConfigError, match="'adpt' is not in the phases of this config; did you mean 'adapt'"):
        config.phase_config(cfg, 'adpt')


@pytest.mark.parametrize('name, text, message', [
    ('c.yaml', "a: !!python/object/apply:os.mkdir ['made']", 'not valid YAML'),
    ('c.yaml', 'a: [', 'not valid YAML'), ('c.json', '[' * 100000, 'not valid JSON'), ('c.yaml', '[1]', 'holds a list'),
    ('c.yaml', 'a: &a [*a]', 'more than 100000 values'),
    ('c.yml', ''.join(f'{b}: &{b} [{", ".join(["*" + a] * 9)}]\n' for a, b in zip('abcdefg', 'bcdefgh', strict=True)),
     'not valid YAML|more than 100000 values')])
def test_configs_of_data_are_read_as_data(tmp_path, monkeypatch, name, text, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, ('a: &a [x]\n' if name == 'c.yml' else '') + text)
    for path in (name, write(tmp_path / 'child.py', f"_base_ = './{name}'\n")):
        with pytest.raises(config.ConfigError, match=message) as caught:
            config.load_config(path)
        assert name in str(caught.value) and not (tmp_path / 'made').exists()


def test_a_deep_config_is_written_in_time_that_grows_with_its_size():
    value = 1
    for _ in range(150):
        value = [value]
    text = config.RestoreConfig(dict(a=value)).pretty_text
    names = {}
    exec(text, names)
    assert names['a'] == value


@pytest.mark.parametrize('text', ['a = "\0"', 'a = ' + '-' * 100000 + '1', 'a = ' + '9' * 5000])
def test_text_that_python_cannot_compile_is_no_config(tmp_path, text):
    with pytest.raises(config.ConfigError, match='not valid Python'):
        config.load_config(write(tmp_path / 'c.py', text))


def test_a_folder_of_temporary_files_that_fails_is_named(root, tmp_path, monkeypatch):
    monkeypatch.setattr('tempfile.tempdir', str(write(tmp_path / 'file', '')))
    with pytest.raises(WriteError, match='the folder of temporary files, .*file, cannot be written to .*TMPDIR'):
        config.load_config('cid/cid_quickstart')
