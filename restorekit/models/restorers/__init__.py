"""Restorers: how a network is trained and used for inference."""

from .adversarial import AdversarialRestorer
from .affine import AffineRestorer, log_gain_loss
from .cid import CIDRestorer
from .cycle import CycleRestorer
from .distillation import DistillationRestorer
from .restorer import NonFiniteError, NonFiniteGradientError, NonFiniteLossError, NonFiniteWeightsError, Restorer
from .stored_predictions import StoredPredictions
from .test_time import TestTimeRestorer

__all__ = ['AdversarialRestorer', 'AffineRestorer', 'CIDRestorer', 'CycleRestorer', 'DistillationRestorer',
           'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'NonFiniteWeightsError', 'Restorer',
           'StoredPredictions', 'TestTimeRestorer', 'log_gain_loss']
