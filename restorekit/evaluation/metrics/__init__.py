"""Metrics."""

from .fidelity import PSNR, SSIM, FidelityMetric

__all__ = ['PSNR', 'SSIM', 'FidelityMetric']
