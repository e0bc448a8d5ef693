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
from .initialisation import SafePretrainedInit
from .losses import *  # noqa: F403
from .networks import AODNet, EncoderDecoder, RestorationNetwork
from .preprocessor import RestorePreprocessor
from .restorers import CIDRestorer, NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer

__all__ = ['AODNet', 'AffineDecoder', 'CIDDecoder', 'CIDRestorer', 'ChannelAttention', 'Decoder', 'DehazeBlock',
           'EncoderDecoder', 'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'PixelAttention',
           'PyramidEnhancer', 'Res2Net', 'RestorationNetwork', 'RestorePreprocessor', 'Restorer', 'SafePretrainedInit',
           'TimmEncoder']
