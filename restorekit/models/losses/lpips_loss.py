"""LPIPS as a loss."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from restorekit.checkpoint import CheckpointError
from restorekit.functional.precision import at_least_float32
from restorekit.messages import MissingDependencyError
from restorekit.registry import MODELS

from .features import Frozen, VGGFeatures, read_tensors
from .weighting import check_loss_inputs, weight_at, weighted_reduce

LAYERS = ('relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3')
CHANNELS = (64, 128, 256, 512, 512)


def lpips_loss(maps: Sequence[Tensor], others: Sequence[Tensor], heads: Sequence[Tensor],
               weight: Tensor | None = None) -> Tensor:
    """Return LPIPS of maps: ``sum_l mean(w sum_c h_lc (a_lc / |a_l| - b_lc / |b_l|)^2)``.

    Args:
        maps, others (Sequence[Tensor]): (N, C_l, H_l, W_l).
        heads (Sequence[Tensor]): (C_l,), not negative.
        weight (Tensor | None): Per sample or per pixel of the image.

    Example:
        >>> a, b = [torch.tensor([[[[2.0]], [[0.0]]]])], [torch.tensor([[[[0.0]], [[3.0]]]])]
        >>> lpips_loss(a, b, [torch.tensor([0.5, 0.25])]).item()
        0.75
    """
    total = 0
    for a, b, head in zip(maps, others, heads, strict=True):
        a, b = at_least_float32(a, b)
        a, b = (x / (x.square().sum(1, keepdim=True).add(1e-20).sqrt()) for x in (a, b))
        error = ((a - b).square() * head[:, None, None]).sum(1, keepdim=True)
        total = total + weighted_reduce(error, weight_at(weight, a.shape[-2:]))
    return total


class _Heads(Frozen):
    """The linear heads of LPIPS: one weight per channel of each layer."""

    def __init__(self, source):
        super().__init__()
        self.source, self.loaded = source, source is None
        for i, channels in enumerate(CHANNELS):
            self.register_buffer(f'head{i}', torch.full((channels,), 1 / channels))

    def load(self):
        if self.loaded:
            return
        source = _package_file() if self.source == 'lpips' else self.source
        state = read_tensors(str(source))
        for i, channels in enumerate(CHANNELS):
            value = state.get(f'lin{i}.model.1.weight')
            if value is None or value.numel() != channels:
                raise CheckpointError(f'{source} does not hold the heads of LPIPS for VGG (lin{i}.model.1.weight of '
                                      f'{channels} channels)')
            getattr(self, f'head{i}').copy_(value.flatten())
        self.loaded = True

    def forward(self):
        self.load()
        return [getattr(self, f'head{i}') for i in range(len(CHANNELS))]


def _package_file():
    module = importlib.util.find_spec('lpips')
    if module is None:
        raise MissingDependencyError("LPIPSLoss(heads='lpips') takes its heads from the package lpips, which is not "
                                     "installed; install it with: pip install 'restorekit[metrics]', or give a file")
    return Path(module.origin).parent / 'weights' / 'v0.1' / 'vgg.pth'


@MODELS.register_module()
class LPIPSLoss(nn.Module):
    """Learned perceptual image patch similarity, version 0.1 with VGG-16, as a loss.

    Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018: features are
    scaled to unit length at each pixel, and squared differences weighed by heads learned from human judgements. Papers
    report the metric with AlexNet; as a loss VGG is usual.

    Args:
        pretrained (str | None): Weights of VGG-16, see :class:`VGGFeatures`; None: random.
        heads (str | None): 'lpips' takes them from the installed package of that name; a path or a URL with its hash;
            None: 1 / C for every channel.
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target, weight: As in :class:`PerceptualLoss`.

    Example:
        >>> image = torch.rand(1, 3, 32, 32)
        >>> LPIPSLoss(pretrained=None, heads=None)(image, image).item()
        0.0
    """

    def __init__(self, pretrained: str | None = 'imagenet', heads: str | None = 'lpips', loss_weight: float = 1.0):
        super().__init__()
        self.features, self.heads = VGGFeatures('vgg16', LAYERS, pretrained), _Heads(heads)
        self.loss_weight = loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        check_loss_inputs(pred, target, weight)
        with torch.no_grad():
            truth = self.features(target)
        return self.loss_weight * lpips_loss(self.features(pred), truth, self.heads(), weight)
