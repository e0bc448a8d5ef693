"""Restorers: how a network is trained and asked."""

from .cid import CIDRestorer
from .restorer import NonFiniteLossError, Restorer

__all__ = ['CIDRestorer', 'NonFiniteLossError', 'Restorer']
