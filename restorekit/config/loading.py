"""Loading a config: its bases, its phases and options merged by one rule, errors with file and line."""

import ast
import errno
import json
import os
import tempfile
import traceback
import types
import warnings
from pathlib import Path

import yaml
from mmengine.config import Config, ConfigDict

from restorekit import compat
from restorekit.merging import join_options, lay_over, merge, tidy
from restorekit.messages import UserError, WriteError, unknown_name_message

from .bases import check_bases
from .custom_imports import import_modules
from .error import ConfigError
from .files import find_config, packaged_config
from .written import RestoreConfig

_MAX_VALUES = 100_000


def load_config(name, options=None, data_root=None):
    """Load a config by path or name.

    Its ``_base_`` files, its phases and the options are merged by one rule: :func:`~restorekit.merging.merge`.

    Args:
        name (str | Path): As for :func:`find_config`.
        options (dict | None): Changes, with dotted keys, as ``--cfg-options`` gives them:
            ``{'train_dataloader.batch_size': 2}``. They hold in every phase; ``phases.NAME.KEY`` is for one.
        data_root (str | Path | None): Where the datasets are; becomes ``cfg.data_root``.

    Returns:
        RestoreConfig: With ``default_scope='restorekit'`` unless the file says otherwise.

    Raises:
        FileNotFoundError: If the config or one of its ``_base_`` is missing.
        ConfigError: If the config has an error; the message gives the file and the line.

    Example:
        >>> load_config('cid/cid_quickstart', {'randomness.seed': 1})  # doctest: +SKIP
    """
    path = find_config(name)
    files = {}
    check_bases(path, files)
    try:
        with compat.config_reading():
            cfg = _read_config(path)
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and (error.errno in (errno.ENOSPC, errno.EDQUOT) or (
                tempfile.tempdir and str(error.filename).startswith(tempfile.tempdir))):
            raise WriteError(error.errno, f'the folder of temporary files, {tempfile.tempdir}, cannot be written to '
                             f'({error.strerror}); make room, or name another in TMPDIR') from error
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if Path(frame.filename).suffix == '.py' and Path(frame.filename).resolve() in files]
        where = f'{frames[-1].filename}, line {frames[-1].lineno}' if frames else str(path)
        raise ConfigError(f'{where}: the config cannot be read: {type(error).__name__}: {error}') from error
    if cfg.get('default_scope') is None:
        cfg.default_scope = 'restorekit'
    if options:
        tree = join_options(options)
        phases, changed = cfg.get('phases') or {}, tree.get('phases') or {}
        if not isinstance(phases, dict) or not isinstance(changed, dict):
            raise ConfigError(f'{path}: phases must be a dict of phases, but got '
                              f'{phases if not isinstance(phases, dict) else changed!r}')
        for phase in changed:
            if phase not in phases:
                raise ConfigError(f'{path}: ' + unknown_name_message(phase, phases, 'phases of this config'))
        try:
            cfg.merge_from_dict(options)
        except UserError as error:
            raise ConfigError(f'the options {options} do not fit {path}: {error}') from error
    if data_root is not None:
        cfg.data_root = str(data_root)
    for key in ('data_root', 'work_dir', 'load_from'):
        if isinstance(cfg.get(key), str):
            cfg[key] = os.path.expanduser(cfg[key])
    if isinstance(cfg.get('phases'), dict):
        base = {key: value for key, value in dict.items(cfg._cfg_dict) if key != 'phases'}
        cfg.phases = {name: tidy(phase, base) for name, phase in dict.items(cfg.phases)}
    import_modules(cfg.get('custom_imports'), path)
    return cfg


def phase_config(cfg, name):
    """Return the complete config of a phase: the config with the phase's overrides laid over it, without ``phases``.

    Args:
        cfg (Config): A config with ``phases``.
        name (str): One of them.

    Raises:
        ConfigError: If there is no such phase, or it is not a dict.
    """
    phases = cfg.get('phases') or {}
    if name not in phases:
        raise ConfigError(f'{cfg.filename}: ' + unknown_name_message(name, phases, 'phases of this config'))
    override = phases[name] if phases[name] is not None else {}
    if not isinstance(override, dict):
        raise ConfigError(f'{cfg.filename}: phase {name!r} must be a dict of overrides, but got {override!r}')
    base = {key: value for key, value in cfg.to_dict().items() if key != 'phases'}
    override = override.to_dict() if isinstance(override, ConfigDict) else override
    return RestoreConfig(merge(base, override), filename=cfg.filename)


def _read_config(path):
    marked = path.read_bytes().startswith(b'\xef\xbb\xbf')  # which MMEngine cannot look into
    if not marked and Config._is_lazy_import(str(path)):  # with read_base(): Python imports, merged by nobody
        lazy = Config.fromfile(str(path), lazy_import=True)
        cfg = RestoreConfig(lazy._cfg_dict, filename=str(path))
        object.__setattr__(cfg, '_imported_names', lazy._imported_names)
        return cfg
    data, text, variables = _read_chain(path)
    return RestoreConfig(data, cfg_text=text, filename=str(path), env_variables=variables)


def _read_chain(path):
    """Read a config and all its bases; returns the merged dict, the text of all files, and what the environment set."""
    with tempfile.TemporaryDirectory() as folder:
        copy = str(Path(folder, path.name))
        Config._substitute_predefined_vars(str(path), copy)
        text = Path(copy).read_text(encoding='utf-8')
        Path(copy).write_text(text.removeprefix('\ufeff'), encoding='utf-8')  # the mark that Windows editors write
        variables = Config._substitute_env_variables(copy, copy)
        placeholders = Config._pre_substitute_base_vars(copy, copy)
        own = None if path.suffix == '.py' else _read_data(copy, path)  # before MMEngine, which runs tags of YAML
        bases = Config._get_base_files(copy)
        source = Path(copy).read_text(encoding='utf-8')
    base, texts = ConfigDict(), []
    for name in bases:
        file, scope = (packaged_config(name.removeprefix('restorekit::')), None) if name.startswith('restorekit::') \
            else Config._get_cfg_path(name, str(path))
        data, text, more = _read_chain(Path(file))
        base.update(Config._dict_to_config_dict(ConfigDict(data), scope))
        variables.update(more)
        texts.append(text)
    if own is None:
        tree = ast.parse(source)
        tree.body = [node for node in tree.body if not _sets_base(node)]
        names = {'_base_': base}
        exec(compile(tree, str(path), 'exec'), names)
        own = {key: value for key, value in names.items() if not key.startswith('__') and key != '_base_'
               and not isinstance(value, (types.FunctionType, types.ModuleType))}
    own.pop('_base_', None)
    Config._parse_scope(own)
    if '_deprecation_' in own:
        warnings.warn(f'{path} is deprecated: {own.pop("_deprecation_")}', DeprecationWarning, stacklevel=2)
    own = Config._substitute_base_vars(own, placeholders, base)
    return lay_over(base, own), '\n'.join([*texts, f'{path}\n{path.read_text(encoding="utf-8")}']), variables


def _read_data(copy, path):
    """Read a config in YAML or JSON as data; ``path`` is its file for errors."""
    text = Path(copy).read_text(encoding='utf-8')
    try:
        data = json.loads(text) if path.suffix == '.json' else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f'{path}: the config is not valid {path.suffix[1:].upper()}: {error}') from error
    if not isinstance(data, dict):
        raise ConfigError(f'{path}: a config is a dict of its keys, but this holds a {type(data).__name__}')
    waiting, count = [data], 0  # what is named many times, as YAML can, is copied as often
    while waiting:
        node = waiting.pop()
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        count += 1
        if count + len(waiting) > _MAX_VALUES:
            raise ConfigError(f'{path}: the config has more than {_MAX_VALUES} values')
    return data


def _sets_base(node):
    return isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', None) == '_base_'
