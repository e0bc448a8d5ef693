"""Consistency on unlabelled images with a mean teacher."""

import copy

import torch
from torch import nn

from restorekit.functional.ranges import rescale
from restorekit.messages import InputError
from restorekit.registry import DEGRADATIONS, MODELS


@MODELS.register_module()
class MeanTeacherConsistency(nn.Module):
    r"""Mean teacher (Tarvainen & Valpola, 2017): restore a perturbed real image as the teacher restores the original.

    .. math:: L = \lambda\,\tfrac1n \sum_i | f_\theta(P(x_i)) - \mathrm{clip}(f_{\bar\theta}(x_i)) |,\qquad
              \bar\theta \leftarrow m \bar\theta + (1 - m)\,\theta

    P is a degradation, for example more haze or noise: a heavier version of a real photo should be restored to the
    same picture. The teacher starts as a copy of the network, runs in eval mode and gets no gradient; it is saved
    and resumed with the training state, never handed over to another phase.

    Args:
        perturbation (dict): From ``DEGRADATIONS``.
        momentum (float): m in [0, 1); in the first iterations the smaller of it and k / (k + 10) is used.
        loss (dict): A loss of (pred, target).
        loss_weight (float): lambda.
    """

    def __init__(self, perturbation, momentum=0.999, loss=None, loss_weight=1.0):
        super().__init__()
        if not 0 <= momentum < 1:
            raise InputError(f'momentum must be in [0, 1), but got {momentum}')
        self.perturbation = DEGRADATIONS.build(perturbation) if isinstance(perturbation, dict) else perturbation
        self.momentum, self.loss_weight = momentum, loss_weight
        self.loss = MODELS.build(loss or dict(type='L1Loss'))
        self.register_buffer('updates', torch.zeros((), dtype=torch.long))
        self.teacher = None

    def forward(self, network, images):
        """Return the loss for target images (N, 3, H, W) in the network's input range."""
        self._update(network)
        with torch.no_grad():
            pseudo = rescale(self.teacher(images), network.output_range).clamp(0, 1)
            unit = rescale(images, network.input_range).float().clamp(0, 1)
            seeds = torch.randint(2**62, (len(images),)).tolist()
            perturbed = self.perturbation.apply(unit, None, self.perturbation.sample(seeds, *unit.shape[-2:]))
        pred = rescale(network(rescale(perturbed, (0.0, 1.0), network.input_range)), network.output_range)
        return self.loss_weight * self.loss(pred, pseudo)

    @torch.no_grad()
    def _update(self, network):
        count = int(self.updates)
        keep = min(self.momentum, count / (count + 10))
        for old, new in zip(self.teacher.parameters(), network.parameters(), strict=True):
            old.lerp_(new.detach().to(old.dtype), 1 - keep)
        for old, new in zip(self.teacher.buffers(), network.buffers(), strict=True):
            old.copy_(new)
        self.updates += 1

    def bind(self, network):
        """Make the teacher, a copy of ``network``; the restorer calls this once."""
        self.teacher = copy.deepcopy(network).requires_grad_(False).eval()

    def train(self, mode=True):
        """Set the mode; the teacher stays in eval mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

