"""Blocks that several networks and decoders share."""

from .attention import ChannelAttention, DehazeBlock, PixelAttention, sigmoid_gate
from .fusion import SKFusion
from .gates import GatedConv, GatedFeedForward
from .initialisation import init_deep
from .norm import LayerNorm2d
from .resampling import downsample, reflect_conv, upsample
from .residual import ResidualDenseBlock
from .transformer import TransformerBlock, TransposedAttention, shuffle_down, shuffle_up, transformer_stage
from .window_attention import LogPositionAttention, merge_windows, split_windows

__all__ = ['ChannelAttention', 'DehazeBlock', 'GatedConv', 'GatedFeedForward', 'LayerNorm2d', 'LogPositionAttention',
           'PixelAttention', 'ResidualDenseBlock', 'SKFusion', 'TransformerBlock', 'TransposedAttention', 'downsample',
           'init_deep', 'merge_windows', 'reflect_conv', 'shuffle_down', 'shuffle_up', 'sigmoid_gate', 'split_windows',
           'transformer_stage', 'upsample']
