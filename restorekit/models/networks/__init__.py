"""Networks."""

from .aod_net import AODNet
from .base import FeatureNetwork, RestorationNetwork
from .colour_attenuation_prior import ColourAttenuationPrior
from .convir import ConvIR
from .dark_channel_prior import DarkChannelPrior
from .deanet import DEANet
from .dehazeformer import DehazeFormer
from .encoder_decoder import EncoderDecoder
from .ffanet import FFANet
from .grid_dehaze_net import GridDehazeNet
from .gunet import GUNet
from .low_resolution_affine import LowResolutionAffine
from .msbdn import MSBDN
from .promptir import PromptIR
from .restormer import Restormer
from .spandrel_network import SpandrelNetwork
from .unet import UNet

__all__ = [
    'AODNet', 'ColourAttenuationPrior', 'ConvIR', 'DEANet', 'DarkChannelPrior', 'DehazeFormer', 'EncoderDecoder',
    'FFANet', 'FeatureNetwork', 'GUNet', 'GridDehazeNet', 'LowResolutionAffine', 'MSBDN', 'PromptIR',
    'RestorationNetwork', 'Restormer', 'SpandrelNetwork', 'UNet',
]
