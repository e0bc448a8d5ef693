"""Adversarial losses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restorekit.functional.precision import at_least_float32
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .weighting import check_loss_inputs, weight_at, weighted_reduce

KINDS = ('hinge', 'lsgan', 'vanilla', 'relativistic')


def _reduce(error, weight):
    return weighted_reduce(error, weight_at(weight, error.shape[-2:]))


def generator_loss(fake: Tensor, real: Tensor | None = None, kind: str = 'hinge',
                   weight: Tensor | None = None) -> Tensor:
    """Return what the generator pays for scores (N, 1, h, w) of its images.

    'hinge': -mean(fake); 'lsgan': mean (fake - 1)^2; 'vanilla': mean softplus(-fake); 'relativistic': both sides of the
    average relativistic loss, for which the scores of real images are needed too. See :class:`AdversarialLoss`.

    Example:
        >>> generator_loss(torch.tensor([[[[3.0]]]]), kind='lsgan').item()
        4.0
    """
    fake = at_least_float32(fake)
    if kind == 'hinge':
        return -_reduce(fake, weight)
    if kind == 'lsgan':
        return _reduce((fake - 1).square(), weight)
    if kind == 'vanilla':
        return _reduce(F.softplus(-fake), weight)
    real = at_least_float32(real)
    return (_reduce(F.softplus(real.mean() - fake), weight) + _reduce(F.softplus(real - fake.mean()), weight)) / 2


def discriminator_loss(fake: Tensor, real: Tensor, kind: str = 'hinge') -> Tensor:
    """Return what the discriminator pays for the scores of generated and real images, both (N, 1, h, w).

    Example:
        >>> discriminator_loss(torch.tensor([[[[-0.5]]]]), torch.tensor([[[[2.0]]]])).item()
        0.25
    """
    fake, real = at_least_float32(fake, real)
    if kind == 'hinge':
        return (F.relu(1 + fake).mean() + F.relu(1 - real).mean()) / 2
    if kind == 'lsgan':
        return (fake.square().mean() + (real - 1).square().mean()) / 2
    if kind == 'relativistic':
        fake, real = fake - real.mean(), real - fake.mean()
    return (F.softplus(fake).mean() + F.softplus(-real).mean()) / 2


def gradient_penalty(scores: Tensor, images: Tensor) -> Tensor:
    """Return R1: the mean over images of the squared norm of the gradient of their scores (Mescheder et al., 2018).

    Args:
        scores (Tensor): Of real images, (N, 1, h, w), computed with gradients.
        images (Tensor): Those images, which require gradients.

    Example:
        >>> x = torch.ones(2, 3, 4, 4, requires_grad=True)
        >>> gradient_penalty((2 * x[:, :1, :1, :1]), x).item()
        4.0
    """
    gradient, = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return at_least_float32(gradient).square().sum(dim=(1, 2, 3)).mean()


@MODELS.register_module()
class AdversarialLoss(nn.Module):
    r"""Make a discriminator take the prediction for a real image.

    Kinds, with scores D: 'hinge' (Lim and Ye, 2017), 'lsgan' (Mao et al., ICCV 2017), 'vanilla' (Goodfellow et al.,
    2014) and 'relativistic' (average relativistic, Jolicoeur-Martineau, ICLR 2019, as in ESRGAN). It needs
    :class:`AdversarialRestorer`, which trains the discriminator with :meth:`discriminator_loss`.

    Args:
        kind (str): See above.
        r1_weight (float): Weight of the gradient penalty R1 on real images, in the discriminator's loss; 0: none.
        loss_weight (float): Factor of the generator's loss.

    Forward:
        pred, target, weight: As in :class:`L1Loss`; a weight multiplies the scores' terms.
        discriminator (callable): Images (N, 3, H, W) in [0, 1] to scores (N, 1, h, w).

    Raises:
        InputError: For another kind.

    Example:
        >>> AdversarialLoss()(*torch.rand(2, 1, 3, 8, 8), discriminator=lambda x: x.mean(1, keepdim=True)).item() < 0
        True
    """

    compares = False

    def __init__(self, kind: str = 'hinge', r1_weight: float = 0.0, loss_weight: float = 0.01):
        super().__init__()
        if kind not in KINDS:
            raise InputError(f'AdversarialLoss: kind must be one of {", ".join(map(repr, KINDS))}, but got {kind!r}')
        self.kind, self.r1_weight, self.loss_weight = kind, r1_weight, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None, *,
                discriminator: nn.Module) -> Tensor:
        check_loss_inputs(pred, target, weight)
        real = discriminator(target) if self.kind == 'relativistic' else None
        return self.loss_weight * generator_loss(discriminator(pred), real, self.kind, weight)

    def discriminator_loss(self, fake: Tensor, real: Tensor, discriminator: nn.Module) -> dict[str, Tensor]:
        """Return the named losses of the discriminator for images (N, 3, H, W) in [0, 1], generated and real."""
        penalise = self.r1_weight > 0 and torch.is_grad_enabled()
        real = real.detach().requires_grad_(penalise)
        scores = discriminator(fake.detach()), discriminator(real)
        losses = dict(loss_discriminator=discriminator_loss(*scores, self.kind))
        if penalise:
            losses['loss_r1'] = self.r1_weight / 2 * gradient_penalty(scores[1], real)
        return losses
