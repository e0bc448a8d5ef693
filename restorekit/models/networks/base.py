"""What every network is: image in, image out, and what it declares about itself."""

from mmengine.model import BaseModule

from restorekit.messages import InputTypeError


class RestorationNetwork(BaseModule):
    """Base of every restoration network.

    A network takes (N, 3, H, W) in ``input_range`` and returns (N, 3, H, W) in ``output_range``, nothing else, so
    that export, ``torch.compile`` and layer fusion need no special cases. H and W are multiples of ``size_divisor``
    and at least ``min_size``; the preprocessor pads to that and the restorer cuts it off again.

    Attributes:
        size_divisor (int): Height and width must be multiples of this.
        min_size (int): Height and width must be at least this.
        input_range (tuple[float, float]): Range the preprocessor scales images to.
        output_range (tuple[float, float]): Range of the output; a declaration, mapped to [0, 1] by the restorer.
        embedding_dim (int | None): Channels of ``embed``'s map; None for a network without an embedding.
        tiling (str): What may be done with an image too large for one pass. ``'coefficients'``: ``coefficients(x)`` of
            the whole image is computed once, and ``apply_coefficients(x, *coefficients, rows=slice)`` strip by strip;
            ``'exact'``: tiles that overlap by the receptive field give the same image; ``'approximate'``: nearly so;
            ``'never'``.
        receptive_field (int | None): Side in pixels of the square of the input that an output pixel depends on, where
            it is known; ``tiling = 'exact'`` needs it.
    """

    size_divisor = 1
    min_size = 1
    input_range = (0.0, 1.0)
    output_range = (0.0, 1.0)
    embedding_dim = None
    tiling = 'never'
    receptive_field = None

    def forward(self, x):
        """Return the restored image (N, 3, H, W) in ``output_range``."""
        raise TypeError(f'{type(self).__name__} does not define forward(x)')

    def embed(self, x):
        """Return the embedding map (N, embedding_dim, h, w), computing nothing beyond it."""
        raise InputTypeError(
            f'{type(self).__name__} has no embedding, so it cannot be trained with reweighting, alignment '
            'or any other loss on features; use a network that defines embed(x)')

    def forward_features(self, x):
        """Return (restored image, embedding map) from one pass."""
        return self.forward(x), self.embed(x)
