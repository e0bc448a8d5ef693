"""Restorers: how a network is trained and asked."""

from .affine import AffineRestorer, log_gain_loss
from .cid import CIDRestorer
from .restorer import NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer
from .stored_predictions import StoredPredictions

__all__ = ['AffineRestorer', 'CIDRestorer', 'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'Restorer',
           'StoredPredictions']
