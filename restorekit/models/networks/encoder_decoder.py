"""A network of an encoder and a decoder."""

import math

from restorekit.messages import InputError, InputTypeError
from restorekit.registry import MODELS

from .base import RestorationNetwork


@MODELS.register_module()
class EncoderDecoder(RestorationNetwork):
    """An encoder and a decoder, any of each.

    The decoder is built with ``in_channels=encoder.channels`` and ``strides=encoder.strides``, so that no config
    states a channel number twice. What the network declares about itself is derived: ranges and embedding from the
    decoder; sizes such that every one of the encoder's maps comes out whole.

    Args:
        encoder (dict): Config of an encoder, for example ``dict(type='Res2Net')``.
        decoder (dict): Config of a decoder, for example ``dict(type='CIDDecoder')``.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        TypeError: If ``encoder`` or ``decoder`` is not a config.
        ValueError: If the decoder's config states ``in_channels`` or ``strides``, or the decoder does not fit.

    Example:
        >>> import torch
        >>> encoder = dict(type='Res2Net', stage_blocks=(1, 1, 1), base_channels=16)
        >>> network = EncoderDecoder(encoder, dict(type='AffineDecoder'))
        >>> image, embedding = network.forward_features(torch.rand(1, 3, 64, 64))
        >>> tuple(image.shape), tuple(embedding.shape)
        ((1, 3, 64, 64), (1, 256, 4, 4))
    """

    tiling = 'approximate'

    def __init__(self, encoder, decoder, init_cfg=None):
        super().__init__(init_cfg)
        for name, cfg in (('encoder', encoder), ('decoder', decoder)):
            if not isinstance(cfg, dict):
                raise InputTypeError(f"EncoderDecoder: {name} must be a config such as dict(type='...'), but got "
                                     f'{cfg!r}')
        stated = sorted({'in_channels', 'strides'} & set(decoder))
        if stated:
            raise InputError(f'EncoderDecoder: the decoder gets {" and ".join(stated)} from the encoder; '
                             'remove what the config of the decoder states')
        self.encoder = MODELS.build(encoder)
        self.decoder = MODELS.build(dict(decoder, in_channels=self.encoder.channels, strides=self.encoder.strides))
        self.size_divisor = math.lcm(self.decoder.size_divisor, getattr(self.encoder, 'size_divisor', 1),
                                     *self.encoder.strides)
        self.min_size = math.ceil(self.decoder.min_size / self.size_divisor) * self.size_divisor
        self.input_range = self.decoder.input_range
        self.output_range = self.decoder.output_range
        self.embedding_dim = self.decoder.embedding_dim

    def encode(self, x):
        """Return what the decoder takes of images (N, 3, H, W) in ``input_range``: the encoder's maps."""
        return self.encoder(x)

    def forward(self, x):
        return self.decoder(self.encoder(x), x)

    def embed(self, x):
        return self.decoder.embed(self.encoder(x))

    def forward_features(self, x):
        return self.decoder.forward_features(self.encoder(x), x)
