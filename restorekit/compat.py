"""The only file that patches mmengine.

Each shim is installed only where the thing fails (a feature test, never a version number), and keeps what it replaced
as ``__wrapped__``. ``patch_mmengine`` needs no torch; ``patch_runner`` does. Both may be called any number of times.
"""

import importlib.metadata
import importlib.util
import os.path as osp
import sys
import types
from contextlib import contextmanager
from pathlib import Path

PACKAGE = 'restorekit'
PACKAGE_ROOT = Path(__file__).resolve().parent


def mim_root():
    """Return the folder that holds ``configs`` and ``model-index.yml``: ``restorekit/.mim`` of an installed wheel, else
    the root of the repository (an editable install builds no ``.mim``).

    Raises:
        FileNotFoundError: If neither has a ``configs`` folder.
    """
    installed, repository = PACKAGE_ROOT / '.mim', PACKAGE_ROOT.parent
    if (installed / 'configs').is_dir():
        return installed
    if (repository / 'configs').is_dir() and (repository / 'pyproject.toml').is_file():  # not site-packages/configs
        return repository
    raise FileNotFoundError(f'restorekit has no configs: neither {installed / "configs"} nor {repository / "configs"} '
                            'holds them. Install the wheel again, or work from a clone of the repository.')


def packaged_config(name):
    """Return the file of our config ``name`` (with or without ``.py``), None if there is none."""
    root = mim_root() / 'configs'
    return next((path for path in (root / name, root / f'{name}.py') if path.is_file()), None)


def patch_mmengine():
    """Make mmengine's torch-free half whole: what is installed, where our configs are, how configs read and write."""
    from mmengine.config import Config, config, utils
    from mmengine.utils import package_utils

    for shim in (is_installed, get_installed_path, package2module):
        original = getattr(package_utils, shim.__name__, None)
        if _mentions(original, 'pkg_resources'):  # gone in setuptools 82, and blind to editable installs
            _replace(original, shim)

    if PACKAGE not in utils.MODULE2PACKAGE:
        utils.MODULE2PACKAGE[PACKAGE] = PACKAGE
        for shim in (_get_external_cfg_path, _get_external_cfg_base_path, _get_cfg_metainfo):
            _replace(getattr(utils, shim.__name__), shim)

    known = utils._is_builtin_module
    if not all(map(known, ('os', 'math', 'copy', 'functools'))):  # so in any virtual environment
        _replace(known, _is_builtin_module)

    try:
        Config._merge_a_into_b({'a': {}}, {'a': 1})
    except TypeError:
        merge = Config._merge_a_into_b
        Config._merge_a_into_b = staticmethod(_merge_a_into_b)
        _merge_a_into_b.__wrapped__ = merge

    if Config({'b': 1, 'a': 1}, format_python_code=False).pretty_text.startswith('a'):
        config.sorted = _unsorted  # a dumped config must keep the order of its dicts: phases run in it


def patch_runner():
    """Make mmengine's runner half whole (imports torch): newer Pythons, and checkpoints that cannot run code."""
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import checkpoint
    from mmengine.utils import dl_utils

    from . import checkpoint as ours

    if _mentions(dl_utils.mmcv_full_available, 'find_loader'):  # gone in Python 3.14
        _replace(dl_utils.mmcv_full_available, mmcv_full_available)
    if _find_spec('distutils') is None and _mentions(dl_utils.collect_env, 'distutils'):  # gone in Python 3.12
        _replace(dl_utils.collect_env, _collect_env)

    if _mentions(HistoryBuffer.update, 'append'):  # copies the whole history, of every scalar, at every iteration
        _append_to_history.__wrapped__ = HistoryBuffer.update
        HistoryBuffer.update = _append_to_history

    schemes = checkpoint.CheckpointLoader
    if schemes._schemes[''] is not ours.load_from_local:
        schemes.register_scheme(prefixes='', loader=ours.load_from_local, force=True)
        schemes.register_scheme(prefixes=('http://', 'https://'), loader=ours.load_from_http, force=True)
        _replace(checkpoint.load_from_local, ours.load_from_local)
        _replace(checkpoint.load_from_http, ours.load_from_http)  # torchvision:// and openmmlab:// go through it


def _mentions(function, name):
    return function is not None and name in function.__code__.co_names


def _find_spec(module):
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):  # no parent package, or no module's name at all
        return None


def _replace(original, replacement):
    """Rebind ``original`` in every loaded module of mmengine that holds it."""
    replacement.__wrapped__ = original
    for name, module in list(sys.modules.items()):
        if name.partition('.')[0] == 'mmengine' and isinstance(module, types.ModuleType):
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, replacement)


# ---- installed packages, without pkg_resources

def is_installed(package):
    """Say whether ``package`` is installed, or is a module that can be imported."""
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        spec = _find_spec(package)
        return spec is not None and spec.origin is not None
    return True


def get_installed_path(package):
    """Return the folder of ``package``, however it was installed (wheel, editable) or if it is only on ``sys.path``.

    Raises:
        importlib.metadata.PackageNotFoundError: If there is no such package.
        RuntimeError: If it is a namespace package, which has no folder of its own.
    """
    spec = _find_spec(package)
    if spec is None:
        spec = _find_spec(package2module(package))
    if spec is None:
        raise importlib.metadata.PackageNotFoundError(package)
    if spec.origin is None:
        raise RuntimeError(f'{package} is a namespace package, which is invalid for `get_install_path`')
    return osp.dirname(osp.abspath(spec.origin))


def package2module(package):
    """Return the module that the distribution ``package`` installs (``opencv-python``: ``cv2``).

    Raises:
        importlib.metadata.PackageNotFoundError: If there is no such distribution.
        ValueError: If it installs no module.
    """
    distribution = importlib.metadata.distribution(package)
    names = (distribution.read_text('top_level.txt') or '').split()
    names += [file.parts[0] for file in distribution.files or () if len(file.parts) > 1 and file.suffix == '.py']
    names = [name for name in names if name.isidentifier()]
    if not names:
        raise ValueError(f'can not infer the module name of {package}')
    return names[0]


# ---- our configs under the name restorekit::

def _is_ours(package_path):
    return Path(package_path).resolve() == PACKAGE_ROOT


def _get_external_cfg_path(package_path, cfg_file):
    if not _is_ours(package_path):
        return _get_external_cfg_path.__wrapped__(package_path, cfg_file)
    path = packaged_config(cfg_file)
    if path is None:
        raise FileNotFoundError(f'restorekit::{cfg_file} is not among the configs in {mim_root() / "configs"}')
    return str(path)


def _get_external_cfg_base_path(package_path, cfg_name):
    if not _is_ours(package_path):
        return _get_external_cfg_base_path.__wrapped__(package_path, cfg_name)
    return _get_external_cfg_path(package_path, cfg_name)


def _get_cfg_metainfo(package_path, cfg_path):
    """Return the model of our index whose config is ``cfg_path``; mmengine takes a ValueError to mean there is none."""
    if not _is_ours(package_path):
        return _get_cfg_metainfo.__wrapped__(package_path, cfg_path)
    from mmengine.fileio import load
    root = mim_root()
    wanted = Path(_get_external_cfg_path(package_path, cfg_path))
    index = root / 'model-index.yml'
    for metafile in load(index)['Import'] if index.is_file() else ():
        for model in load(root / metafile)['Models']:
            if 'Config' in model and root / model['Config'] == wanted:
                return {**model, 'Config': str(wanted)}  # absolute: mmengine joins it to a folder that may not exist
    raise ValueError(f'no metafile names the config {cfg_path}')


# ---- the standard library in configs

def _is_builtin_module(module_name):
    return module_name.split('.')[0] in sys.stdlib_module_names or _is_builtin_module.__wrapped__(module_name)


def _merge_a_into_b(a, b, allow_list_keys=False):
    """Merge a child config into its base, as ``__wrapped__``; a dict replaces what is none, and a data set another.

    mmengine refuses the first, and gives a data set the arguments of the one whose ``type`` it has not.
    """
    def replaces(key, new, old):
        if not isinstance(new, dict) or isinstance(old, list):
            return False
        return not isinstance(old, dict) or (
            key == 'dataset' and 'type' in new and 'type' in old and new['type'] != old['type'])

    if isinstance(b, dict) and not allow_list_keys:  # as it is when options are merged, whose keys may be typos
        a = {key: {**value, '_delete_': True} if key in b and replaces(key, value, b[key]) else value
             for key, value in a.items()}
    return _merge_a_into_b.__wrapped__(a, b, allow_list_keys)


def _unsorted(items, key=None):
    """What ``sorted`` means in the one place where ``mmengine.config.config`` says it: in the writing of dicts."""
    return list(items)


# ---- newer Pythons

def mmcv_full_available():
    """Say whether mmcv is installed with its compiled operators."""
    return _find_spec('mmcv._ext') is not None


def _collect_env():
    """Collect the environment as mmengine does, which only needs the name of one of distutils' errors."""
    with _distutils_errors():
        return _collect_env.__wrapped__()


# ---- long runs

def _append_to_history(self, log_val, count=1):
    """Append a value and its count to a HistoryBuffer, in room that is doubled when it is full."""
    if not isinstance(log_val, (int, float)) or not isinstance(count, (int, float)):
        _append_to_history.__wrapped__(self, log_val, count)  # its error
    import numpy as np
    room, kept = self._log_history.base, len(self._log_history)
    owner, end = self.__dict__.get('_room', (None, 0))
    if owner != id(self) or room is None or end == room.shape[1]:  # new, a copy, or full
        room, end = np.empty((2, max(1024, 2 * kept))), kept
        room[0, :kept], room[1, :kept] = self._log_history, self._count_history
    room[:, end] = log_val, count
    end += 1
    start = end - min(kept + 1, self.max_length)
    self._log_history, self._count_history = room[0, start:end], room[1, start:end]
    self._room = id(self), end


@contextmanager
def _distutils_errors():
    distutils, errors = types.ModuleType('distutils'), types.ModuleType('distutils.errors')
    errors.DistutilsPlatformError = type('DistutilsPlatformError', (Exception,), {})
    distutils.errors = errors
    names = {'distutils': distutils, 'distutils.errors': errors}
    before = {name: sys.modules[name] for name in names if name in sys.modules}
    sys.modules.update(names)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
        sys.modules.update(before)
