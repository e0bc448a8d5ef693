"""Networks, restorers, losses and the preprocessor."""

from .decoders import (
    AffineDecoder,
    ChannelAttention,
    CIDDecoder,
    Decoder,
    DehazeBlock,
    PixelAttention,
    PyramidEnhancer,
)
from .encoders import Res2Net, TimmEncoder
from .networks import AODNet, EncoderDecoder, RestorationNetwork

__all__ = ['AODNet', 'AffineDecoder', 'CIDDecoder', 'ChannelAttention', 'Decoder', 'DehazeBlock', 'EncoderDecoder',
           'PixelAttention', 'PyramidEnhancer', 'Res2Net', 'RestorationNetwork', 'TimmEncoder']
