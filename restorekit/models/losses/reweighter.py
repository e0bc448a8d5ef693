"""What every reweighter shares: batches over processes, warm-up, clipping, the log."""

import torch
from torch import nn

from restorekit.distributed import gather_rows_and_slice
from restorekit.functional.precision import at_least_float32, no_autocast
from restorekit.messages import InputError
from restorekit.random import derive_seed


class Reweighter(nn.Module):
    """Base of what turns a batch of embeddings into sample weights that sum to one over all processes.

    A subclass defines ``solve(rows) -> (weights, log)``: positive weights (n,) for the rows (n, d) of all processes,
    the same on every process, and a dict of floats. It draws random numbers from :meth:`generator` only, which
    depends on ``seed`` and the number of calls so far: ranks agree, and a resumed run continues exactly.

    Embeddings that are not finite, and batches of one, get uniform weights.

    Args:
        clip (tuple[float, float] | None): Bounds of n * weight, before the weights are scaled to sum to one again.
        warmup_iters (int): Calls that return uniform weights before the first that does not.
        seed (int): Seed of every draw.

    Attributes:
        log (dict[str, float]): Of the last call: ``ess``, the effective sample size 1 / sum(w^2); ``weight_min`` and
            ``weight_max``, times n, so that 1 is uniform; and what the subclass adds.
        num_calls (Tensor): Calls in training mode so far; saved with the model.

    Raises:
        ValueError: For an option out of range, or an embedding that is not (N, d).
    """

    def __init__(self, clip=(0.2, 5.0), warmup_iters=0, seed=0):
        super().__init__()
        if clip is not None and not (len(clip) == 2 and 0 <= clip[0] <= 1 <= clip[1]):
            raise InputError(f'{type(self).__name__}: clip must be (low, high) with 0 <= low <= 1 <= high, bounds of '
                             f'n * weight, or None, but got {clip}')
        if warmup_iters < 0:
            raise InputError(f'{type(self).__name__}: warmup_iters must not be negative, but got {warmup_iters}')
        self.clip, self.warmup_iters, self.seed = clip, warmup_iters, seed
        self.log = {}
        self.register_buffer('num_calls', torch.zeros((), dtype=torch.long))

    def solve(self, rows):
        """Return (weights (n,), dict of floats) for the finite float rows (n, d) of all processes, n >= 2."""
        raise TypeError(f'{type(self).__name__} does not define solve(rows)')

    def remember(self, rows):
        """Keep what later calls need of the rows (n, d); called after ``solve``, in training mode."""

    @torch.no_grad()
    def forward(self, embedding):
        """Return the weights (N,) of this process's samples; no gradient flows through them.

        Args:
            embedding (Tensor): (N, d), N >= 1.

        Returns:
            Tensor: (N,), positive, float32 or float64; over all processes they sum to one.
        """
        if embedding.ndim != 2 or embedding.numel() == 0:
            raise InputError(f'{type(self).__name__} takes one embedding per sample, (N, d) and not empty, but got '
                             f'{tuple(embedding.shape)}; pool a map with embedding.mean(dim=(2, 3))')
        rows, local = gather_rows_and_slice(at_least_float32(embedding.detach()))
        weights, extra = torch.full_like(rows[:, 0], 1 / len(rows)), {}
        finite = bool(rows.isfinite().all())
        if finite and len(rows) > 1 and int(self.num_calls) >= self.warmup_iters:
            with no_autocast(rows):
                weights, extra = self.solve(rows)
        if self.training:
            if finite:
                self.remember(rows)
            self.num_calls += 1
        ess, low, high = effective_sample_size(weights).item(), weights.min().item(), weights.max().item()
        self.log = {'ess': ess, 'weight_min': low * len(rows), 'weight_max': high * len(rows), **extra}
        return weights[local]

    def clipped(self, weights):
        """Return weights (..., n), scaled to sum to one, clipped, and scaled again."""
        weights = weights / weights.sum(dim=-1, keepdim=True)
        if self.clip is None:
            return weights
        weights = (weights * weights.shape[-1]).clamp(*self.clip)
        return weights / weights.sum(dim=-1, keepdim=True)

    def generator(self, *numbers):
        """Return a CPU generator that depends on the seed, the number of calls and ``numbers``."""
        return torch.Generator().manual_seed(derive_seed(self.seed, int(self.num_calls), *numbers))


def effective_sample_size(weights):
    """Return 1 / sum(w^2) of weights (..., n) that sum to one: n when uniform, 1 when one sample has all."""
    return 1 / weights.square().sum(dim=-1)


def bounded(rows, limit=1e15):
    """Return rows scaled so that no entry exceeds ``limit``, whose square float32 still holds; few rows need it."""
    largest = rows.abs().amax()
    return rows if largest <= limit else rows * (limit / largest)
