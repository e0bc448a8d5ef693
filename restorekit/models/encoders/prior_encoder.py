"""What physics and a classifier see in a hazy image, as an encoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from restorekit.functional.haze_prior import CANDIDATES, MAP_CHANNELS, STRIDE, haze_prior
from restorekit.functional.precision import no_autocast
from restorekit.messages import InputError, refuse_unused
from restorekit.models.module import Module
from restorekit.registry import MODELS


@MODELS.register_module()
class PriorEncoder(Module):
    """The haze prior at stride 4, with the maps of another encoder beside it.

    The first map (stride 4, 95 channels) holds, in this order: the airlight (3 channels, constant over the image), the
    four log-gain candidates, the maps of :func:`~restorekit.functional.haze_prior.haze_prior` (40) and the pixels
    themselves (48, pixel unshuffle). It has no parameters and is computed in float32. The other maps are those of
    ``features``, which sees the image at ``feature_scale`` of its size; they are resized to their declared strides.

    Args:
        features (dict, optional): Config of any encoder whose strides are larger than 4, for example
            ``dict(type='EfficientNetLite')`` or ``dict(type='TimmEncoder', ...)``. None: the prior alone.
        feature_scale (float): In (0, 1]. Two thirds cost half the time.
        init_cfg (dict, optional): MMEngine's initialisation config.

    Raises:
        ValueError: If ``feature_scale`` is out of range or a stride of ``features`` is not larger than 4.

    Example:
        >>> [tuple(x.shape) for x in PriorEncoder()(torch.rand(1, 3, 32, 48))]
        [(1, 95, 8, 12)]
    """

    #: What the first channels of the first map are; :class:`GridAffineDecoder` reads them.
    prior_channels = 3 + CANDIDATES

    def __init__(self, features: dict | None = None, feature_scale: float = 2 / 3, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if not 0 < feature_scale <= 1:
            raise InputError(f'PriorEncoder: feature_scale must be in (0, 1], but got {feature_scale}')
        if features is None:
            refuse_unused(self, dict(feature_scale=feature_scale), 'an encoder in features', 'no features')
        self.feature_scale = feature_scale
        self.features = MODELS.build(features) if features is not None else None
        channels, strides = [self.prior_channels + MAP_CHANNELS + 3 * STRIDE ** 2], [STRIDE]
        if self.features is not None:
            channels += self.features.channels
            strides += self.features.strides
            if min(self.features.strides) <= STRIDE:
                raise InputError(f'PriorEncoder: the strides of features must be larger than {STRIDE}, but got '
                                 f'{tuple(self.features.strides)}; choose deeper maps')
        self.channels, self.strides = tuple(channels), tuple(strides)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps, shallow to deep, in float32 also under autocast; ``x`` is (N, 3, H, W) in [0, 1]."""
        with no_autocast(x):
            return self._forward(x.float())

    def _forward(self, x):
        prior = haze_prior(x)
        size = prior.log_gains.shape[-2:]
        pixels = F.pixel_unshuffle(x, STRIDE)
        maps = [torch.cat([prior.airlight.expand(-1, -1, *size), prior.log_gains, prior.maps, pixels], dim=1)]
        if self.features is not None:
            deepest = self.strides[-1]
            small = [_nearest_multiple(side * self.feature_scale, deepest) for side in x.shape[-2:]]
            for features, stride in zip(self.features(_resize(x, small)), self.strides[1:], strict=True):
                maps.append(_resize(features, [side // stride for side in x.shape[-2:]]))
        return tuple(maps)


def _nearest_multiple(side, step):
    """The multiple of ``step`` nearest to a side, at least ``step``; also while the sizes are traced."""
    if torch.is_tensor(side):
        return (torch.round(side / step) * step).clamp(min=step).long()
    return torch.sym_max(step, round(side / step) * step)


def _resize(x, size):
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()  # then the size is any
    if not traced and list(x.shape[-2:]) == list(size):
        return x
    return F.interpolate(x, size, mode='bilinear', align_corners=False)
