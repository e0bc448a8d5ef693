"""Strips and contact sheets."""
