"""Evaluation: metrics and the protocols they are measured by."""

from .metrics import PSNR, SSIM, FidelityMetric, ImageMetric
from .protocols import PROTOCOLS, Protocol, get_protocol

__all__ = ['PROTOCOLS', 'PSNR', 'SSIM', 'FidelityMetric', 'ImageMetric', 'Protocol', 'get_protocol']
