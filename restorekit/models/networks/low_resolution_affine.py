"""Look at a small copy of the image, correct the whole one."""

from __future__ import annotations

import numpy as np
import torch

from restorekit.functional.affine_grid import apply_affine_grid, area_resize
from restorekit.functional.affine_grid_array import apply_affine_grid_array
from restorekit.functional.shrink import shrink
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .encoder_decoder import EncoderDecoder


@MODELS.register_module()
class LowResolutionAffine(EncoderDecoder):
    """Predict coefficients from a copy of fixed size and apply them to the image at its own size.

    The time of the network does not depend on the image's size, and what is done to it is smooth: each pixel is mapped
    by ``J = M (K I + B)`` with K and B enlarged from a coarse grid. Any encoder goes with it; the decoder must have
    ``coefficients(features)``, as :class:`GridAffineDecoder` has.

    Args:
        encoder (dict): Config of an encoder, for example ``dict(type='PriorEncoder')``.
        decoder (dict): Config of a decoder, for example ``dict(type='GridAffineDecoder')``.
        size (Sequence[int]): Width and height of the copy; the aspect ratio of the image is not kept.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        InputError: If ``size`` is not a multiple of what encoder and decoder need, or the decoder has no
            ``coefficients``.

    Example:
        >>> encoder = dict(type='PriorEncoder', features=dict(type='EfficientNetLite'))
        >>> network = LowResolutionAffine(encoder, dict(type='GridAffineDecoder'), size=(64, 48))
        >>> tuple(network(torch.rand(1, 3, 77, 33)).shape)
        (1, 3, 77, 33)
    """

    tiling = 'coefficients'

    def __init__(self, encoder: dict, decoder: dict, size=(192, 144), init_cfg: dict | None = None):
        super().__init__(encoder, decoder, init_cfg)
        if not hasattr(self.decoder, 'coefficients'):
            raise InputError(f'LowResolutionAffine needs a decoder that predicts coefficients, such as '
                             f'GridAffineDecoder, but got {type(self.decoder).__name__}')
        divisor = self.size_divisor
        self.width, self.height = (int(side) for side in size)
        if self.width % divisor or self.height % divisor or min(self.width, self.height) < max(self.min_size, 1):
            raise InputError(f'LowResolutionAffine: width and height in size must be multiples of {divisor} of at '
                             f'least {self.min_size}, but got {tuple(size)}')
        self.size_divisor = self.min_size = 1

    def _small(self, x):
        return area_resize(x, (self.height, self.width))

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the encoder's maps of the small copy."""
        return self.encoder(self._small(x))

    def coefficients(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Look at images once.

        Args:
            x (Tensor): (N, 3, H, W) in [0, 1], any size.

        Returns:
            tuple: K and B, (N, 3, gh, gw), and M, (N, 3, 3).
        """
        return self.decoder.coefficients(self.encoder(self._small(x)))

    def apply_coefficients(self, x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor, matrix: torch.Tensor,
                           rows: slice | None = None, height: int | None = None) -> torch.Tensor:
        """Apply what :meth:`coefficients` returned, to the whole image or to some rows of it.

        Args:
            x (Tensor): (N, 3, H, W) in [0, 1], the whole image: with ``rows`` only these are read. Or, with ``height``
                (that of the whole image), a strip that holds just the rows named.
            gain, bias, matrix (Tensor): From :meth:`coefficients`.
            rows (slice, optional): Rows wanted.
            height (int, optional): See ``x``.

        Returns:
            Tensor: (N, 3, h, W), not clipped; strips put together equal the whole.
        """
        if rows is not None and height is None:
            x, height = x[:, :, rows], x.shape[-2]
        return apply_affine_grid(x, gain, bias, matrix, rows, height)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the restored image (N, 3, H, W)."""
        return apply_affine_grid(x, *self.coefficients(x))

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the embedding map of the small copy."""
        return super().embed(self._small(x))

    def forward_features(self, x: torch.Tensor):
        """Return (restored image, embedding map) from one pass."""
        features = self.encoder(self._small(x))
        levels = self.decoder._down(features)
        return apply_affine_grid(x, *self.decoder._coefficients(features, levels)), levels[-1]

    @torch.inference_mode()
    def restore_array(self, image: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Restore an 8-bit image on the CPU in one pass over its memory.

        Args:
            image (ndarray): uint8 (H, W, 3) RGB.
            strength (float): 0 returns the image, 1 the restored one.

        Returns:
            ndarray: uint8 (H, W, 3).
        """
        if strength == 0:
            return image.copy()
        if min(image.shape[0] / self.height, image.shape[1] / self.width) >= 1:
            image = np.ascontiguousarray(image)
            small = torch.from_numpy(shrink(image, self.height, self.width)).permute(2, 0, 1)[None] / 255
        else:
            small = self._small(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255)
        found = self.decoder.coefficients(self.encoder(small))
        return self.apply_coefficients_array(image, *(x.float().numpy() for x in found), strength=strength)

    @staticmethod
    def apply_coefficients_array(image: np.ndarray, gain: np.ndarray, bias: np.ndarray, matrix: np.ndarray,
                                 strength: float = 1.0) -> np.ndarray:
        """Apply the coefficients of one image, as arrays, to its uint8 (H, W, 3) RGB array; returns the same kind."""
        gain, bias = (x[0].transpose(1, 2, 0) for x in (gain, bias))
        return apply_affine_grid_array(image, gain, bias, matrix[0], strength)
