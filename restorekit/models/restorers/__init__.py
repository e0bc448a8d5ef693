"""Restorers: how a network is trained and asked."""

from .cid import CIDRestorer
from .restorer import NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer

__all__ = ['CIDRestorer', 'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'Restorer']
