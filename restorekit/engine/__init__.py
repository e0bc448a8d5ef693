"""Runners, loops and hooks."""
