"""Metrics against a ground truth by a trained network: LPIPS."""

from __future__ import annotations

from typing import Any

import torch

from restorekit.evaluation.protocols import Protocol
from restorekit.messages import InputError
from restorekit.registry import METRICS

from .fidelity import ColourMetric
from .optional import downloads, import_library

BACKBONES = {'alex': 'alexnet-owt-7be5be79.pth', 'vgg': 'vgg16-397923af.pth', 'squeeze': 'squeezenet1_1-b8a52dc0.pth'}


@METRICS.register_module()
class LPIPS(ColourMetric):
    """Learned perceptual image patch similarity (Zhang et al., 2018), by the library lpips; smaller is better.

    The mean of per-image values of version 0.1. Keys name the backbone too, as in ``LPIPS-alex@rgb``: numbers of
    different backbones do not compare. Keys, other arguments and errors as in :class:`FidelityMetric`.

    Args:
        net (str): Backbone: 'alex' (what most papers report), 'vgg' or 'squeeze'. Its ImageNet weights are those of
            torchvision, downloaded once.

    Raises:
        ImportError: If lpips is not installed.
        RuntimeError: If the backbone's weights are absent and cannot be downloaded; the message says where they
            belong.

    Example:
        >>> metric = LPIPS(net='alex')  # doctest: +SKIP
        >>> metric.label  # doctest: +SKIP
        'LPIPS-alex@rgb'
    """

    quantity = 'LPIPS'
    higher_is_better = False
    min_size = 32

    def __init__(self, protocol: str | dict[str, Any] | Protocol = 'rgb', net: str = 'alex', **kwargs: Any) -> None:
        if net not in BACKBONES:
            raise InputError(f'LPIPS: net must be one of {", ".join(map(repr, BACKBONES))}, but got {net!r}')
        self.variant = net
        super().__init__(protocol, **kwargs)
        lpips = import_library('lpips', 'lpips', 'LPIPS', 'metrics')
        with downloads(self.label, f'It is https://download.pytorch.org/models/{BACKBONES[net]}, and belongs in '
                                      f'{torch.hub.get_dir()}/checkpoints'):
            self.network = lpips.LPIPS(net=net, verbose=False).eval().requires_grad_(False)

    def measure(self, pred: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        return self.network.to(pred.device)(pred, gt, normalize=True).flatten()
