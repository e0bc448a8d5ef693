"""What every network is: image in, image out, and what it declares about itself."""

from __future__ import annotations

import re

from torch import Tensor

from restorekit.messages import InputTypeError
from restorekit.models.module import Module


class RestorationNetwork(Module):
    """Base of every restoration network.

    A network takes (N, 3, H, W) in ``input_range`` and returns (N, 3, H, W) in ``output_range``, nothing else, so
    that export, ``torch.compile`` and layer fusion need no special cases. H and W are multiples of ``size_divisor``
    and at least ``min_size``; the preprocessor pads to that and the restorer cuts it off again. A network with several
    outputs defines ``forward_all(x) -> tuple`` as well, the last of which is the final image; training uses it.

    Attributes:
        size_divisor (int): Height and width must be multiples of this.
        min_size (int): Height and width must be at least this.
        pads_after (bool): Images are restored with all padding to the right and below, as the authors of published
            weights did, instead of on all sides.
        input_range (tuple[float, float]): Range the preprocessor scales images to.
        output_range (tuple[float, float]): Range of the output; a declaration, mapped to [0, 1] by the restorer.
        embedding_dim (int | None): Channels of ``embed``'s map; None for a network without an embedding.
        tiling (str): What may be done with an image too large for one pass. ``'coefficients'``: ``coefficients(x)`` of
            the whole image is computed once, and ``apply_coefficients(x, *coefficients, rows=slice)`` strip by strip;
            ``'exact'``: tiles that overlap by the receptive field give the same image; ``'approximate'``: nearly so;
            ``'never'``.
        receptive_field (int | None): With ``'exact'``, the side in pixels of the square around an output pixel that it
            may depend on.
        weights_licence (str | None): Licence of the weights that the authors published; None where there are none.
        published_names (tuple[tuple[str, str], ...]): From the names in the authors' state dict to ours: regular
            expressions and their replacements, applied in order; an empty replacement of a whole name drops the tensor.
    """

    size_divisor = 1
    min_size = 1
    pads_after = False
    input_range = (0.0, 1.0)
    output_range = (0.0, 1.0)
    embedding_dim = None
    tiling = 'never'
    receptive_field = None
    weights_licence = None
    published_names = ()

    def forward(self, x: Tensor) -> Tensor:
        """Return the restored image (N, 3, H, W) in ``output_range``."""
        raise TypeError(f'{type(self).__name__} does not define forward(x)')

    def embed(self, x: Tensor) -> Tensor:
        """Return the embedding map (N, embedding_dim, h, w), computing nothing beyond it."""
        raise InputTypeError(
            f'{type(self).__name__} has no embedding, so it cannot be trained with reweighting, alignment '
            'or any other loss on features; use a network that defines embed(x)')

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (restored image, embedding map) from one pass."""
        return self.forward(x), self.embed(x)

    @classmethod
    def from_published(cls, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the authors' state dict to our names; ``load_state_dict`` then takes it strictly.

        Args:
            state (dict[str, Tensor]): As in the authors' file, with or without ``module.`` before every name.

        Returns:
            dict[str, Tensor]: The same tensors under our names.

        Example:
            >>> import torch
            >>> from restorekit.models import FFANet
            >>> list(FFANet.from_published({'module.pre.0.weight': torch.zeros(1)}))
            ['pre.weight']
        """
        renamed = {}
        for name, tensor in state.items():
            name = name.removeprefix('module.')
            for pattern, replacement in cls.published_names:
                name = re.sub(pattern, replacement, name)
            if name:
                renamed[name] = tensor
        return renamed


class FeatureNetwork(RestorationNetwork):
    """Base of a network whose deepest features are its embedding.

    A subclass defines ``encode`` and ``decode``; the rest follows.
    """

    tiling = 'approximate'

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the embedding map (N, embedding_dim, h, w) and what else ``decode`` needs."""
        raise TypeError(f'{type(self).__name__} does not define encode(x)')

    def decode(self, x: Tensor, embedding: Tensor, *skips: Tensor) -> Tensor:
        """Return the restored image, given the input and what ``encode`` returned."""
        raise TypeError(f'{type(self).__name__} does not define decode(x, embedding, ...)')

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(x, *self.encode(x))

    def embed(self, x: Tensor) -> Tensor:
        return self.encode(x)[0]

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        embedding, *skips = self.encode(x)
        return self.decode(x, embedding, *skips), embedding
