"""Named degradations: the presets below ``configs/_base_/degradations``."""

from restorekit.config import ConfigError, configs_root, find_config, load_config
from restorekit.messages import MissingFileError, nearest


def load_preset(name):
    """Return the degradation that a config file describes.

    Args:
        name (str or Path): Name of a preset (``'day'``), or any config with a top-level ``degradation``, by path or by
            name below ``configs/``.

    Returns:
        ConfigDict: ``dict(type=..., ...)``, for :func:`build_degradation`.

    Raises:
        FileNotFoundError: If there is no such preset or config; the message names the presets.
        ConfigError: If the config cannot be read or has no ``degradation``.

    Example:
        >>> load_preset('ridcp_like')['type']
        'Sequential'
    """
    try:
        path = find_config(f'_base_/degradations/{name}')
    except FileNotFoundError:
        try:
            path = find_config(name)
        except FileNotFoundError as error:
            presets = sorted(file.stem for file in (configs_root() / '_base_/degradations').glob('*.py'))
            near = nearest(name, presets)
            hint = f'did you mean {" or ".join(map(repr, near))}?' if near else f'the presets are {", ".join(presets)}.'
            raise MissingFileError(f'unknown preset {str(name)!r}: {hint} A path of a config with a top-level '
                                   'degradation = dict(type=...) works too') from error
    config = load_config(path)
    if not isinstance(config.get('degradation'), dict) or 'type' not in config.degradation:
        raise ConfigError(f'{path} has no top-level degradation = dict(type=...); it sets {", ".join(config)}')
    return config.degradation
