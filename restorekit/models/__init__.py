"""Networks, restorers, losses and the preprocessor."""

from .decoders import (
    AffineDecoder,
    ChannelAttention,
    CIDDecoder,
    Decoder,
    DehazeBlock,
    GridAffineDecoder,
    PixelAttention,
    PyramidEnhancer,
)
from .encoders import EfficientNetLite, PriorEncoder, Res2Net, TimmEncoder
from .initialisation import SafePretrainedInit
from .losses import *  # noqa: F403
from .networks import AODNet, EncoderDecoder, LowResolutionAffine, RestorationNetwork
from .preprocessor import RestorePreprocessor
from .restorers import CIDRestorer, NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer

__all__ = ['AODNet', 'AffineDecoder', 'CIDDecoder', 'CIDRestorer', 'ChannelAttention', 'Decoder', 'DehazeBlock',
           'EfficientNetLite', 'EncoderDecoder', 'GridAffineDecoder', 'LowResolutionAffine', 'NonFiniteError',
           'NonFiniteGradientError', 'NonFiniteLossError', 'PixelAttention', 'PriorEncoder', 'PyramidEnhancer',
           'Res2Net', 'RestorationNetwork', 'RestorePreprocessor', 'Restorer', 'SafePretrainedInit',
           'TimmEncoder']
