"""Decoders."""

from .affine_decoder import AffineDecoder
from .base import Decoder
from .blocks import ChannelAttention, DehazeBlock, PixelAttention, PyramidEnhancer
from .cid_decoder import CIDDecoder
from .grid_affine_decoder import GridAffineDecoder
from .skip_decoders import FPNDecoder, UNetSkipDecoder

__all__ = ['AffineDecoder', 'CIDDecoder', 'ChannelAttention', 'Decoder', 'DehazeBlock', 'FPNDecoder',
           'GridAffineDecoder', 'PixelAttention', 'PyramidEnhancer', 'UNetSkipDecoder']
