"""The only file that patches mmengine, and that does nothing else.

Nothing here changes mmengine for another project in the same process: what is replaced for good answers differently
for the package name ``restorekit`` only, and what fails on newer Pythons is mended only while restorekit itself calls
mmengine. Each patch of the second kind is made only where the thing fails (a feature test, never a version number).
"""

import functools
import importlib
import importlib.util
import inspect
import os.path as osp
import sys
import threading
import types
from contextlib import contextmanager

PACKAGE = 'restorekit'


# ---- for good: the package name restorekit

def register_package():
    """Make our configs known to mmengine's own functions as ``restorekit::``, as soon as someone imports those."""
    def of_config(name):
        return lambda *args: getattr(importlib.import_module(f'{PACKAGE}.config'), name)(*args)
    _when_imported('mmengine.config', lambda: add_package(of_config('package_file'), of_config('package_metainfo'),
                                                          osp.dirname(osp.abspath(__file__))))


def _when_imported(name, function):
    """Call a function once a module has been imported: now, where it has been."""
    if name in sys.modules:
        function()
    elif not any(isinstance(finder, _Watch) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch(name, function))


class _Watch:
    """A finder of one module, that finds it as the others do and calls a function after it has run."""

    def __init__(self, name, function):
        self.name, self.function = name, function

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            run = spec.loader.exec_module

            def run_and_call(module):
                run(module)
                self.function()
            spec.loader.exec_module = run_and_call
        return spec


def add_package(find_config, find_metainfo, folder):
    """Let mmengine's own functions find restorekit's configs: ``get_config('restorekit::cid/cid_quickstart')``.

    Args:
        find_config (Callable): From a config's name to its file; raises FileNotFoundError.
        find_metainfo (Callable): From a config's name to its entry in the model index; raises ValueError.
        folder (str): Where the package is.
    """
    from mmengine.config import utils
    from mmengine.utils import package_utils
    if PACKAGE in utils.MODULE2PACKAGE:
        return
    utils.MODULE2PACKAGE[PACKAGE] = PACKAGE
    ours = {
        package_utils.is_installed: lambda package: True,
        package_utils.get_installed_path: lambda package: folder,
        utils._get_external_cfg_path: lambda package_path, name: find_config(name),
        utils._get_external_cfg_base_path: lambda package_path, name: find_config(name),
        utils._get_cfg_metainfo: lambda package_path, name: find_metainfo(name),
    }
    for original, replacement in ours.items():
        _rebind(original, _for_restorekit(original, replacement, folder))


def _for_restorekit(original, replacement, folder):
    @functools.wraps(original)
    def function(package, *args, **kwargs):
        ours = package == PACKAGE or osp.abspath(package) == folder
        return replacement(package, *args, **kwargs) if ours else original(package, *args, **kwargs)
    return function


# ---- while restorekit calls mmengine

@contextmanager
def config_reading():
    """While it lasts, mmengine reads configs on newer Pythons: installed packages, the standard library's modules."""
    from mmengine.config import utils
    from mmengine.utils import package_utils
    with _lock:
        shims = {getattr(package_utils, shim.__name__): shim for shim in (is_installed, get_installed_path)}
        shims = {original: shim for original, shim in shims.items() if _mentions(original, 'pkg_resources')}
        known = utils._is_builtin_module
        if not all(map(known, ('os', 'math', 'copy', 'functools'))):  # so in any virtual environment
            shims[known] = lambda name: name.split('.')[0] in sys.stdlib_module_names or known(name)
        with _replaced(shims):
            yield


@contextmanager
def runner_building():
    """While it lasts, mmengine builds models and optimizers on newer Pythons."""
    from mmengine.utils import dl_utils
    original = dl_utils.mmcv_full_available
    with _lock, _replaced({original: mmcv_full_available} if _mentions(original, 'find_loader') else {}):
        yield


_lock = threading.RLock()  # one thread at a time replaces and sets back


@contextmanager
def _replaced(shims):
    for original, shim in shims.items():
        _rebind(original, shim)
    try:
        yield
    finally:
        for original, shim in shims.items():
            _rebind(shim, original)


def _rebind(original, replacement):
    """Rebind ``original`` in every loaded module of mmengine that holds it."""
    for name, module in list(sys.modules.items()):
        if name.partition('.')[0] == 'mmengine' and isinstance(module, types.ModuleType):
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, replacement)


def _mentions(function, name):
    return name in inspect.unwrap(function).__code__.co_names


def _find_spec(module):
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):  # no parent package, or no module's name at all
        return None



# ---- installed packages, without pkg_resources, which is gone in setuptools 82 and blind to editable installs

def is_installed(package):
    """Say whether ``package`` is installed, or is a module that can be imported."""
    import importlib.metadata
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
    import importlib.metadata
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
    import importlib.metadata
    distribution = importlib.metadata.distribution(package)
    names = (distribution.read_text('top_level.txt') or '').split()
    names += [file.parts[0] for file in distribution.files or () if len(file.parts) > 1 and file.suffix == '.py']
    names = [name for name in names if name.isidentifier()]
    if not names:
        raise ValueError(f'can not infer the module name of {package}')
    return names[0]


# ---- pkgutil.find_loader is gone in Python 3.14

def mmcv_full_available():
    """Say whether mmcv is installed with its compiled operators."""
    return _find_spec('mmcv._ext') is not None
