"""Restorers."""
