"""Decoders."""

from .affine_decoder import AffineDecoder
from .base import Decoder
from .blocks import PyramidEnhancer
from .cid_decoder import CIDDecoder
from .grid_affine_decoder import GridAffineDecoder
from .skip_decoders import FPNDecoder, UNetSkipDecoder

__all__ = ['AffineDecoder', 'CIDDecoder', 'Decoder', 'FPNDecoder', 'GridAffineDecoder', 'PyramidEnhancer',
           'UNetSkipDecoder']
