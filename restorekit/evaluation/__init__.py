"""Evaluation: metrics and the protocols they are measured by."""

from .metrics import (
    BRISQUE,
    CIEDE2000,
    FADE,
    LPIPS,
    MAE,
    MSSSIM,
    NIQE,
    PSNR,
    SSIM,
    ChromaError,
    FidelityMetric,
    HazeDensity,
    ImageMetric,
    PyIQA,
)
from .protocols import PROTOCOLS, Protocol, check_comparable, get_protocol

__all__ = ['BRISQUE', 'CIEDE2000', 'ChromaError', 'FADE', 'FidelityMetric', 'HazeDensity', 'ImageMetric', 'LPIPS',
           'MAE', 'MSSSIM', 'NIQE', 'PROTOCOLS', 'PSNR', 'Protocol', 'PyIQA', 'SSIM', 'check_comparable',
           'get_protocol']
