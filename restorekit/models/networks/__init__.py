"""Networks."""

from .aod_net import AODNet
from .base import RestorationNetwork
from .dark_channel_prior import DarkChannelPrior
from .encoder_decoder import EncoderDecoder
from .low_resolution_affine import LowResolutionAffine

__all__ = ['AODNet', 'DarkChannelPrior', 'EncoderDecoder', 'LowResolutionAffine', 'RestorationNetwork']
