"""The modules that a config has imported."""

import importlib
import os
import re
import sys
import traceback
import warnings

from restorekit.messages import did_you_mean

from .error import ConfigError


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
