"""restorekit: a registry-based image-restoration toolbox, dehazing first.

Importing this package is cheap: torch is only imported when a name that needs
it is first used (PEP 562).
"""

import importlib

from .compat import register_package
from .version import __version__

register_package()

# public name -> the module that defines it
_LAZY = {
    'RestorationPipeline': 'restorekit.inference',
    'load': 'restorekit.inference',
    'load_network': 'restorekit.inference',
    'list_models': 'restorekit.inference',
    'find_config': 'restorekit.config',
    'load_config': 'restorekit.config',
    **{task: f'restorekit.tasks.{task}' for task in (
        'train', 'test', 'restore', 'measure', 'compare', 'study', 'check_data', 'synthesize', 'extract_patches',
        'make_lmdb', 'browse_dataset', 'browse_degradations', 'degradation_stats', 'plot_logs', 'detect_compare',
        'show_config', 'convert', 'pack', 'publish', 'env', 'fit_quality', 'bench', 'export', 'demo', 'catalogue',
        'submit_study')},
}

__all__ = ['__version__', *_LAZY]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'restorekit' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return sorted([*globals(), *_LAZY])
