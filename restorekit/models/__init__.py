"""Networks, restorers, losses and the preprocessor."""

from restorekit.compat import patch_runner

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
from .losses import *  # noqa: F403
from .networks import AODNet, DarkChannelPrior, EncoderDecoder, LowResolutionAffine, RestorationNetwork
from .preprocessor import RestorePreprocessor
from .restorers import AffineRestorer, CIDRestorer, NonFiniteError, NonFiniteGradientError, NonFiniteLossError, Restorer

patch_runner()

__all__ = ['AODNet', 'AffineDecoder', 'AffineRestorer', 'CIDDecoder', 'CIDRestorer', 'ChannelAttention',
           'DarkChannelPrior', 'Decoder', 'DehazeBlock', 'EfficientNetLite', 'EncoderDecoder', 'GridAffineDecoder',
           'LowResolutionAffine', 'NonFiniteError', 'NonFiniteGradientError', 'NonFiniteLossError', 'PixelAttention',
           'PriorEncoder', 'PyramidEnhancer', 'Res2Net', 'RestorationNetwork', 'RestorePreprocessor', 'Restorer',
           'TimmEncoder']
