"""Weights of domains that follow the worst of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from restorekit.distributed import gather_rows_and_slice
from restorekit.messages import InputError, unknown_name_message
from restorekit.registry import MODELS


@MODELS.register_module()
class GroupDRO(nn.Module):
    r"""Group distributionally robust optimisation: train on the domains in proportion to how badly they do.

    At each step, with :math:`l_g` the mean loss of domain g in the batch (over all processes),

    .. math:: q_g \leftarrow \frac{q_g\, e^{\eta l_g}}{\sum_h q_h\, e^{\eta l_h}},\qquad L = \sum_g q_g\, l_g

    with q uniform at first; a domain that the batch has not keeps its q up to the common factor (Sagawa et al.,
    "Distributionally robust neural networks for group shifts", ICLR 2020, algorithm 1). q is saved with the model.

    Args:
        domains (Sequence[str]): Names of the domains, as in the samples' metainfo.
        step (float): eta > 0.

    Forward:
        losses (Tensor): (N,), one loss per sample, no gradient needed.
        domains (Sequence[str]): (N,) names.

    Returns: weights (N,) so that their mean times the samples' losses is L: q_g N / n_g.

    Raises:
        InputError: For an option out of range, or samples of a domain that is not among ``domains``.

    Example:
        >>> GroupDRO(['haze', 'dust'], step=1.0)(torch.tensor([1.0, 1.0, 1.0]), ['haze', 'haze', 'dust'])
        tensor([0.7500, 0.7500, 1.5000])
    """

    def __init__(self, domains: Sequence[str], step: float = 0.01):
        super().__init__()
        if len(domains) < 1 or len(set(domains)) != len(domains) or not step > 0:
            raise InputError(f'GroupDRO: domains must be different names and step positive, but got {domains} and '
                             f'{step}')
        self.domains, self.step = tuple(domains), step
        self.register_buffer('q', torch.full((len(domains),), 1 / len(domains)))

    @torch.no_grad()
    def forward(self, losses: torch.Tensor, domains: Sequence[str]) -> torch.Tensor:
        """Return the samples' weights, and move q in training mode."""
        unknown = [name for name in domains if name not in self.domains]
        if unknown:
            raise InputError('GroupDRO: ' + unknown_name_message(unknown[0], self.domains, "list of its domains"))
        index = torch.tensor([self.domains.index(name) for name in domains], device=losses.device)
        # gathered as numbers of one dtype; a domain's index is exact in it
        rows, local = gather_rows_and_slice(torch.stack([losses.detach().double(), index.double()], dim=1))
        everyone = rows[:, 1].long()
        counts = torch.zeros(len(self.domains), dtype=torch.float64, device=losses.device).index_add_(
            0, everyone, torch.ones_like(rows[:, 0]))
        means = torch.zeros_like(counts).index_add_(0, everyone, rows[:, 0]) / counts.clamp_min(1)
        if self.training:
            q = self.q.double() * torch.exp(self.step * means)
            self.q.copy_(q / q.sum())
        weights = self.q.double()[everyone] * len(rows) / counts[everyone]
        return weights[local].to(losses.dtype if losses.is_floating_point() else torch.float32)
