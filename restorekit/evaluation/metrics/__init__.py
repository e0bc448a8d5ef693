"""Metrics."""

from .base import ImageMetric
from .fidelity import PSNR, SSIM, FidelityMetric

__all__ = ['PSNR', 'SSIM', 'FidelityMetric', 'ImageMetric']
