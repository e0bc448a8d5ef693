"""Sample weights from the ratio of independent to joint density."""

import torch

from restorekit.messages import InputError
from restorekit.registry import MODELS

from .reweighter import Reweighter, bounded


@MODELS.register_module()
class DensityRatioReweighter(Reweighter):
    """Weights proportional to q(x) / p(x), p the density of the embeddings and q that of independent dimensions.

    Samples of q are the rows with every column permuted on its own. A classifier of p against q gives
    w = (1 - P(p | x)) / P(p | x) (Shen et al., "Stable learning via sample reweighting", 2020, SRDO). Here it is
    kernel ridge regression on labels +1 and -1 with the kernel (1 + x.y / d)^2, which sees correlations and is
    solved in closed form; each sample is scored by a classifier that has not seen it.

    Args:
        ridge (float): Added to the kernel's diagonal; positive. Larger gives more uniform weights.
        folds (int): Parts of the batch, each scored by a classifier trained on the others; at least 2.
        permutations (int): Permuted copies of the training rows per classifier.
        clip (tuple[float, float] | None): Bounds of n * weight before the last normalisation.
        warmup_iters (int): Calls that return uniform weights first.
        seed (int): Seed of folds and permutations.

    Attributes:
        log (dict[str, float]): Of the last call: ``ess``, ``weight_min``, ``weight_max`` (times n).

    Raises:
        ValueError: For an option out of range.

    Example:
        >>> weights = DensityRatioReweighter()(torch.randn(16, 8))
        >>> weights.shape, round(weights.sum().item(), 4)
        (torch.Size([16]), 1.0)
    """

    def __init__(self, ridge=1.0, folds=4, permutations=4, clip=(0.2, 5.0), warmup_iters=0, seed=0):
        super().__init__(clip, warmup_iters, seed)
        if not ridge > 0:
            raise InputError(f'DensityRatioReweighter: ridge must be positive, but got {ridge}')
        if folds < 2 or permutations < 1:
            raise InputError('DensityRatioReweighter: folds must be at least 2 and permutations at least 1, but got '
                             f'{folds} and {permutations}')
        self.ridge, self.folds, self.permutations = ridge, folds, permutations

    def solve(self, rows):
        n, d = rows.shape
        generator = self.generator()
        rows = bounded(rows)
        rows = rows - rows.mean(dim=0)
        rows = rows / (rows.square().mean(dim=0).sqrt() + 1e-5)
        part = (torch.randperm(n, generator=generator) % min(self.folds, n)).to(rows.device)
        score = torch.empty_like(rows[:, 0])
        for fold in range(min(self.folds, n)):
            seen = rows[part != fold]
            order = torch.rand(self.permutations * len(seen), d, generator=generator)
            order = order.view(self.permutations, len(seen), d).argsort(dim=1).flatten(0, 1).to(rows.device)
            train = torch.cat([seen, seen.gather(0, order)])
            label = torch.ones_like(train[:, 0])
            label[len(seen):] = -1
            # the copies together weigh as much as the rows themselves
            noise = label.new_full(label.shape, self.ridge)
            noise[len(seen):] *= self.permutations
            kernel = _kernel(train, train) + torch.diag(noise)
            score[part == fold] = _kernel(rows[part == fold], train) @ torch.linalg.solve(kernel, label)
        joint = ((1 + score) / 2).clamp(0.05, 0.95)
        return self.clipped((1 - joint) / joint), {}


def _kernel(a, b):
    return (1 + a @ b.mT / a.shape[1]).square()
