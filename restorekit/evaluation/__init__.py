"""Evaluation: metrics and the protocols they are measured by."""

from .metrics import PSNR, SSIM, FidelityMetric
from .protocols import PROTOCOLS, Protocol, get_protocol

__all__ = ['PROTOCOLS', 'PSNR', 'SSIM', 'FidelityMetric', 'Protocol', 'get_protocol']
