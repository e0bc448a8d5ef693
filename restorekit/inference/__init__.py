"""Inference with trained networks."""

from .pipeline import RestorationPipeline, load_network

__all__ = ['RestorationPipeline', 'load_network']
