"""CORAL between images of equal haze density."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from restorekit.functional.haze_prior import haze_density
from restorekit.messages import InputError
from restorekit.registry import MODELS

from .coral import CORALLoss, coral_loss


@MODELS.register_module()
class DensityConditionalCORAL(CORALLoss):
    r"""CORAL within classes of haze density, so that thin haze is compared with thin haze and dense with dense.

    .. math:: L = \sum_k \frac{m_k}{\sum_k m_k}\, \mathrm{CORAL}(\{z^s_i : c(x^s_i) = k\}, \{z^t_j : c(x^t_j) = k\}),
              \qquad m_k = \min(n^s_k, n^t_k)

    The class c of an image counts the ``edges`` that its mean dark channel exceeds (:func:`haze_density`), which needs
    no label on either side; classes with fewer than two images on a side (four with the unbiased estimator) are left
    out. Without it, aligning a hazy source with a clear target moves density itself. After the class-conditional form
    of Long et al. ("Conditional adversarial domain adaptation", 2018) and CORAL (Sun and Saenko, 2016).

    Args:
        edges (Sequence[float]): Ascending bounds in (0, 1) between the classes.
        embedding_dim (int | None): d; needed with a queue, and given by the restorer.
        **kwargs: See :class:`CORALLoss`; ``samples`` must be 'pooled'.

    Forward:
        source, target (Tensor): (n, d) and (m, d).
        source_images, target_images (Tensor): (n, 3, H, W) and (m, 3, H, W) in [0, 1].

    Raises:
        ValueError: For edges that do not ascend in (0, 1), tokens, or batches that are too small or differ in d.

    Example:
        >>> x, images = torch.randn(8, 4), torch.rand(8, 3, 16, 16)
        >>> DensityConditionalCORAL()(x, x, images, images).item()
        0.0
    """

    needs_images = True

    def __init__(self, edges: Sequence[float] = (0.25, 0.5), embedding_dim: int | None = None, **kwargs):
        # the density travels as one more column, through gathering and the queue
        super().__init__(embedding_dim=embedding_dim and embedding_dim + 1, **kwargs)
        if not all(low < high for low, high in zip((0, *edges), (*edges, 1), strict=True)):
            raise InputError(f'DensityConditionalCORAL: edges must ascend within (0, 1), but got {tuple(edges)}')
        if self.samples != 'pooled':
            raise InputError("DensityConditionalCORAL compares images, so samples must be 'pooled', but got "
                             f'{self.samples!r}')
        self.edges = tuple(edges)

    def forward(self, source: torch.Tensor, target: torch.Tensor, source_images: torch.Tensor,
                target_images: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss; see the class."""
        rows = [torch.cat([rows, haze_density(images).to(rows)[:, None]], dim=1)
                for rows, images in ((source, source_images), (target, target_images))]
        return super().forward(*rows)

    def distance(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean over classes of rows whose last column is the density."""
        edges = torch.tensor(self.edges, dtype=source.dtype, device=source.device)
        (ours, a), (theirs, b) = ((rows[:, :-1], torch.bucketize(rows[:, -1].detach().contiguous(), edges))
                                  for rows in (source, target))
        total, weights = ours.sum() * 0, 0
        for k in range(len(self.edges) + 1):
            mine, other = ours[a == k], theirs[b == k]
            smaller = min(len(mine), len(other))
            if smaller >= self.smallest_batch:
                total = total + smaller * coral_loss(mine, other, **self.options)
                weights += smaller
        return total / max(weights, 1)
