"""What every decoder is: an encoder's feature maps in, image and embedding out."""


from restorekit.messages import InputError
from restorekit.models.module import Module


class Decoder(Module):
    """Base of every decoder.

    A decoder is built with ``in_channels`` and ``strides``, the encoder's ``channels`` and ``strides``, shallow to
    deep. A subclass defines ``embed`` and ``decode``.

    Attributes:
        embedding_dim (int): Channels of the embedding map.
        size_divisor (int): Height and width of the image must be multiples of this.
        min_size (int): Height and width of the image must be at least this.
        input_range (tuple[float, float]): Range of the image the network takes.
        output_range (tuple[float, float]): Range of the image returned; a declaration.
    """

    embedding_dim = None
    size_divisor = 1
    min_size = 1
    input_range = (0.0, 1.0)
    output_range = (0.0, 1.0)

    def embed(self, features):
        """Return the embedding map (N, embedding_dim, h, w), computing nothing beyond it."""
        raise TypeError(f'{type(self).__name__} does not define embed(features)')

    def decode(self, embedding, features, image):
        """Return the restored image (N, 3, H, W), given the embedding map."""
        raise TypeError(f'{type(self).__name__} does not define decode(embedding, features, image)')

    def forward(self, features, image):
        """Return the restored image (N, 3, H, W); ``image`` is what the encoder was given."""
        return self.decode(self.embed(features), features, image)

    def forward_features(self, features, image):
        """Return (restored image, embedding map) from one pass."""
        embedding = self.embed(features)
        return self.decode(embedding, features, image), embedding


def check_feature_maps(decoder, in_channels, strides, minimum=2):
    """Return ``in_channels`` and ``strides`` as tuples, or say why ``decoder`` (a name) cannot work on such maps.

    Raises:
        ValueError: If the two differ in length, there are fewer than ``minimum`` maps, or the strides are not
            ascending powers of two.
    """
    in_channels, strides = tuple(in_channels), tuple(strides)
    given = f'the encoder gives in_channels={in_channels} at strides={strides}'
    if len(in_channels) != len(strides):
        raise InputError(f'{decoder}: one stride per feature map is needed, but {given}')
    if len(strides) < minimum:
        raise InputError(f'{decoder} needs at least {minimum} feature maps, but {given}; '
                         'give the encoder more out_indices')
    powers = all(isinstance(s, int) and s > 0 and s & (s - 1) == 0 for s in strides)
    if not powers or list(strides) != sorted(set(strides)):
        raise InputError(f'{decoder} needs strides that are powers of two and grow from map to map, but {given}')
    return in_channels, strides
