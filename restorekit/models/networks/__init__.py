"""Networks."""

from .aod_net import AODNet
from .base import RestorationNetwork
from .encoder_decoder import EncoderDecoder
from .low_resolution_affine import LowResolutionAffine

__all__ = ['AODNet', 'EncoderDecoder', 'LowResolutionAffine', 'RestorationNetwork']
