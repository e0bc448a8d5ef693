"""A decoder that predicts one affine map of colours on a coarse grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from restorekit.functional.affine_grid import apply_affine_grid
from restorekit.functional.haze_prior import CANDIDATES
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .base import Decoder, check_feature_maps


class _Residual(nn.Module):

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.conv2.bias)
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)

    def forward(self, x):
        return x + self.conv2(F.silu(self.conv1(_normalise(x))))


class _Context(nn.Module):
    """Scale and shift by the mean and the maximum of the whole map (FiLM, Perez et al., AAAI 2018)."""

    def __init__(self, channels):
        super().__init__()
        self.film = nn.Linear(2 * channels, 2 * channels)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x):
        scale, shift = self.film(_pool(x)).chunk(2, dim=1)
        return x * (1 + scale.tanh()[..., None, None]) + shift[..., None, None]


@MODELS.register_module()
class GridAffineDecoder(Decoder):
    """Predict gain K and bias B on the grid of the first map, and one colour matrix M: ``J = M (K I + B)``.

    The inverse of the scattering model, ``J = I K + A (1 - K)`` with ``K = 1 / t`` (Koschmieder, 1924), of a colour
    cast and of a change of exposure are all of this form. A small U-Net over the encoder's maps predicts

    - ``K = exp(clip(sum_i w_i C_i + dk, -1, max_log_gain))``, with the prior's log-gain candidates C, ``w = softmax``;
    - ``B = (A + dA1) - K (A + dA0) + db``, with the prior's airlight A;
    - ``M = I + dM``.

    What is predicted is bounded: ``|dk| < 1.5``, ``|db| < 0.5``, ``|dA| < 0.6``, ``|dM| < 0.5``. All of it starts at 0:
    with the maps of :class:`PriorEncoder` an untrained decoder is a dark channel prior.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's maps, shallow to deep; at least two.
        strides (Sequence[int]): Strides of the maps; ascending powers of two.
        channels (int | Sequence[int]): Channels of the U-Net at each map.
        blocks (int | Sequence[int]): Residual blocks at each map on the way down.
        prior (bool): Whether the first 7 channels of the first map are an airlight and four log-gain candidates, as
            those of :class:`PriorEncoder` are. Otherwise A is 0.5 and there is one candidate, 0, so that any encoder
            will do and an untrained decoder returns its input.
        max_log_gain (float): Bound of log K, above 0. Noise and JPEG blocks are multiplied by K: 1.6 stops at 5, which
            in dense fog leaves more of it, and fewer blotches.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        ValueError: If the maps do not fit, or ``channels`` or ``blocks`` has another number of entries than the maps.

    Example:
        >>> decoder = GridAffineDecoder(in_channels=(32, 64), strides=(4, 8), channels=16, prior=False)
        >>> maps, image = [torch.rand(1, 32, 8, 8), torch.rand(1, 64, 4, 4)], torch.rand(1, 3, 32, 32)
        >>> bool(torch.allclose(decoder(maps, image), image, atol=1e-6))
        True
    """

    def __init__(self, in_channels: Sequence[int], strides: Sequence[int],
                 channels: int | Sequence[int] = (32, 80, 128), blocks: int | Sequence[int] = (1, 2, 2),
                 prior: bool = True, max_log_gain: float = 3.0, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        in_channels, strides = check_feature_maps('GridAffineDecoder', in_channels, strides)
        count = len(strides)
        channels, blocks = ([x] * count if isinstance(x, int) else list(x) for x in (channels, blocks))
        if len(channels) != count or len(blocks) != count:
            raise InputError(f'GridAffineDecoder: channels and blocks need one entry for each of the {count} maps of '
                             f'the encoder, but got {channels} and {blocks}')
        if prior and in_channels[0] < 3 + CANDIDATES:
            raise InputError(f'GridAffineDecoder: the first map of the encoder has {in_channels[0]} channels, so it '
                             'holds no prior; use PriorEncoder, or prior=False')
        self.prior, self.candidates, self.max_log_gain = prior, CANDIDATES if prior else 1, max_log_gain
        self.reduces = nn.ModuleList(nn.Conv2d(i, o, 3 if n == 0 else 1, padding=1 if n == 0 else 0)
                                     for n, (i, o) in enumerate(zip(in_channels, channels, strict=True)))
        self.downs = nn.ModuleList(
            nn.Conv2d(a, b, 3, deep // shallow, 1) for a, b, shallow, deep in
            zip(channels, channels[1:], strides, strides[1:], strict=False))
        self.stages = nn.ModuleList(
            nn.Sequential(*([_Context(c)] if n else []), *(_Residual(c) for _ in range(b)))
            for n, (c, b) in enumerate(zip(channels, blocks, strict=True)))
        self.ups = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(channels, channels[1:], strict=False))
        self.merges = nn.ModuleList(_Residual(c) for c in channels[:-1])
        self.local_head = nn.Conv2d(channels[0], self.candidates + 6, 3, padding=1)
        self.global_head = nn.Sequential(nn.Linear(2 * channels[-1], 64), nn.SiLU(), nn.Linear(64, 15))
        for layer in (self.local_head, self.global_head[-1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.embedding_dim = channels[-1]
        self.size_divisor = strides[-1]
        self.min_size = strides[-1]

    def _down(self, features):
        levels, x = [], None
        for i, (reduce, stage) in enumerate(zip(self.reduces, self.stages, strict=True)):
            # maps of a classifier come at any scale; several times the root mean square of 1 lets them be learnt faster
            entry = reduce(4 * _normalise(features[i]) if i else features[i])
            x = stage(F.silu(entry if x is None else entry + self.downs[i - 1](x)))
            levels.append(x)
        return levels

    def embed(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the deepest level of the U-Net."""
        return self._down(features)[-1]

    def coefficients(self, features: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return K and B, (N, 3, h, w) at the first map's stride, and M, (N, 3, 3)."""
        return self._coefficients(features, self._down(features))

    def _coefficients(self, features, levels):
        x = _normalise(levels[-1])
        shift = self.global_head(_pool(x)).float()
        for up, merge, level in zip(reversed(self.ups), reversed(self.merges), reversed(levels[:-1]), strict=True):
            x = F.interpolate(up(x), level.shape[-2:], mode='bilinear', align_corners=False)
            x = merge(F.silu(level + x))
        local = self.local_head(_normalise(x)).float()
        weights = local[:, :self.candidates].softmax(dim=1)
        if self.prior:
            first = features[0].float()
            airlight = first[:, :3].mean(dim=(2, 3), keepdim=True)
            candidates = first[:, 3:3 + self.candidates]
        else:
            airlight, candidates = 0.5, torch.zeros_like(weights)
        log_gain = (weights * candidates).sum(dim=1, keepdim=True)
        gain = torch.exp((log_gain + 1.5 * torch.tanh(local[:, -6:-3])).clamp(-1.0, self.max_log_gain))
        inner, outer = (0.6 * torch.tanh(shift[:, i:i + 3])[..., None, None] for i in (0, 3))
        bias = (airlight + outer) - gain * (airlight + inner) + 0.5 * torch.tanh(local[:, -3:])
        matrix = torch.eye(3, device=shift.device) + 0.5 * torch.tanh(shift[:, 6:].unflatten(1, (3, 3)))
        return gain, bias, matrix

    def forward(self, features: Sequence[torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        """Return the restored image (N, 3, H, W)."""
        return apply_affine_grid(image, *self.coefficients(features))

    def forward_features(self, features: Sequence[torch.Tensor], image: torch.Tensor):
        """Return (restored image, embedding map) from one pass."""
        levels = self._down(features)
        return apply_affine_grid(image, *self._coefficients(features, levels)), levels[-1]


def _normalise(x):
    """Divide by the root mean square of each sample's map, so that no depth and no outlier lets activations grow."""
    return x * torch.rsqrt(x.float().square().mean(dim=(1, 2, 3), keepdim=True) + 1e-4).to(x.dtype)


def _pool(x):
    return torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
