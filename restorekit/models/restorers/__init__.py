"""Restorers: how a network is trained and asked."""

from .cid import CIDRestorer
from .restorer import NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer
from .stored_predictions import StoredPredictions
from .test_time import TestTimeRestorer

__all__ = ['CIDRestorer', 'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'Restorer',
           'StoredPredictions', 'TestTimeRestorer']
