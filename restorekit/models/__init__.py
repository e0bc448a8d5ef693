"""Networks, restorers, losses and the preprocessor."""

from restorekit.compat import patch_runner

from .decoders import *  # noqa: F403
from .encoders import *  # noqa: F403
from .losses import *  # noqa: F403
from .networks import *  # noqa: F403
from .preprocessor import RestorePreprocessor as RestorePreprocessor
from .restorers import *  # noqa: F403

patch_runner()
