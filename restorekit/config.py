"""Configs by name, merged by one rule, with errors that say the file and the line (no torch needed)."""

import ast
import errno
import importlib
import json
import keyword
import math
import os
import re
import sys
import tempfile
import traceback
import types
import warnings
from pathlib import Path

import yaml
from mmengine.config import Config, ConfigDict
from mmengine.fileio import load

from . import compat
from .merging import join_options, lay_options, lay_over, merge, tidy
from .messages import MissingFileError, UserError, WriteError, did_you_mean, nearest, unknown_name_message

PACKAGE_ROOT = Path(__file__).resolve().parent
LINE = 120  # characters of a line of a written config
_MAX_VALUES = 100_000


class ConfigError(UserError, ValueError):
    """A config holds a mistake; the message names the file, the key and the nearest valid name."""


class RestoreConfig(Config):
    """MMEngine's config that follows restorekit's merge rule and writes its dicts in the order they were read in.

    The order matters: phases and the steps of a pipeline run in it. MMEngine's class sorts the keys.
    """

    @property
    def pretty_text(self) -> str:
        """The config as Python text that reads back as the same config."""
        return ''.join(f'{key} = {_python(value, len(key) + 3, 0)}\n' for key, value in self.to_dict().items())

    def merge_from_dict(self, options: dict, allow_list_keys: bool = True) -> None:
        """Lay options with dotted keys over the config, as :func:`load_config` does with its ``options``."""
        data = lay_options(self._cfg_dict, join_options(options))
        object.__setattr__(self, '_cfg_dict', ConfigDict(data))


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
    raise MissingFileError(f'restorekit has no configs: neither {installed / "configs"} nor {repository / "configs"} '
                           'holds them. Install the wheel again, or work from a clone of the repository.')


def packaged_config(name):
    """Return the file of our config ``name`` (with or without ``.py``), None if there is none."""
    root = mim_root() / 'configs'
    return next((path for path in (root / name, root / f'{name}.py') if path.is_file()), None)


def package_file(name):
    """Return the file of our config ``name`` as text, as mmengine wants it."""
    path = packaged_config(name)
    if path is None:
        raise MissingFileError(f'restorekit::{name} is not among the configs in {mim_root() / "configs"}')
    return str(path)


def package_metainfo(name):
    """Return the model of our index whose config is ``name``; mmengine takes a ValueError to mean there is none."""
    root = mim_root()
    wanted = Path(package_file(name))
    index = root / 'model-index.yml'
    for metafile in load(index)['Import'] if index.is_file() else ():
        for model in load(root / metafile)['Models']:
            if 'Config' in model and root / model['Config'] == wanted:
                return {**model, 'Config': str(wanted)}  # absolute: mmengine joins it to a folder that may not exist
    raise ConfigError(f'no metafile names the config {name}')


def configs_root():
    """Return the folder of the configs that come with restorekit (of the installed package, else of the repository).

    Raises:
        FileNotFoundError: If there is none.
    """
    return mim_root() / 'configs'


def find_config(name):
    """Return the file of a config.

    Args:
        name (str | Path): A path; or a name below :func:`configs_root`, with or without ``.py`` and ``restorekit::``.

    Raises:
        FileNotFoundError: If there is none; the message gives the nearest names and the folder searched.

    Example:
        >>> find_config('cid/cid_quickstart').name  # doctest: +SKIP
        'cid_quickstart.py'
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    wanted = str(name).removeprefix('restorekit::')
    found = packaged_config(wanted)
    if found is not None:
        return found
    raise MissingFileError(f'There is no config {str(name)!r}: neither a file (seen from {Path.cwd()}) nor a name in '
                            f'{configs_root()}. {_near_configs(wanted)}')


def _near_configs(wanted):
    root = configs_root()
    names = [file.relative_to(root).with_suffix('').as_posix() for file in sorted(root.rglob('*.py'))
             if '_base_' not in file.relative_to(root).parts]
    wanted = wanted.removesuffix('.py')
    stem = wanted.rpartition('/')[2]
    near = [known for known in names if known.rpartition('/')[2] == stem] or nearest(wanted, names)
    if not near:  # a right file in a wrong folder, misspelt
        stems = {known.rpartition('/')[2]: known for known in names}
        near = [stems[known] for known in nearest(stem, stems)]
    return f'Did you mean {" or ".join(map(repr, near))}?' if near else f'It has: {", ".join(names) or "none"}.'


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
    _check_bases(path, files)
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


def import_modules(imports, where):
    """Import what ``custom_imports`` of a config names; modules beside the config and in the working directory count.

    Args:
        imports (dict | list | str | None): ``dict(imports=[...], allow_failed_imports=False)``, or the names alone.
        where (str | Path): The config's file.

    Raises:
        ConfigError: If a module is missing or fails; says what failed, in which file and line.
    """
    if not imports:
        return
    if not isinstance(imports, dict):
        imports = dict(imports=imports)
    names = imports.get('imports') or []
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name.strip('.') for name in names):
        raise ConfigError(f'{where}: custom_imports must list names of modules, but got {names!r}')
    for key in imports:
        if key not in ('imports', 'allow_failed_imports'):
            raise ConfigError(f'{where}: custom_imports has no {key!r}; '
                              + did_you_mean(key, ['imports'], 'it takes imports and allow_failed_imports'))
    for folder in (os.getcwd(), os.path.dirname(os.path.abspath(where))):
        if folder not in sys.path:
            sys.path.append(folder)
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            if isinstance(error, ImportError) and imports.get('allow_failed_imports'):
                warnings.warn(f'{where}: custom_imports: {name} was not imported: {error}', stacklevel=2)
                continue
            raise ConfigError(_failed_import(name, error, where)) from error


def _failed_import(name, error, where):
    own = os.path.dirname(os.path.abspath(importlib.__file__))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__)
              if not frame.filename.startswith(('<', own)) and frame.filename != __file__]
    if isinstance(error, SyntaxError):
        place = f'{error.filename}, line {error.lineno}'
    elif frames:
        place = f'{frames[-1].filename}, line {frames[-1].lineno}'
    else:
        dotted = re.sub(r'\.py$', '', name).replace('\\', '/').strip('./').replace('/', '.')
        if dotted != name:
            return (f'{where}: custom_imports names {name!r}, but takes the names of modules, with dots between their '
                    f'folders: imports=[{dotted!r}]')
        return (f'{where}: custom_imports names {name!r}, but there is no such module ({error}). Put it beside the '
                f'config or in the working directory {os.getcwd()}, or add its folder to PYTHONPATH.')
    return f'{where}: custom_imports: {name!r} fails in {place}: {type(error).__name__}: {error}'


def _check_bases(path, files):
    """Parse ``path`` and all its bases before mmengine does, whose errors name a temporary copy or no file at all.

    ``files`` collects them, each with the keys it sets.
    """
    path = path.resolve()
    if path in files:
        if files[path] is None:
            raise ConfigError(f'{path} is, by way of its _base_, its own _base_')
        return files[path]
    files[path] = keys = {}
    if path.suffix != '.py':
        return keys
    files[path] = None  # until its bases are done
    try:
        tree = ast.parse(path.read_text(encoding='utf-8-sig'), str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # not UTF-8; NUL; nested too deeply
        line = f', line {error.lineno}: {(error.text or "").strip()[:200]}' if getattr(error, 'lineno', None) else ''
        raise ConfigError(f'{path}{line}: the config is not valid Python: {error}') from error
    inherited = {}
    for node in tree.body:
        if isinstance(node, ast.Delete):
            for target in node.targets:
                keys.pop(getattr(target, 'id', None), None)
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if node.targets[0].id != '_base_':
            if not isinstance(node.value, ast.Lambda) and not node.targets[0].id.startswith('__'):
                keys[node.targets[0].id] = node.lineno
            continue
        try:
            bases = ast.literal_eval(node.value)
        except ValueError:  # computed: mmengine evaluates it
            continue
        bases = [bases] if isinstance(bases, str) else bases
        if not isinstance(bases, (list, tuple)) or not all(isinstance(base, str) for base in bases):
            raise ConfigError(f'{path}, line {node.lineno}: _base_ must be the name of a config or a list of names, '
                              f'but got {bases!r}')
        for base in bases:
            if '{{' in base:
                continue
            base_path = _base_path(base, path, node.lineno)
            if base_path is None:
                continue
            for key in _check_bases(base_path, files):
                if key in inherited:
                    raise ConfigError(f'{path}, line {node.lineno}: two of its _base_ set {key!r}: {inherited[key]} '
                                      f'and {base}. Set it in one of them, or let one be the _base_ of the other.')
                inherited[key] = base
    keys.update(inherited)
    files[path] = keys
    return keys


def _base_path(base, path, line):
    if '::' in base:
        if not base.startswith('restorekit::'):
            return None
        name = base.removeprefix('restorekit::')
        base_path = packaged_config(name) or configs_root() / name
    else:
        base_path = path.parent / base
    if not base_path.is_file():
        folder = base_path.parent
        near = nearest(base_path.name, [file.name for file in folder.glob('*.py')]) if folder.is_dir() else []
        hint = f'In that folder there is {" and ".join(near)}.' if near else \
            f'The folder {"has nothing like it" if folder.is_dir() else "does not exist"}.'
        raise MissingFileError(f'{path}, line {line}: its _base_ {base!r} is missing: there is no {base_path}. {hint}')
    return base_path


def config_to_json(cfg):
    """Return a config as JSON text: a record of it which, unlike its Python text, can be read without running it.

    Tuples become lists. What JSON has no word for is written as text, a class or function by its dotted name.

    Args:
        cfg (mmengine.Config | dict): The config.

    Example:
        >>> config_to_json(dict(model=dict(type=dict, ratio=(1, 2))))
        '{"model": {"type": "builtins.dict", "ratio": [1, 2]}}'
    """
    cfg = cfg if isinstance(cfg, Config) else ConfigDict(cfg)
    return json.dumps(cfg.to_dict(), default=_dotted_name)


def config_from_json(text):
    """Return the config that :func:`config_to_json` wrote.

    Raises:
        ConfigError: If ``text`` is not a JSON object.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f'the recorded config is not JSON: {error}') from error
    if not isinstance(data, dict):
        raise ConfigError(f'the recorded config is a {type(data).__name__}, not a dict')
    return RestoreConfig(data)


def _dotted_name(value):
    module, name = getattr(value, '__module__', None), getattr(value, '__qualname__', None)
    return f'{module}.{name}' if module and name else str(value)


def _python(value, used, indent):
    """Write ``value`` as Python, which begins after ``used`` characters of a line; more lines follow at ``indent``."""
    if isinstance(value, tuple) and len(value) == 1:
        return f'({_python(value[0], used + 1, indent)},)'
    line = _line(value)
    if line is not None and (used + len(line) <= LINE or not isinstance(value, (dict, list, tuple))):
        return line
    opening, closing, items = _parts(value)
    space = ' ' * (indent + 4)
    lines = [f'{space}{key}{_python(item, indent + 4 + len(key), indent + 4)},\n' for key, item in items]
    return f'{opening}\n{"".join(lines)}{" " * indent}{closing}'


def _line(value):
    """Write ``value`` as Python in one line; None for what is too long, or holds a dict."""
    if not isinstance(value, (dict, list, tuple)):
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')"
        if isinstance(value, os.PathLike):
            return repr(os.fspath(value))
        return repr(value if isinstance(value, (str, int, float, complex, bytes, type(None))) else _dotted_name(value))
    opening, closing, items = _parts(value)
    parts = [None if isinstance(item, dict) else _line(item) for _, item in items]
    if None in parts:
        return None
    comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
    line = opening + ', '.join(key + part for (key, _), part in zip(items, parts, strict=True)) + comma + closing
    return line if len(line) <= LINE else None


def _parts(value):
    """Return the brackets of a dict, list or tuple, and its (written key, item) pairs."""
    if not isinstance(value, dict):
        return (*('[]' if isinstance(value, list) else '()'), [('', item) for item in value])
    named = all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value)
    return (*(('dict(', ')') if named else '{}'),
            [(f'{key}=' if named else f'{key!r}: ', item) for key, item in value.items()])
