"""Alignment by maximum mean discrepancy."""

import torch

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .alignment import Alignment


def mmd_loss(source, target, scales=(0.25, 0.5, 1.0, 2.0, 4.0)):
    """Return the biased estimate of the squared MMD; arguments as in :class:`MMDLoss`."""
    n = len(source)
    rows = torch.cat([source, target])
    rows = rows - rows.mean(dim=0).detach()  # distances do not change, smaller numbers cancel less
    lengths = rows.square().sum(dim=1)
    distances = (lengths[:, None] + lengths - 2 * rows @ rows.mT).clamp_min(0)
    upper = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
    median = distances.detach()[upper[0], upper[1]].median()
    # where most rows are equal the median is rounding noise, where all are it is nothing
    median = median.clamp_min(1e-6 * lengths.detach().mean())
    median = torch.where(median > 0, median, torch.ones_like(median))
    kernel = sum(torch.exp(-distances / (scale * median)) for scale in scales) / len(scales)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@MODELS.register_module()
class MMDLoss(Alignment):
    """loss_weight * squared maximum mean discrepancy between source and target embeddings.

    MMD^2 = mean k(s, s') + mean k(t, t') - 2 mean k(s, t), with k(x, y) the mean over ``scales`` of
    exp(-||x - y||^2 / (scale * median)), the median being that of all squared distances in the two batches, without
    gradient (Gretton et al., "A kernel two-sample test", 2012; the biased estimate, never negative). Computed in
    float32 with autocast off; distributed, over the rows of all processes, with gradients.

    Args:
        scales (Sequence[float]): Bandwidths as multiples of the median, positive.
        **kwargs: ``loss_weight``, ``samples``, ``tokens_per_image``, ``queue_size``: see :class:`Alignment`.

    Forward:
        source (Tensor): (n, d), n >= 2.
        target (Tensor): (m, d), m >= 2.

    Raises:
        ValueError: For scales that are not positive, or batches that are too small or differ in d.

    Example:
        >>> x = torch.randn(16, 64)
        >>> abs(MMDLoss()(x, x).item()) < 1e-6
        True
    """

    def __init__(self, scales=(0.25, 0.5, 1.0, 2.0, 4.0), **kwargs):
        super().__init__(**kwargs)
        if not len(scales) or not all(scale > 0 for scale in scales):
            raise InputError(f'MMDLoss: scales must be positive multiples of the median distance, but got {scales}')
        self.scales = tuple(scales)

    def distance(self, source, target):
        return mmd_loss(source, target, self.scales)
