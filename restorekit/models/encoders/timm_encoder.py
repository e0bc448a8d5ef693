"""Every feature-extracting backbone of timm that takes images of any size, as an encoder."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from restorekit.messages import InputError, MissingDependencyError, did_you_mean, refuse_unused
from restorekit.models.module import Module
from restorekit.registry import MODELS

#: Height and width are tried as multiples of the largest stride times one of these: some windows must fill the map.
_MULTIPLES = (1, 2, 7, 8)
_ANY_SIZE = "'resnet18', 'convnext_atto' or 'pvt_v2_b0'"
#: What has models take other sizes than the one they were made for, of several families and versions.
_DYNAMIC = dict(dynamic_img_size=True), dict(strict_img_size=False)


@MODELS.register_module()
class TimmEncoder(Module):
    """A backbone of timm (Wightman, PyTorch Image Models) that returns its feature maps.

    Input (N, 3, H, W); output a tuple of (N, C_i, H / s_i, W / s_i), shallow to deep; transformers too, whose maps may
    share one stride. The image reaches the backbone in the range that the decoder declares; timm's own mean and
    standard deviation are not applied.

    A restoration network takes images of any size. At construction the backbone is run on torch's meta device (nothing
    is computed) at two sizes, and refused if its maps are not what they are declared to be. One that was made for a
    fixed size gets ``dynamic_img_size=True`` or ``strict_img_size=False`` where timm knows it. Parameters that no map
    depends on are frozen.

    Args:
        name (str): A model name of timm, for example ``'resnet18'``.
        pretrained (bool): Start from timm's weights. They are fetched by ``init_weights``, which MMEngine's runner
            calls before training, so inference never needs them.
        out_indices (Sequence[int], optional): Feature levels to return, ascending; timm's default is all of them.
        init_cfg (dict, optional): MMEngine's initialisation config.
        **kwargs: Handed to the model of timm, for example ``drop_path_rate``, ``img_size``, ``window_size``.

    Attributes:
        channels (tuple[int]): Channels of each returned map.
        strides (tuple[int]): Stride of each returned map.
        size_divisor (int): Height and width must be multiples of this.

    Raises:
        MissingDependencyError: If timm is not installed.
        InputError: If timm has no such model, the model has no such feature levels or arguments, or it does not take
            images of any size; the reason is given.

    Example:
        >>> encoder = TimmEncoder('resnet18', out_indices=(1, 2, 3))
        >>> encoder.channels, encoder.strides
        ((64, 128, 256), (4, 8, 16))
    """

    def __init__(self, name: str, pretrained: bool = False, out_indices: Sequence[int] | None = None,
                 init_cfg: dict | None = None, **kwargs: Any):
        super().__init__(init_cfg)
        self.name, self.pretrained, self.kwargs = name, pretrained, kwargs
        if pretrained:  # every weight comes from there
            refuse_unused(self, dict(init_cfg=init_cfg), 'weights to be drawn', f'pretrained={pretrained!r}')
        self.out_indices = None if out_indices is None else tuple(out_indices)
        timm = _import_timm()
        if not timm.is_model(name):
            raise InputError(f'timm {timm.__version__} has no model {name!r}; '
                             + did_you_mean(name, timm.list_models(), 'see timm.list_models()'))
        problem = self._build(kwargs)
        for option in _DYNAMIC:
            if problem and not option.keys() & kwargs.keys():
                self.kwargs = {**kwargs, **option}
                with contextlib.suppress(InputError):  # it does not know the argument
                    problem = self._build(self.kwargs) and problem
        if problem:
            raise InputError(f'{name} of timm cannot be an encoder of a restoration network, which takes images of any '
                             f'size: {problem}. Take a model such as {_ANY_SIZE}')

    def _build(self, kwargs):
        """Create the backbone and set what it is; return what is wrong with it, None if nothing is."""
        try:
            self.backbone = self._create(pretrained=False, **kwargs)
        except (AssertionError, IndexError) as error:
            raise InputError(f'{self.name} of timm has no feature levels out_indices={self.out_indices}') from error
        except TypeError as error:
            raise InputError(f'{self.name} of timm does not take these arguments: {error}') from error
        except (RuntimeError, AttributeError) as error:
            raise InputError(f'timm cannot return the feature maps of {self.name}: {error}') from error
        self.channels = tuple(self.backbone.feature_info.channels())
        self.strides = tuple(self.backbone.feature_info.reduction())
        self._channels_last = 'NHWC' in str(getattr(self.backbone, 'output_fmt', 'NCHW'))
        unit, first = math.lcm(*self.strides), None
        for multiple in _MULTIPLES:
            self.size_divisor = multiple * unit
            problem = self._problem()
            if problem is None:
                return None
            first = first or problem
        return first

    @torch.enable_grad()
    def _problem(self):
        """Run a copy without data at two sizes; freeze what no map depends on."""
        ghost = copy.deepcopy(self.backbone).to('meta').eval()
        for height, width in ((3, 2), (2, 4)):
            size = height * self.size_divisor, width * self.size_divisor
            try:
                maps = self._channels_first(ghost(torch.empty(1, 3, *size, device='meta')))
            except (RuntimeError, AssertionError, ValueError, IndexError, NotImplementedError) as error:
                # whatever a model of another package says to a size it was not made for
                return f'at {size[0]}x{size[1]} it stops with "{str(error).splitlines()[0]}"'
            for level, (x, channels, stride) in enumerate(zip(maps, self.channels, self.strides, strict=True)):
                wanted = channels, size[0] // stride, size[1] // stride
                if tuple(x.shape[1:]) != wanted:
                    return (f'at {size[0]}x{size[1]} level {level} is {tuple(x.shape[1:])}, where {wanted} was to be '
                            f'expected of stride {stride} (convolutions without padding, or a fixed grid)')
        torch.stack([x.mean() for x in maps]).sum().backward()
        used = {name for name, parameter in ghost.named_parameters() if parameter.grad is not None}
        for name, parameter in self.backbone.named_parameters():
            if name not in used:
                parameter.requires_grad_(False)
        return None

    def _create(self, pretrained, **kwargs):
        levels = {} if self.out_indices is None else {'out_indices': self.out_indices}
        return _import_timm().create_model(self.name, pretrained=pretrained, features_only=True, **levels, **kwargs)

    def init_weights(self):
        """Initialise as ``init_cfg`` says, then load timm's weights if ``pretrained``."""
        super().init_weights()
        if self.pretrained:
            self.backbone.load_state_dict(self._create(pretrained=True, **self.kwargs).state_dict(), strict=True)

    def _channels_first(self, maps):
        return tuple(x.permute(0, 3, 1, 2) for x in maps) if self._channels_last else tuple(maps)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of ``out_indices``, (N, channels[i], H / strides[i], W / strides[i])."""
        return self._channels_first(self.backbone(x))


def _import_timm():
    try:
        import timm
    except ImportError as error:
        raise MissingDependencyError('TimmEncoder needs timm, which is not installed: pip install timm') from error
    return timm
