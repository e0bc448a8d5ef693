"""Losses on features of VGG: perceptual and contrastive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restorekit.functional.precision import at_least_float32
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .features import VGGFeatures
from .weighting import check_loss_inputs, weight_at, weighted_reduce

POWERS = dict(l1=torch.abs, l2=torch.square)


def feature_distances(maps: Sequence[Tensor], others: Sequence[Tensor], weight: Tensor | None = None,
                      distance: str = 'l1') -> Tensor:
    """Return the mean distance of each pair of maps and each image, (layers, N).

    Args:
        maps (Sequence[Tensor]): (N, C_i, H_i, W_i).
        others (Sequence[Tensor]): The same shapes.
        weight (Tensor | None): Per sample or per pixel of the image.
        distance (str): 'l1' (absolute) or 'l2' (squared).

    Example:
        >>> feature_distances([torch.zeros(2, 4, 3, 3)], [torch.full((2, 4, 3, 3), 2.0)]).tolist()
        [[2.0, 2.0]]
    """
    rows = []
    for a, b in zip(maps, others, strict=True):
        a, b = at_least_float32(a, b)
        rows.append(weighted_reduce(POWERS[distance](a - b), weight_at(weight, a.shape[-2:]), 'sample'))
    return torch.stack(rows)


class _FeatureLoss(nn.Module):

    def __init__(self, layers, net, pretrained, distance, loss_weight):
        super().__init__()
        if distance not in POWERS:
            raise InputError(f"{type(self).__name__}: distance must be 'l1' or 'l2', but got {distance!r}")
        if not layers:
            raise InputError(f'{type(self).__name__}: layers must be a dict of layers and weights, such as '
                             f"{{'relu5_4': 1.0}}, but got {layers!r}")
        self.features = VGGFeatures(net, tuple(layers), pretrained)
        self.layer_weights, self.distance, self.loss_weight = tuple(layers.values()), distance, loss_weight

    def _weights(self, like):
        return like.new_tensor(self.layer_weights)


@MODELS.register_module()
class PerceptualLoss(_FeatureLoss):
    r"""Distance of VGG features of prediction and truth: ``loss_weight sum_l v_l mean(w |F_l(pred) - F_l(target)|)``.

    Johnson et al., "Perceptual losses for real-time style transfer and super-resolution", ECCV 2016.

    Args:
        layers (dict[str, float], optional): Layers of VGG and their weights v; default ``{'relu5_4': 1}`` as in ESRGAN.
        net (str): 'vgg19' or 'vgg16'.
        pretrained (str | None): 'imagenet', a path or URL of the weights, or None for random ones; see
            :class:`VGGFeatures`.
        distance (str): 'l1' or 'l2' (squared).
        loss_weight (float): Factor of the whole loss.

    Forward:
        pred, target: (N, 3, H, W), RGB in [0, 1].
        weight (Tensor | None): (N,), (N, 1, H, W) or (N, 3, H, W); at a layer, the mean of the pixels that it covers.

    Raises:
        InputError: For an unknown net, layer or distance.

    Example:
        >>> loss = PerceptualLoss({'relu1_2': 1.0}, pretrained=None)
        >>> loss(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)).ndim
        0
    """

    def __init__(self, layers: dict[str, float] | None = None, net: str = 'vgg19', pretrained: str | None = 'imagenet',
                 distance: str = 'l1', loss_weight: float = 1.0):
        super().__init__({'relu5_4': 1.0} if layers is None else layers, net, pretrained, distance, loss_weight)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        check_loss_inputs(pred, target, weight)
        with torch.no_grad():
            truth = self.features(target)
        distances = feature_distances(self.features(pred), truth, weight, self.distance).mean(1)
        return self.loss_weight * (self._weights(distances) * distances).sum()


def contrastive_loss(pred: Sequence[Tensor], target: Sequence[Tensor], negative: Sequence[Tensor],
                     layer_weights: Sequence[float], weight: Tensor | None = None, eps: float = 1e-7) -> Tensor:
    """Return ``sum_l v_l mean_n d(pred, target) / (d(pred, negative) + eps)`` of maps; see :class:`ContrastiveLoss`.

    Example:
        >>> maps = [[torch.full((1, 1, 2, 2), value)] for value in (1.0, 2.0, 5.0)]
        >>> round(contrastive_loss(*maps, layer_weights=[1.0]).item(), 4)
        0.25
    """
    near = feature_distances(pred, target, weight)
    far = feature_distances(pred, negative)
    ratios = (near / (far + eps)).mean(1)
    return (ratios.new_tensor(tuple(layer_weights)) * ratios).sum()


@MODELS.register_module()
class ContrastiveLoss(_FeatureLoss):
    r"""Contrastive regularisation: near the truth and far from the hazy input, in VGG features.

    .. math:: L = \lambda \sum_l v_l \frac{1}{N} \sum_n \frac{|F_l(J_n) - F_l(J^*_n)|}{|F_l(J_n) - F_l(I_n)| + \epsilon}

    Wu et al., "Contrastive learning for compact single image dehazing" (AECR-Net), CVPR 2021, with the means over each
    map; the paper's lambda is 0.1. A weight multiplies the distance to the truth. It needs the input, which the
    restorer hands over.

    Args:
        layers (dict[str, float], optional): Layers and their weights v; default the first ReLU of each block with
            1/32, 1/16, 1/8, 1/4 and 1.
        net, pretrained, loss_weight: As in :class:`PerceptualLoss`.

    Forward:
        pred, target, weight: As in :class:`PerceptualLoss`.
        input (Tensor): The degraded images (N, 3, H, W) in [0, 1].

    Example:
        >>> loss = ContrastiveLoss({'relu1_1': 1.0}, pretrained=None)
        >>> clear, hazy = torch.rand(2, 1, 3, 16, 16)
        >>> loss(clear, clear, input=hazy).item()
        0.0
    """

    def __init__(self, layers: dict[str, float] | None = None, net: str = 'vgg19', pretrained: str | None = 'imagenet',
                 loss_weight: float = 1.0):
        if layers is None:
            layers = {f'relu{i}_1': share for i, share in enumerate((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0), 1)}
        super().__init__(layers, net, pretrained, 'l1', loss_weight)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, *, input: Tensor) -> Tensor:
        check_loss_inputs(pred, target, weight)
        with torch.no_grad():
            truth, negative = self.features(target), self.features(input)
        return self.loss_weight * contrastive_loss(self.features(pred), truth, negative, self.layer_weights, weight)
