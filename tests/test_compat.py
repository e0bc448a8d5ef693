"""restorekit.compat: what mmengine's own functions say of restorekit, and what it cannot do without our shims."""

import contextlib
import importlib.metadata
import inspect
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config
from mmengine.config import config as config_module
from mmengine.config import utils as config_utils
from mmengine.utils import dl_utils, package_utils
from mmengine.utils.dl_utils import misc

from restorekit import compat, config

ROOT = Path(compat.__file__).parents[1]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder with configs and an index, taken for restorekit's own."""
    root = tmp_path / 'repository'
    files = {
        'configs/_base_/runtime.py': "log_level = 'INFO'\nmodel = dict(type='A', width=4)\n",
        'configs/cid/small.py': "_base_ = '../_base_/runtime.py'\nmodel = dict(width=8)\n",
        'configs/cid/metafile.yml': 'Models:\n- Name: small\n  Config: configs/cid/small.py\n  Weights: https://x.org/s.pth\n',
        'model-index.yml': 'Import:\n- configs/cid/metafile.yml\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr('restorekit.config.files.mim_root', lambda: root)
    return root


def write(folder, **files):
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return folder / f'{next(iter(files))}.py'


# ---- what changes for another project: nothing

PROBE = '''
import json, sys, logging
def observe():
    """What mmengine makes of configs, registries and logs, and the functions it does so with."""
    from mmengine.config import Config, ConfigDict, DictAction, config, utils
    from mmengine.logging import HistoryBuffer, MessageHub, MMLogger
    from mmengine.registry import HOOKS, MODELS, Registry, DefaultScope
    from mmengine.runner import Runner
    from mmengine.runner.checkpoint import CheckpointLoader
    def tried(function, *args, **kwargs):
        try:
            return repr(function(*args, **kwargs))
        except Exception as error:
            return f'{type(error).__name__}: {error}'
    seen = dict(
        dataset=tried(Config._merge_a_into_b, dict(dataset=dict(type='B')), dict(dataset=dict(type='A', x=1))),
        number=tried(Config._merge_a_into_b, dict(a=dict(x=1)), dict(a=1)),
        text=tried(lambda: Config(dict(b=1, a=dict(d=1, c=[1]))).pretty_text),
        diff=tried(Config.diff, Config(dict(a=1, b=2)), Config(dict(b=2, a=1))),
        unknown=tried(MODELS.build, dict(type='NoSuchModel')),
        hook=tried(HOOKS.get, 'SafeCheckpointHok'),
        installed=tried(package_is_installed, 'mmengine'), missing=tried(package_is_installed, 'no-such-package'),
        builtin=[config._is_builtin_module(name) for name in ('os', 'math', 'torch')],
        scope=tried(DefaultScope.get_current_instance),
        external=tried(Config._get_cfg_path, 'mmdet::a/b.py', 'x.py'))
    history = HistoryBuffer([[1., 2.], [3., 4.]], [[1, 1], [1, 1]])
    history.update(5)
    seen['history'] = repr(history.data)
    seen['functions'] = {f'{owner.__name__}.{name}': id(value)
                         for owner in (Config, ConfigDict, DictAction, HistoryBuffer, MessageHub, MMLogger, Registry,
                                       Runner, CheckpointLoader) for name, value in vars(owner).items()
                         if not name.startswith(('_instance_dict', '__'))}
    seen['schemes'] = {key: id(value) for key, value in CheckpointLoader._schemes.items()}
    seen['globals'] = sorted(vars(config))
    return seen
def package_is_installed(name):
    from mmengine.utils import is_installed
    return is_installed(name)
before = observe()
import restorekit, restorekit.cli.main, restorekit.engine, restorekit.models, restorekit.datasets, restorekit.evaluation
from restorekit.engine import MultiPhaseRunner
restorekit.load_config('cid/cid_quickstart')
print(json.dumps([before, observe()]))
'''


@pytest.mark.slow
def test_importing_restorekit_changes_nothing_for_another_project():
    result = subprocess.run([sys.executable, '-c', PROBE], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    before, after = json.loads(result.stdout.splitlines()[-1])
    assert before == after
    assert before['dataset'] == "{'dataset': {'type': 'B', 'x': 1}}" and before['number'].startswith('TypeError')
    assert 'NoSuchModel is not in the' in before['unknown']


@pytest.mark.slow
def test_mmengine_finds_our_configs_also_when_it_is_imported_later():
    code = ('import sys, restorekit; assert "mmengine" not in sys.modules\n'
            'from mmengine.hub import get_config; print(get_config("restorekit::cid/cid_quickstart").filename)')
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.stdout.strip().endswith('cid_quickstart.py'), result.stderr


def test_import_needs_no_torch():
    code = 'import sys, restorekit; restorekit.load_config("cid/cid_quickstart"); print("torch" in sys.modules)'
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == 'False', result.stderr


# ---- our configs, to mmengine's own functions

@pytest.mark.parametrize('name', ['cid/small.py', 'cid/small'])
def test_configs_are_found_by_package_name(tree, tmp_path, name):
    from mmengine.hub import get_config
    child = write(tmp_path, child=f"_base_ = 'restorekit::{name}'\nextra = 1\n")
    cfg = Config.fromfile(child)
    assert cfg.model.width == 8 and cfg.log_level == 'INFO' and cfg.extra == 1
    cfg = get_config(f'restorekit::{name}', pretrained=True)
    assert cfg.model == {'type': 'A', 'width': 8} and cfg.model_path == 'https://x.org/s.pth'
    assert get_config('restorekit::_base_/runtime.py').model.width == 4  # no metafile names it
    with pytest.raises(FileNotFoundError, match='restorekit::cid/none.py'):
        get_config('restorekit::cid/none.py')


def test_other_packages_go_to_mmengine(tree, monkeypatch):
    seen = []
    monkeypatch.setattr(compat, '_rebind', lambda original, replacement: seen.append((original, replacement)))
    monkeypatch.setattr(config_utils, 'MODULE2PACKAGE', {})
    compat.register_package()
    for original, replacement in seen:
        assert replacement.__wrapped__ is original
    functions = {original.__name__: replacement for original, replacement in seen}
    assert functions['is_installed']('restorekit') is True
    assert functions['get_installed_path']('restorekit') == str(config.files.PACKAGE_ROOT)
    with pytest.raises(FileNotFoundError, match='/elsewhere/.mim/model-index.yml'):
        functions['_get_cfg_metainfo']('/elsewhere', 'cid/small')
    compat.register_package()
    assert len(seen) == 5  # once


def test_package_name_is_unknown_to_mmengine_alone(tree, tmp_path, monkeypatch):
    child = write(tmp_path, child="_base_ = 'restorekit::cid/small.py'\n")
    monkeypatch.setattr(config_utils, 'MODULE2PACKAGE', {})
    with pytest.raises(AssertionError, match='does not support to load restorekit'):
        Config.fromfile(child)


def test_configs_of_a_wheel_come_before_the_folder_above(tmp_path, monkeypatch):
    package = tmp_path / 'restorekit'
    monkeypatch.setattr('restorekit.config.files.PACKAGE_ROOT', package)
    (tmp_path / 'configs').mkdir()
    with pytest.raises(FileNotFoundError, match='has no configs'):  # someone else's: site-packages/configs
        config.mim_root()
    (tmp_path / 'pyproject.toml').touch()
    assert config.mim_root() == tmp_path
    (package / '.mim/configs').mkdir(parents=True)
    assert config.mim_root() == package / '.mim'


def test_hub_builds_our_models():
    from mmengine.hub import get_config, get_model
    assert get_config('restorekit::cid/cid_quickstart.py').model.type == 'CIDRestorer'
    assert type(get_model('restorekit::cid/cid_quickstart.py')).__name__ == 'CIDRestorer'


# ---- newer Pythons, in our own calls

def fails_alone(module, word, error):
    """Expect MMEngine's own function to fail where its module uses ``word``; successors have mended some."""
    return pytest.raises(error, match=word) if word in inspect.getsource(module) else contextlib.nullcontext()


def _has(package):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return bool(importlib.metadata.version(package))
    return False


def test_packages_are_found_without_pkg_resources(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    opencv = next(name for name in ('opencv-python', 'opencv-python-headless') if _has(name))
    assert compat.is_installed('mmengine') and compat.is_installed(opencv) and compat.is_installed('cv2')
    assert not compat.is_installed('no-such-package') and not compat.is_installed('no.such.module')
    assert compat.get_installed_path('mmengine') == str(Path(mmengine.__file__).parent)
    assert compat.get_installed_path(opencv) == compat.get_installed_path('cv2')
    assert compat.package2module(opencv) == 'cv2'
    with pytest.raises(importlib.metadata.PackageNotFoundError, match='no-such-package'):
        compat.get_installed_path('no-such-package')
    with fails_alone(package_utils, 'pkg_resources', ModuleNotFoundError):  # MMEngine alone
        package_utils.is_installed('mmengine')
    with compat.config_reading():
        assert package_utils.is_installed('mmengine') and config_module.is_installed('cv2')
    with fails_alone(package_utils, 'pkg_resources', ModuleNotFoundError):
        config_module.is_installed('mmengine')


def test_module_on_the_path_and_editable_install_have_a_folder(tmp_path, monkeypatch):
    package = tmp_path / 'source' / 'rk_editable'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (tmp_path / 'source' / 'rk_namespace').mkdir()
    info = tmp_path / 'site' / 'rk_editable_project-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: rk-editable-project\nVersion: 1.0\n')
    (info / 'top_level.txt').write_text('rk_editable\n')
    monkeypatch.syspath_prepend(str(tmp_path / 'source'))
    assert compat.is_installed('rk_editable') and not compat.is_installed('rk_namespace')
    assert compat.get_installed_path('rk_editable') == str(package)
    with pytest.raises(RuntimeError, match='rk_namespace is a namespace package'):
        compat.get_installed_path('rk_namespace')
    assert not compat.is_installed('rk-editable-project')
    monkeypatch.syspath_prepend(str(tmp_path / 'site'))  # the distribution's files are elsewhere than its code
    assert compat.is_installed('rk-editable-project')
    assert compat.get_installed_path('rk-editable-project') == str(package)


STDLIB_CONFIG = """_base_ = 'base.py'
import copy
import math
import os
from functools import partial
width = math.floor(8.5)
folder = os.path.join('a', 'b')
model = dict(widths=copy.deepcopy([1, 2]))
del partial
"""


def test_text_config_may_import_the_standard_library(tmp_path):
    path = write(tmp_path, child=STDLIB_CONFIG, base="import os\nmodel = dict(type='A')\nsep = os.sep\n")
    cfg = config.load_config(path)
    assert cfg.to_dict() == {'model': {'type': 'A', 'widths': [1, 2]}, 'sep': '/', 'width': 8, 'folder': 'a/b',
                             'default_scope': 'restorekit'}
    if not config_utils._is_builtin_module('os'):  # frozen: it has no file
        with pytest.raises(RuntimeError, match='inheritance chain'):
            Config.fromfile(path)


def test_lazy_config_may_import_the_standard_library(tmp_path):
    path = write(tmp_path, lazy='import math\nfrom mmengine.config import read_base\nfrom functools import partial\n'
                                'from torch.optim import SGD\nwith read_base():\n    from .base import *\n'
                                'scale = math.sqrt(4.)\noptimizer = dict(type=SGD, lr=partial(float, 2.)())\n',
                 base='import os\nsep = os.sep\n')
    cfg = config.load_config(path, {'optimizer.weight_decay': 0.1})
    assert cfg.scale == 2. and cfg.sep == '/' and cfg.optimizer.lr == 2.
    assert cfg.to_dict()['optimizer'] == dict(type='torch.optim.SGD', lr=2., weight_decay=0.1)


def test_mmcv_without_find_loader(monkeypatch):
    monkeypatch.delattr(pkgutil, 'find_loader', raising=False)
    from mmengine.model import revert_sync_batchnorm
    from torch import nn
    with fails_alone(misc, 'find_loader', AttributeError):
        revert_sync_batchnorm(nn.Linear(1, 1))
    with compat.runner_building():
        assert dl_utils.mmcv_full_available() is False  # mmcv-lite has no compiled operators
        assert isinstance(revert_sync_batchnorm(nn.Sequential(nn.SyncBatchNorm(2)))[0],
                          nn.modules.batchnorm._BatchNorm)
    with fails_alone(misc, 'find_loader', AttributeError):
        dl_utils.mmcv_full_available()


def test_shims_are_taken_back_after_an_error():
    functions = package_utils.is_installed, config_utils._is_builtin_module, config_module._is_builtin_module
    with pytest.raises(ZeroDivisionError), compat.config_reading(), compat.config_reading():
        raise ZeroDivisionError
    assert (package_utils.is_installed, config_utils._is_builtin_module, config_module._is_builtin_module) == functions


def test_mmengine_that_needs_no_shim_is_left_alone(monkeypatch):
    def fine(package):
        return True

    for module in ('mmengine.utils.package_utils', 'mmengine.utils', 'mmengine.config.config'):
        monkeypatch.setattr(f'{module}.is_installed', fine)
        monkeypatch.setattr(f'{module}._is_builtin_module', fine, raising=False)
    monkeypatch.setattr(config_utils, '_is_builtin_module', fine)
    with compat.config_reading():
        assert package_utils.is_installed is fine and config_utils._is_builtin_module is fine
