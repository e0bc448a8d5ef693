"""PromptIR: one network for several degradations, told apart by learned prompts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.models.blocks import TransformerBlock, shuffle_up, transformer_stage
from restorekit.registry import MODELS

from .restormer import TransformerUNet


class PromptBlock(nn.Module):
    """Mix learned prompt maps by weights from the features, and let a transformer block see both.

    The prompts (P, C_p, s, s) are weighed by a softmax of a linear layer of the pooled features, resized to them and
    concatenated; a transformer block and a 1x1 convolution follow.
    """

    def __init__(self, channels: int, prompt_channels: int, prompt_size: int, out_channels: int, heads: int,
                 prompts: int = 5):
        super().__init__()
        self.prompts = nn.Parameter(torch.rand(1, prompts, prompt_channels, prompt_size, prompt_size))
        self.weigh = nn.Linear(channels, prompts)
        self.conv = nn.Conv2d(prompt_channels, prompt_channels, 3, padding=1, bias=False)
        self.block = TransformerBlock(channels + prompt_channels, heads)
        self.reduce = nn.Conv2d(channels + prompt_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weigh(x.mean((2, 3))).softmax(1)
        prompt = (weights[..., None, None, None] * self.prompts).sum(1)
        prompt = self.conv(F.interpolate(prompt, x.shape[-2:], mode='bilinear'))
        return self.reduce(self.block(torch.cat([x, prompt], dim=1)))


@MODELS.register_module()
class PromptIR(TransformerUNet):
    """PromptIR: Restormer with prompt blocks in the decoder, the usual all-in-one baseline.

    Potlapalli et al., "PromptIR: Prompting for all-in-one blind image restoration", NeurIPS 2023. Attention is among
    channels over the whole image. Six 1x1 convolutions of the authors' code are never called; they are kept, frozen,
    so that its files load strictly, in ``unused``. Input and output in [0, 1].

    Args:
        channels (int): Channels at full size, a multiple of 8; doubled at each of three smaller ones.
        blocks (Sequence[int]): Blocks per level.
        refinement_blocks (int): Blocks after the decoder.
        heads (Sequence[int]): Heads per level.
        prompt_channels (Sequence[int]): Channels of the prompts, at half, quarter and eighth of the size.
        prompt_sizes (Sequence[int]): Sides of the learned prompt maps there.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Example:
        >>> network = PromptIR(channels=8, blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 1, 1),
        ...                    prompt_channels=(8, 8, 8), prompt_sizes=(4, 4, 4))
        >>> tuple(network(torch.rand(1, 3, 16, 24)).shape)
        (1, 3, 16, 24)
    """

    published_names = (
        *TransformerUNet.published_names,
        *((rf'^prompt{i + 1}\.prompt_param$', f'prompts.{i}.prompts') for i in range(3)),
        *((rf'^prompt{i + 1}\.linear_layer\.', f'prompts.{i}.weigh.') for i in range(3)),
        *((rf'^prompt{i + 1}\.conv3x3\.', f'prompts.{i}.conv.') for i in range(3)),
        *((rf'^noise_level{i + 1}\.', f'prompts.{i}.block.') for i in range(3)),
        *((rf'^reduce_noise_level{i + 1}\.', f'prompts.{i}.reduce.') for i in range(3)),
        *((rf'^chnl_reduce{i + 1}\.', f'unused.{i}.') for i in range(3)),
        *((rf'^reduce_noise_channel_{i + 1}\.', f'unused.{i + 3}.') for i in range(3)))

    def __init__(self, channels: int = 48, blocks: Sequence[int] = (4, 6, 6, 8), refinement_blocks: int = 4,
                 heads: Sequence[int] = (1, 2, 4, 8), prompt_channels: Sequence[int] = (64, 128, 320),
                 prompt_sizes: Sequence[int] = (64, 32, 16), init_cfg: dict | None = None):
        super().__init__(channels, blocks, heads, init_cfg)
        one, two, four, eight = self.widths
        self.prompts = nn.ModuleList(
            PromptBlock(width, prompt, size, out, heads[2]) for width, prompt, size, out in
            zip((two, four, eight), prompt_channels, prompt_sizes, (two, four, four), strict=True))
        self.ups = nn.ModuleList([shuffle_up(two), shuffle_up(four), shuffle_up(four)])
        self.joins = nn.ModuleList([nn.Conv2d(four, two, 1, bias=False), nn.Conv2d(two + four, four, 1, bias=False)])
        self.decoder = nn.ModuleList(
            transformer_stage(*level) for level in zip((two, two, four), blocks[:3], heads[:3], strict=True))
        self.refinement = transformer_stage(two, refinement_blocks, heads[0])
        self.head = nn.Conv2d(two, 3, 3, padding=1, bias=False)
        shapes = [(64, 64), (128, 128), (320, 256), (one + 64, one), (two + 128, two), (four + 256, four)]
        self.unused = nn.ModuleList(nn.Conv2d(*shape, 1, bias=False) for shape in shapes).requires_grad_(False)

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        features = embedding
        for i in (2, 1, 0):
            features = torch.cat([self.ups[i](self.prompts[i](features)), skips[i]], dim=1)
            features = self.decoder[i](self.joins[i - 1](features) if i else features)
        return self.head(self.refinement(features)) + x
