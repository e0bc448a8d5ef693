"""Degradations: clear image (+ depth) to degraded image."""
