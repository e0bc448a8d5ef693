"""Alignment by a domain classifier that the features try to fool."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .alignment import Alignment


class _Reversal(torch.autograd.Function):
    """Identity whose gradient is multiplied by -strength."""

    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.strength * gradient, None


def reverse_gradient(x: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Return ``x``; its gradient is multiplied by ``-strength`` on the way back.

    Example:
        >>> x = torch.ones(1, requires_grad=True)
        >>> reverse_gradient(x, 0.5).sum().backward()
        >>> x.grad.item()
        -0.5
    """
    return _Reversal.apply(x, strength)


@MODELS.register_module()
class DomainAdversarialLoss(Alignment):
    r"""loss_weight * cross-entropy of a domain classifier behind a gradient reversal.

    .. math:: L = \tfrac12\big(-\tfrac1n \sum_i \log D(z^s_i) - \tfrac1m \sum_j \log (1 - D(z^t_j))\big)

    D, a small network, descends L; what makes the embedding z ascends :math:`\lambda L`, with
    :math:`\lambda = 2 / (1 + e^{-10 p}) - 1`, p growing from 0 to 1 over ``warmup_iters`` calls (Ganin et al.,
    "Domain-adversarial training of neural networks", 2016). Each domain has half of the loss, whatever its number of
    rows. Computed in float32 with autocast off.

    Args:
        embedding_dim (int): d; given by the restorer.
        hidden (int): Width of the classifier's hidden layer.
        normalise (bool): Show D the rows divided by the standard deviation of each dimension over both domains, without
            gradient. Where the embedding has no bound of its own the reversal can make it grow without end, since a D
            that is wrong by more costs more; then this is needed.
        warmup_iters (int): Calls in training until the reversal has its full strength; 0: from the first.
        **kwargs: ``loss_weight``, ``samples``, ``tokens_per_image``, ``queue_size``: see :class:`Alignment`.

    Raises:
        ValueError: For an option out of range, or batches that are too small or differ in d.

    Example:
        >>> loss = DomainAdversarialLoss(embedding_dim=8)
        >>> round(float(loss(torch.zeros(4, 8), torch.zeros(4, 8))), 4)
        0.6931
    """

    needs_embedding_dim = True

    def __init__(self, embedding_dim: int, hidden: int = 64, warmup_iters: int = 0,
                 normalise: bool = False, **kwargs):
        super().__init__(embedding_dim=embedding_dim, **kwargs)
        if not embedding_dim or hidden < 1 or warmup_iters < 0:
            raise InputError('DomainAdversarialLoss: embedding_dim and hidden must be at least 1 and warmup_iters at '
                             f'least 0, but got {embedding_dim}, {hidden} and {warmup_iters}')
        self.warmup_iters, self.normalise = warmup_iters, normalise
        self.classifier = nn.Sequential(nn.Linear(embedding_dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        nn.init.zeros_(self.classifier[-1].weight)
        nn.init.zeros_(self.classifier[-1].bias)
        self.register_buffer('num_calls', torch.zeros((), dtype=torch.long))

    @property
    def strength(self) -> float:
        """The present strength of the reversal, in [0, 1]."""
        if self.warmup_iters == 0:
            return 1.0
        progress = min(1.0, int(self.num_calls) / self.warmup_iters)
        return 2 / (1 + math.exp(-10 * progress)) - 1

    def distance(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy of the classifier; see the class."""
        strength = self.strength
        if self.training:
            self.num_calls += 1
        scale = source.new_ones(1)
        if self.normalise:
            scale = torch.cat([source, target]).detach().std(dim=0, correction=0).clamp_min(1e-5)
        ours, theirs = (self.classifier(reverse_gradient((rows / scale).float(), strength)).squeeze(1)
                        for rows in (source, target))
        return (F.softplus(-ours).mean() + F.softplus(theirs).mean()) / 2
