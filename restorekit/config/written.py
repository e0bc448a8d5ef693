"""A config and what is written of it: Python that reads back as the same config, or JSON, which is never run."""

import json
import keyword
import math
import os

from mmengine.config import Config, ConfigDict

from restorekit.merging import join_options, lay_options

from .error import ConfigError

LINE = 120  # characters of a line of a written config


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
