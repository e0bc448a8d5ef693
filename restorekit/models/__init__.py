"""Networks, restorers, losses and the preprocessor."""

from .decoders import *  # noqa: F403
from .discriminators import *  # noqa: F403
from .encoders import *  # noqa: F403
from .initialisation import SafePretrainedInit as SafePretrainedInit
from .losses import *  # noqa: F403
from .networks import *  # noqa: F403
from .preprocessor import RestorePreprocessor as RestorePreprocessor
from .restorers import *  # noqa: F403

