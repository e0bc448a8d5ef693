"""Networks, restorers, losses and the preprocessor.

A name is looked for folder by folder when it is first used (PEP 562): restoring an image needs networks only, while
restorers import ``mmengine.model``, which takes as long as torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .decoders import *  # noqa: F403
    from .discriminators import *  # noqa: F403
    from .encoders import *  # noqa: F403
    from .initialisation import *  # noqa: F403
    from .losses import *  # noqa: F403
    from .networks import *  # noqa: F403
    from .preprocessor import *  # noqa: F403
    from .restorers import *  # noqa: F403

_PLACES = ('networks', 'encoders', 'decoders', 'losses', 'discriminators', 'initialisation', 'preprocessor',
           'restorers')


def __getattr__(name: str) -> Any:
    if not name.startswith('_') and name not in _PLACES:
        for place in _PLACES:
            module = importlib.import_module(f'.{place}', __name__)
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for place in _PLACES
                                 for name in importlib.import_module(f'.{place}', __name__).__all__)})
