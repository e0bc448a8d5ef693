"""Metrics."""

from .base import ImageMetric
from .fidelity import CIEDE2000, MAE, MSSSIM, PSNR, SSIM, ChromaError, FidelityMetric
from .natural import BRISQUE, NIQE
from .no_reference import FADE, HazeDensity, PyIQA
from .perceptual import LPIPS

__all__ = ['BRISQUE', 'CIEDE2000', 'ChromaError', 'FADE', 'FidelityMetric', 'HazeDensity', 'ImageMetric', 'LPIPS',
           'MAE', 'MSSSIM', 'NIQE', 'PSNR', 'PyIQA', 'SSIM']
