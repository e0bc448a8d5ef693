"""Evaluation: metrics and the protocols they are measured by."""
