"""The ``_base_`` files of a config, looked at before MMEngine reads them."""

import ast

from restorekit.messages import MissingFileError, nearest

from .error import ConfigError
from .files import configs_root, packaged_config


def check_bases(path, files):
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
            for key in check_bases(base_path, files):
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
