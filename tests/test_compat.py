"""Each shim of restorekit.compat: that mmengine works with it, and that it fails without."""

import copy
import importlib.metadata
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.utils import dl_utils, package_utils

from restorekit import compat

compat.patch_runner()


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
    monkeypatch.setattr(compat, 'mim_root', lambda: root)
    return root


def write(folder, **files):
    for name, text in files.items():
        (folder / f'{name}.py').write_text(text)
    return str(folder / f'{next(iter(files))}.py')


# ---- installed packages

def test_packages_are_found_without_pkg_resources(monkeypatch):
    from mmengine.utils import get_installed_path, install_package, is_installed
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    assert is_installed('mmengine') and is_installed('opencv-python') and is_installed('cv2')
    assert not is_installed('no-such-package') and not is_installed('no.such.module')
    assert get_installed_path('mmengine') == str(Path(mmengine.__file__).parent)
    assert get_installed_path('opencv-python') == get_installed_path('cv2')
    assert package_utils.package2module('opencv-python') == 'cv2'
    install_package('mmengine')  # does nothing: it is there
    with pytest.raises(importlib.metadata.PackageNotFoundError, match='no-such-package'):
        get_installed_path('no-such-package')
    for shim in (compat.is_installed, compat.get_installed_path, compat.package2module):
        with pytest.raises(ModuleNotFoundError, match='pkg_resources'):
            shim.__wrapped__('mmengine')


def test_module_on_the_path_and_editable_install_have_a_folder(tmp_path, monkeypatch):
    from mmengine.utils import get_installed_path, is_installed
    package = tmp_path / 'source' / 'rk_editable'
    package.mkdir(parents=True)
    (package / '__init__.py').touch()
    (tmp_path / 'source' / 'rk_namespace').mkdir()
    info = tmp_path / 'site' / 'rk_editable_project-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: rk-editable-project\nVersion: 1.0\n')
    (info / 'top_level.txt').write_text('rk_editable\n')
    monkeypatch.syspath_prepend(str(tmp_path / 'source'))
    assert is_installed('rk_editable') and not is_installed('rk_namespace')
    assert get_installed_path('rk_editable') == str(package)
    with pytest.raises(RuntimeError, match='rk_namespace is a namespace package'):
        get_installed_path('rk_namespace')
    assert not is_installed('rk-editable-project')
    monkeypatch.syspath_prepend(str(tmp_path / 'site'))  # the distribution's files are elsewhere than its code
    assert is_installed('rk-editable-project')
    assert get_installed_path('rk-editable-project') == str(package)


# ---- our configs

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


def test_package_name_is_unknown_to_mmengine_alone(tree, tmp_path, monkeypatch):
    child = write(tmp_path, child="_base_ = 'restorekit::cid/small.py'\n")
    monkeypatch.setattr(config_utils, 'MODULE2PACKAGE', {})
    with pytest.raises(AssertionError, match='does not support to load restorekit'):
        Config.fromfile(child)
    monkeypatch.undo()
    monkeypatch.setattr('mmengine.config.config._get_external_cfg_path', compat._get_external_cfg_path.__wrapped__)
    with pytest.raises(FileNotFoundError):  # it only looks into .mim
        Config.fromfile(child)


def test_configs_of_a_wheel_come_before_the_folder_above(tmp_path, monkeypatch):
    package = tmp_path / 'restorekit'
    monkeypatch.setattr(compat, 'PACKAGE_ROOT', package)
    (tmp_path / 'configs').mkdir()
    with pytest.raises(FileNotFoundError, match='has no configs'):  # someone else's: site-packages/configs
        compat.mim_root()
    (tmp_path / 'pyproject.toml').touch()
    assert compat.mim_root() == tmp_path
    (package / '.mim/configs').mkdir(parents=True)
    assert compat.mim_root() == package / '.mim'


# ---- the standard library in configs

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
    cfg = Config.fromfile(path)
    assert cfg.to_dict() == {'model': {'type': 'A', 'widths': [1, 2]}, 'sep': '/', 'width': 8, 'folder': 'a/b'}


def test_lazy_config_may_import_the_standard_library(tmp_path):
    path = write(tmp_path, lazy='import math\nfrom mmengine.config import read_base\nfrom functools import partial\n'
                                'from torch.optim import SGD\nwith read_base():\n    from .base import *\n'
                                'scale = math.sqrt(4.)\noptimizer = dict(type=SGD, lr=partial(float, 2.)())\n',
                 base='import os\nsep = os.sep\n')
    cfg = Config.fromfile(path)
    assert cfg.scale == 2. and cfg.sep == '/' and cfg.optimizer.lr == 2.
    assert cfg.to_dict()['optimizer']['type'] == 'torch.optim.SGD'


def test_standard_library_in_configs_fails_in_mmengine_alone(tmp_path, monkeypatch):
    original = compat._is_builtin_module.__wrapped__
    assert not original('os')  # frozen: it has no file
    monkeypatch.setattr('mmengine.config.config._is_builtin_module', original)
    path = write(tmp_path, child=STDLIB_CONFIG, base="import os\nmodel = dict(type='A')\nsep = os.sep\n")
    with pytest.raises(RuntimeError, match='inheritance chain'):
        Config.fromfile(path)


def test_dumped_config_keeps_the_order_of_its_dicts(tmp_path, monkeypatch):
    cfg = Config({'phases': {'pretrain': {'b': 1, 'a': 2}, 'adapt': {'c': 3}}, 'model': {'type': 'A'}})
    cfg.dump(tmp_path / 'dumped.py')
    again = Config.fromfile(tmp_path / 'dumped.py').to_dict()
    assert json.dumps(again) == json.dumps(cfg.to_dict())
    monkeypatch.delattr('mmengine.config.config.sorted')
    cfg.dump(tmp_path / 'dumped.py')
    assert list(Config.fromfile(tmp_path / 'dumped.py').phases) == ['adapt', 'pretrain']  # in mmengine alone


# ---- newer Pythons

def test_mmcv_without_find_loader(monkeypatch):
    monkeypatch.delattr(pkgutil, 'find_loader', raising=False)
    from mmengine.model import revert_sync_batchnorm
    from torch import nn
    assert dl_utils.mmcv_full_available() is False  # mmcv-lite has no compiled operators
    assert isinstance(revert_sync_batchnorm(nn.Sequential(nn.SyncBatchNorm(2)))[0], nn.modules.batchnorm._BatchNorm)
    with pytest.raises(AttributeError, match='find_loader'):
        compat.mmcv_full_available.__wrapped__()


def test_environment_without_distutils(monkeypatch):
    original = dl_utils.collect_env
    monkeypatch.setitem(sys.modules, 'distutils', None)
    monkeypatch.setitem(sys.modules, 'distutils.errors', None)
    with pytest.raises(ModuleNotFoundError, match='distutils'):
        original()
    try:
        compat.patch_runner()
        import mmengine.runner.runner
        assert mmengine.runner.runner.collect_env is compat._collect_env
        assert mmengine.runner.runner.collect_env()['MMEngine'] == mmengine.__version__
        assert sys.modules['distutils'] is None  # nothing is left behind
    finally:
        if dl_utils.collect_env is compat._collect_env:
            compat._replace(compat._collect_env, original)


# ---- all of it

def test_patching_again_changes_nothing():
    def bindings():
        return {(name, key): id(value) for name, module in sys.modules.items() if name.split('.')[0] == 'mmengine'
                for key, value in vars(module).items() if callable(value)}

    before, wrapped = bindings(), copy.copy(vars(compat.is_installed))
    compat.patch_mmengine()
    compat.patch_runner()
    assert bindings() == before and vars(compat.is_installed) == wrapped


def test_mmengine_that_needs_no_shim_is_left_alone(monkeypatch):
    def fine(package):
        return True

    for module in ('mmengine.utils.package_utils', 'mmengine.utils', 'mmengine.config.config'):
        monkeypatch.setattr(f'{module}.is_installed', fine)
        monkeypatch.setattr(f'{module}._is_builtin_module', lambda name: True, raising=False)
    monkeypatch.setattr(config_utils, '_is_builtin_module', fine)
    compat.patch_mmengine()
    assert package_utils.is_installed is fine and config_utils._is_builtin_module is fine


def test_import_is_patched_and_needs_no_torch():
    code = ('import json, sys; import restorekit, restorekit.config; from mmengine.config import config as c; '
            'print(json.dumps([c.is_installed.__module__, c._is_builtin_module.__module__, c.is_installed("torch"), '
            '"torch" in sys.modules]))')
    root = Path(compat.__file__).parents[1]
    result = subprocess.run([sys.executable, '-c', code], cwd=root, capture_output=True, text=True, timeout=60)
    assert json.loads(result.stdout) == ['restorekit.compat', 'restorekit.compat', True, False], result.stderr


def test_hub_builds_our_models():
    from mmengine.hub import get_config, get_model
    assert get_config('restorekit::cid/cid_quickstart.py').model.type == 'CIDRestorer'
    assert type(get_model('restorekit::cid/cid_quickstart.py')).__name__ == 'CIDRestorer'
