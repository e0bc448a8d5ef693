"""Configs by name, merged by one rule, with errors that say the file and the line (no torch needed)."""

from .custom_imports import import_modules
from .error import ConfigError
from .files import configs_root, find_config, mim_root, package_file, package_metainfo, packaged_config
from .loading import load_config, phase_config
from .written import RestoreConfig, config_from_json, config_to_json

__all__ = ['ConfigError', 'RestoreConfig', 'config_from_json', 'config_to_json', 'configs_root', 'find_config',
           'import_modules', 'load_config', 'mim_root', 'package_file', 'package_metainfo', 'packaged_config',
           'phase_config']
