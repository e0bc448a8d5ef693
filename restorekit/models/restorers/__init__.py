"""Restorers: how a network is trained and asked."""

from .cid import CIDRestorer
from .restorer import NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer
from .stored_predictions import StoredPredictions

__all__ = ['CIDRestorer', 'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'Restorer',
           'StoredPredictions']
