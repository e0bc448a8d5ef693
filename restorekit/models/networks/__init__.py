"""Networks."""

from .aod_net import AODNet
from .base import RestorationNetwork
from .encoder_decoder import EncoderDecoder

__all__ = ['AODNet', 'EncoderDecoder', 'RestorationNetwork']
