"""A small decoder that predicts, per pixel, a gain and a bias of the input image."""

import torch
import torch.nn.functional as F
from torch import nn

from restorekit.models.blocks import DehazeBlock
from restorekit.registry import MODELS

from .base import Decoder, check_feature_maps


@MODELS.register_module()
class AffineDecoder(Decoder):
    """CID's upward path with few channels, and a head ``J = K * x + B`` with K and B of three channels per pixel.

    The atmospheric scattering model ``I = J t + A (1 - t)`` (Koschmieder, 1924) has the inverse
    ``J = I / t + A (1 - 1 / t)``, which is of this form with ``K = 1 / t`` and ``B = A (1 - 1 / t)``; so are a colour
    cast's removal and a change of exposure. K starts at 1 and B at 0: an untrained decoder returns its input.

    The deepest map passes a 1x1 convolution and a ``DehazeBlock``; the result is the embedding. From map to map a 1x1
    convolution and bilinear upsampling lead upwards (pixel shuffling leaves a grid in skies when training is short), a
    ``DehazeBlock`` follows, and the next map, reduced by a 1x1 convolution, is concatenated.
    At the shallowest stride the result is upsampled bilinearly and joined with a shallow view of the image.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's maps, shallow to deep; at least two.
        strides (Sequence[int]): Strides of the maps; ascending powers of two.
        channels (int): Channels of the upward path.
        embedding_channels (int): Channels of the embedding.
        head_channels (int): Channels at full resolution, where nearly all the time goes.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        ValueError: If there are fewer than two maps, or their strides are not ascending powers of two.

    Example:
        >>> decoder = AffineDecoder(in_channels=(32, 64), strides=(4, 8))
        >>> maps, image = [torch.rand(1, 32, 8, 8), torch.rand(1, 64, 4, 4)], torch.rand(1, 3, 32, 32)
        >>> bool((decoder(maps, image) == image).all())
        True
    """

    input_range = (0.0, 1.0)
    output_range = (0.0, 1.0)

    def __init__(self, in_channels, strides, channels=32, embedding_channels=128, head_channels=16, init_cfg=None):
        super().__init__(init_cfg)
        in_channels, strides = check_feature_maps('AffineDecoder', in_channels, strides)
        self.mid_project = nn.Conv2d(in_channels[-1], embedding_channels, 1)
        self.mid_block = DehazeBlock(embedding_channels)
        self.projects, self.reduces, self.blocks = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        width = embedding_channels
        for skip in in_channels[-2::-1]:
            self.projects.append(nn.Conv2d(width, channels, 1))
            self.reduces.append(nn.Conv2d(skip, channels, 1))
            self.blocks.append(DehazeBlock(channels))
            width = 2 * channels
        self.project = nn.Conv2d(width, head_channels, 1)
        self.image_conv = nn.Conv2d(3, head_channels, 3, padding=1)
        self.head = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(2 * head_channels, head_channels, 3, padding=1),
                                  nn.ReLU(inplace=True), nn.Conv2d(head_channels, 6, 3, padding=1))
        nn.init.zeros_(self.head[-1].weight)
        nn.init.zeros_(self.head[-1].bias)
        for block in (self.mid_block, *self.blocks):
            # a branch that starts as noise is shut off: its gates saturate within 100 iterations and never open again
            nn.init.zeros_(block.conv2.weight)
            nn.init.zeros_(block.conv2.bias)

        self.embedding_dim = embedding_channels
        self.size_divisor = strides[-1]
        self.min_size = 2 * strides[-1]

    def embed(self, features):
        """Return the embedding map: the mid block on the projected deepest feature map."""
        return self.mid_block(self.mid_project(features[-1]))

    def decode(self, embedding, features, image):
        x = embedding
        skips = features[-2::-1]
        for project, reduce, block, skip in zip(self.projects, self.reduces, self.blocks, skips, strict=True):
            x = block(_resize_to(project(x), skip))
            x = torch.cat([x, reduce(skip)], dim=1)
        x = _resize_to(self.project(x), image)
        gain, bias = self.head(torch.cat([x, self.image_conv(image)], dim=1)).chunk(2, dim=1)
        return (1 + gain) * image + bias


def _resize_to(x, reference):
    return F.interpolate(x, reference.shape[-2:], mode='bilinear', align_corners=False)
