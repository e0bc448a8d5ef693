"""Alignment of second-order statistics: CORAL, plain and bounded."""

import torch

from restorekit.functional.covariance import (
    CENTERS,
    covariance,
    covariance_distance,
    covariance_factor,
    covariance_products,
    unbiased_square_norm,
)
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .alignment import Alignment

ESTIMATORS = ('biased', 'unbiased', 'relative', 'whitened')
RIDGE = 1e-3


def coral_loss(source, target, bounded=True, center='true', estimator='biased'):
    """Return the CORAL loss of two batches of embeddings; arguments as in :class:`CORALLoss`."""
    if estimator == 'biased':
        loss = covariance_distance(source, target, center) / (4 * source.shape[1] ** 2)
    elif estimator == 'whitened':
        loss = _whitened(covariance(source, center), covariance(target, center))
    else:
        factors = covariance_factor(source, center), covariance_factor(target, center)
        ss, tt, st = covariance_products(*factors)
        if estimator == 'relative':
            # far below the covariance of any embedding that varies, far above the rounding of one that does not
            lengths = torch.cat([source, target]).detach().square().sum(dim=1).mean()
            floor = (1e-6 * lengths).square() + torch.finfo(ss.dtype).tiny
            loss = covariance_distance(source, target, center) / (ss + tt + floor)
        else:
            loss = (unbiased_square_norm(source) + unbiased_square_norm(target) - 2 * st) / (4 * source.shape[1] ** 2)
    # the unbiased estimate may be negative, and 1 - exp(-u) falls without bound there: training would follow it down
    return -torch.expm1(-loss.clamp_min(0)) if bounded else loss


def _whitened(source, target):
    pooled = (source + target) / 2
    floor = RIDGE * pooled.diagonal().mean() + torch.finfo(pooled.dtype).tiny ** 0.5
    factor = torch.linalg.cholesky(pooled + floor * torch.eye(len(pooled)).to(pooled))
    half = torch.linalg.solve_triangular(factor, source - target, upper=False)
    return torch.linalg.solve_triangular(factor, half.mT, upper=False).square().sum() / (4 * len(pooled))


@MODELS.register_module()
class CORALLoss(Alignment):
    """Distance between the covariances of source and target embeddings.

    u = ||C_s - C_t||_F^2 / (4 d^2) (Sun and Saenko, "Deep CORAL: correlation alignment for deep domain adaptation",
    2016); bounded, 1 - exp(-u), in [0, 1), as in CID. Computed in float32 with autocast off, from Gram matrices where
    a batch has fewer rows than dimensions. Distributed, the rows of all processes are compared, with gradients.

    For two batches of one law E[u] is about 1 / (2 (n - 1)) at unit variance, whatever d: at n = 16 most of 'biased'
    is noise, whose gradient shrinks the embedding where it can be trained. ``samples='tokens'`` and a target queue
    lower it; 'unbiased' takes it away on average; 'relative' takes the gain of shrinking away; 'whitened' counts every
    direction alike, which needs several times as many rows as dimensions.

    Args:
        bounded (bool): Return 1 - exp(-u) instead of u; a negative (unbiased) u counts as 0.
        center (str): 'true', or 'upstream': C + mu mu^T as CID's released code, which aligns means too.
        estimator (str): 'biased' as above; 'unbiased', with U-statistics for ||C_s||^2 and ||C_t||^2: zero on average
            for equal laws, can be negative, needs center='true' and 4 samples per domain; 'relative', ||C_s - C_t||^2
            / (||C_s||^2 + ||C_t||^2), in [0, 1], unchanged by scale, so that a vanishing embedding does not lower it;
            'whitened', ||W (C_s - C_t) W^T||^2 / (4 d) with W^T W the inverse of (C_s + C_t) / 2, to whose diagonal a
            thousandth of its mean is added: in [0, 1], unchanged by (nearly) any linear map of the embedding.
        **kwargs: ``loss_weight``, ``samples``, ``tokens_per_image``, ``queue_size``: see :class:`Alignment`.

    Forward:
        source (Tensor): (n, d), n >= 2.
        target (Tensor): (m, d), m >= 2.

    Raises:
        ValueError: For an unknown option, or batches that are too small or differ in d.

    Example:
        >>> x = torch.randn(16, 64)
        >>> CORALLoss()(x, x)
        tensor(0.)
    """

    def __init__(self, bounded=True, center='true', estimator='biased', **kwargs):
        super().__init__(**kwargs)
        if center not in CENTERS:
            raise InputError(f'CORALLoss: center must be one of {", ".join(map(repr, CENTERS))}, but got {center!r}')
        if estimator not in ESTIMATORS:
            raise InputError(f'CORALLoss: estimator must be one of {", ".join(map(repr, ESTIMATORS))}, '
                             f'but got {estimator!r}')
        if estimator == 'unbiased' and center != 'true':
            raise InputError("CORALLoss: estimator='unbiased' is defined for center='true' only")
        self.options = {'bounded': bounded, 'center': center, 'estimator': estimator}
        self.smallest_batch = 4 if estimator == 'unbiased' else 2

    def distance(self, source, target):
        return coral_loss(source, target, **self.options)

    def extra_repr(self):
        return ', '.join(f'{key}={value!r}' for key, value in {**self.options, 'loss_weight': self.loss_weight}.items())
