"""Configs by name, with errors that say the file and the line (no torch needed)."""

import ast
import json
import traceback
from pathlib import Path

from mmengine.config import Config, ConfigDict

from . import compat
from .messages import MissingFileError, UserError, nearest


class ConfigError(UserError, ValueError):
    """A config holds a mistake; the message names the file, the key and the nearest valid name."""


def configs_root():
    """Return the folder of the configs that come with restorekit (of the installed package, else of the repository).

    Raises:
        FileNotFoundError: If there is none.
    """
    return compat.mim_root() / 'configs'


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
    found = compat.packaged_config(wanted)
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

    Args:
        name (str | Path): As for :func:`find_config`.
        options (dict | None): Changes, with dotted keys, as ``--cfg-options`` gives them:
            ``{'train_dataloader.batch_size': 2}``.
        data_root (str | Path | None): Where the data sets are; becomes ``cfg.data_root``.

    Returns:
        mmengine.Config: With ``default_scope='restorekit'`` unless the file says otherwise.

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
        cfg = Config.fromfile(str(path))
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if Path(frame.filename).suffix == '.py' and Path(frame.filename).resolve() in files]
        where = f'{frames[-1].filename}, line {frames[-1].lineno}' if frames else str(path)
        raise ConfigError(f'{where}: the config cannot be read: {type(error).__name__}: {error}') from error
    cfg.setdefault('default_scope', 'restorekit')
    if options:
        try:
            cfg.merge_from_dict(dict(options))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ConfigError(f'the options {options} do not fit {path}: {error}') from error
    if data_root is not None:
        cfg.data_root = str(data_root)
    return cfg


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
        tree = ast.parse(path.read_text(encoding='utf-8'), str(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        line = f', line {error.lineno}: {(error.text or "").strip()}' if isinstance(error, SyntaxError) else ''
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
        for base in [bases] if isinstance(bases, str) else bases:
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
        base_path = compat.packaged_config(name) or configs_root() / name
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
    return Config(data)


def _dotted_name(value):
    module, name = getattr(value, '__module__', None), getattr(value, '__qualname__', None)
    return f'{module}.{name}' if module and name else str(value)
