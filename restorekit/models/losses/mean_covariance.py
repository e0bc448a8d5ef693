"""Alignment of means and covariances."""

from restorekit.functional.covariance import covariance_distance
from restorekit.registry import MODELS

from .alignment import Alignment


def mean_covariance_loss(source, target):
    """Return mean((mu_s - mu_t)^2) + mean((C_s - C_t)^2) of embeddings (n, d) and (m, d)."""
    means = (source.mean(dim=0) - target.mean(dim=0)).square().mean()
    return means + covariance_distance(source, target) / source.shape[1] ** 2


@MODELS.register_module()
class MeanCovarianceLoss(Alignment):
    """loss_weight * (mean((mu_s - mu_t)^2) + mean((C_s - C_t)^2)), over d and d^2 entries.

    Source: Gulrajani and Lopez-Paz, "In search of lost domain generalization", 2021 (their CORAL). The covariance
    term is four times :class:`CORALLoss`'s u. Computed in float32 with autocast off; distributed, over the rows of
    all processes, with gradients.

    Args:
        **kwargs: ``loss_weight``, ``samples``, ``tokens_per_image``, ``queue_size``: see :class:`Alignment`.

    Forward:
        source (Tensor): (n, d), n >= 2.
        target (Tensor): (m, d), m >= 2.

    Raises:
        ValueError: For batches that are too small or differ in d.

    Example:
        >>> import torch
        >>> x = torch.randn(16, 64)
        >>> round(MeanCovarianceLoss()(x, x + 2).item(), 4)
        4.0
    """

    def distance(self, source, target):
        return mean_covariance_loss(source, target)
