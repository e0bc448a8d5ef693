"""Sample weights under which the dimensions of an embedding are as uncorrelated as possible."""

import math

import torch

from restorekit.messages import InputError, refuse_unused, unknown_name_message
from restorekit.random import derive_seed
from restorekit.registry import MODELS

from .reweighter import Reweighter, bounded, effective_sample_size

# a mean squared covariance below this is that of constant embeddings, after rounding
_ROUNDING = 1e-14


def fourier_maps(rows, omega, phi, eps=1e-5):
    """Return random Fourier features sqrt(2) cos(omega_j x_j + phi_j) of each standardised dimension.

    Source: Rahimi and Recht, "Random features for large-scale kernel machines", 2007.

    Args:
        rows (Tensor): (n, d).
        omega (Tensor): (M, 1, d), frequencies.
        phi (Tensor): (M, 1, d), phases.
        eps (float): Added to the standard deviation of each dimension.

    Returns:
        Tensor: (M, n, d).
    """
    centred = rows - rows.mean(dim=0)
    return math.sqrt(2) * torch.cos(omega * (centred / (centred.square().mean(dim=0).sqrt() + eps)) + phi)


def stablenet_maps(rows, omega, phi, eps=1e-12):
    """Return the maps of StableNet's released code, which are not the paper's Fourier features.

    omega x_j + phi_j, scaled over the dimensions of each sample to [0, pi / 2], then sqrt(2 / F) times cosine and
    sine (Zhang et al., "Deep stable learning for out-of-distribution generalization", 2021). The scaling divides by
    the range or by ``eps``, so a row of equal entries stays finite.

    Args:
        rows (Tensor): (n, d).
        omega (Tensor): (F, 1, 1), one frequency for all dimensions.
        phi (Tensor): (F, 1, d), phases.
        eps (float): Smallest range.

    Returns:
        Tensor: (2F, n, d).
    """
    scaled = omega * rows + phi
    low, high = scaled.amin(dim=-1, keepdim=True), scaled.amax(dim=-1, keepdim=True)
    scaled = (scaled - low) / (high - low).clamp_min(eps) * (math.pi / 2)
    return math.sqrt(2 / len(omega)) * torch.cat([scaled.cos(), scaled.sin()])


_MAPPINGS = {'rff': fourier_maps, 'stablenet': stablenet_maps}


class DecorrelationObjective:
    """Mean squared off-diagonal entry of the weighted covariances of several maps, and its gradient.

    D(a) = sum_m sum_{i != j} Cov_a(z_m)_ij^2 / (M d (d - 1)), Cov_a = sum_k a_k z_k z_k^T - mu mu^T. With the Gram
    matrices K_m = Z_m Z_m^T and u_m = K_m a, s_m = a^T u_m,

        sum_ij Cov_a,ij^2 = a^T (K_m o K_m) a - 2 sum_k a_k u_mk^2 + s_m^2,

    so that no d x d matrix is built; the gradient is in closed form.

    Args:
        maps (Tensor): (M, n, d), d >= 2.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
        >>> DecorrelationObjective(x[None]).value(torch.tensor([[0.5, 0.5]]))
        tensor([0.0625])
    """

    def __init__(self, maps):
        num_maps, n, d = maps.shape
        maps = maps - maps.mean(dim=1, keepdim=True)  # covariances do not change, smaller numbers cancel less
        gram = maps @ maps.mT
        self.gram = gram.reshape(num_maps * n, n)
        self.square_gram = gram.square().sum(dim=0)
        columns = maps.transpose(0, 1).reshape(n, num_maps * d)
        self.columns = torch.cat([columns, columns.square()], dim=1)
        self.shape = (num_maps, n)
        self.scale = 1 / (num_maps * d * (d - 1))

    def value(self, a):
        """Return D (L,) for L sets of weights a (L, n), each summing to one."""
        u, s, _, v = self._moments(a)
        total = ((a @ self.square_gram) * a).sum(-1) + (s.square() - 2 * (a[:, None] * u.square()).sum(-1)).sum(-1)
        return (total - v.square().sum(-1)) * self.scale

    def gradient(self, a):
        """Return dD/da (L, n), up to a constant per row, which a softmax does not see."""
        u, s, mean, v = self._moments(a)
        off = a @ self.square_gram - (u - s[..., None]).square().sum(1) - 2 * (a[:, None] * u).flatten(1) @ self.gram
        diagonal = torch.cat([-2 * v * mean, v], dim=1) @ self.columns.mT
        return (off - diagonal) * (2 * self.scale)

    def _moments(self, a):
        u = (a @ self.gram.mT).unflatten(1, self.shape)
        mean, square = (a @ self.columns).chunk(2, dim=1)
        return u, (u * a[:, None]).sum(-1), mean, square - mean.square()


@MODELS.register_module()
class DecorrelationReweighter(Reweighter):
    """Weights that decorrelate the dimensions of an embedding under random non-linear maps.

    Minimises over logits theta, restarted at every call, D(a) / penalty + sum_i softmax(theta)_i^2, where D is
    :class:`DecorrelationObjective` and a = softmax([theta; 0]) runs over the batch and the bank, by gradient descent
    with momentum; the weights are softmax(theta). Source: Zhang et al., "Deep stable learning for
    out-of-distribution generalization", 2021. D is a mean over pairs of dimensions and maps, so that ``penalty``
    means the same at any of their numbers.

    Args:
        mapping (str): 'rff', random Fourier features of the embedding standardised per dimension over batch and
            bank, or 'stablenet', the released code's.
        num_maps (int): Number of maps ('stablenet' makes a cosine and a sine of each).
        dims (int | None): Dimensions used; None or as many as there are: all. With far more dimensions than samples a
            few hundred tell as much, at a cost that falls with them.
        reduction (str): How they become ``dims``, and only with it: 'subset', drawn without replacement at each call,
            or 'projection' on a random orthonormal basis, the same at every call.
        steps (int): Steps of gradient descent.
        lr (float): Step size; a tenth of it in the second half.
        momentum (float): Momentum, in [0, 1).
        penalty (float | None): Positive; larger keeps the weights nearer to uniform. None is 0.1, or
            what ``target_ess`` asks for.
        target_ess (float | None): Instead of ``penalty``: the effective sample size to reach, as a fraction of n in
            (0, 1). The penalty is searched at each call, and the strongest taken if none reaches it (with constant
            embeddings, or a narrow ``clip``).
        bank_size (int): Rows of former batches kept, first in first out; they take part in D with uniform weights.
        embedding_dim (int | None): d; needed with a bank.
        resample (str): Draw maps once per 'call', or at each 'step' as the released code.
        clip (tuple[float, float] | None): Bounds of n * weight before the last normalisation.
        warmup_iters (int): Calls that return uniform weights first; they fill the bank.
        seed (int): Seed of every draw.

    Attributes:
        log (dict[str, float]): Of the last call: ``ess``, ``weight_min``, ``weight_max`` (times n) and, after the
            warm-up, ``objective_before`` and ``objective_after``, D at uniform weights and at those returned.

    Raises:
        ValueError: For an option out of range or an embedding of the wrong shape.

    Example:
        >>> x = torch.randn(16, 1) * torch.ones(16, 8)
        >>> weights = DecorrelationReweighter(target_ess=0.8)(x)
        >>> weights.shape, round(weights.sum().item(), 4)
        (torch.Size([16]), 1.0)
    """

    def __init__(self, mapping='rff', num_maps=5, dims=None, steps=20, lr=1.0, momentum=0.9, penalty=None,
                 target_ess=None, bank_size=0, embedding_dim=None, resample='call', clip=(0.2, 5.0), warmup_iters=0,
                 seed=0, reduction='subset'):
        super().__init__(clip, warmup_iters, seed)
        if mapping not in _MAPPINGS:
            raise InputError('DecorrelationReweighter: mapping '
                             + unknown_name_message(mapping, _MAPPINGS, 'list of mappings'))
        if resample not in ('call', 'step'):
            raise InputError(f"DecorrelationReweighter: resample must be 'call' or 'step', but got {resample!r}")
        for name, number in (('num_maps', num_maps), ('steps', steps), ('dims', dims)):
            if number is not None and number < 1:
                raise InputError(f'DecorrelationReweighter: {name} must be at least 1, but got {number}')
        if not (lr > 0 and 0 <= momentum < 1):
            raise InputError(f'DecorrelationReweighter: lr must be positive and momentum in [0, 1), but got {lr} and '
                             f'{momentum}')
        if penalty is not None and target_ess is not None:
            raise InputError('DecorrelationReweighter: give penalty or target_ess, not both; target_ess searches the '
                             'penalty')
        if penalty is not None and not penalty > 0:
            raise InputError(f'DecorrelationReweighter: penalty must be positive, but got {penalty}')
        if target_ess is not None and not 0 < target_ess < 1:
            raise InputError('DecorrelationReweighter: target_ess is a fraction of the batch in (0, 1), but got '
                             f'{target_ess}')
        if bank_size < 0 or (bank_size and not embedding_dim):
            raise InputError(f'DecorrelationReweighter: a bank needs bank_size >= 0 and embedding_dim, but got '
                             f'bank_size={bank_size} and embedding_dim={embedding_dim}; embedding_dim is the '
                             "network's attribute of that name")
        if reduction not in ('subset', 'projection'):
            raise InputError("DecorrelationReweighter: reduction must be 'subset' or 'projection', but got "
                             f'{reduction!r}')
        if dims is None:
            refuse_unused(self, dict(reduction=reduction), 'fewer dims', 'no dims')
        self.mapping, self.num_maps, self.resample = mapping, num_maps, resample
        self.dims, self.reduction, self._basis = dims, reduction, None
        self.steps, self.lr, self.momentum = steps, lr, momentum
        self.penalty, self.target_ess = 0.1 if penalty is None else penalty, target_ess
        self.bank_size, self.embedding_dim = bank_size, embedding_dim
        if bank_size:
            # the newest rows last; the last bank_count of them are filled
            self.register_buffer('bank', torch.zeros(bank_size, embedding_dim))
            self.register_buffer('bank_count', torch.zeros((), dtype=torch.long))

    def solve(self, rows):
        n, d = rows.shape
        if self.embedding_dim not in (None, d):
            raise InputError(f'DecorrelationReweighter was built with embedding_dim={self.embedding_dim}, the '
                             f'embedding has {d} dimensions')
        if self.bank_size:
            rows = torch.cat([rows, self.bank[self.bank_size - int(self.bank_count):].to(rows)])
        rows = bounded(rows)
        if self.dims is not None and self.dims < d:
            rows = self._reduced(rows)
        if len(rows) < 3 or rows.shape[1] < 2:
            # no pair of dimensions; or two rows, whose covariance does not say which of them should weigh more
            return rows.new_full((n,), 1 / n), {'objective_before': 0.0, 'objective_after': 0.0}
        objective = DecorrelationObjective(self._maps(rows, 0))
        uniform = rows.new_full((1, len(rows)), 1 / len(rows))
        before = objective.value(uniform).item()
        if self.target_ess is None:
            weights = self._descend(objective, rows, n, rows.new_full((1, 1), self.penalty))[0]
        else:
            weights = self._search(objective, rows, n, max(before, _ROUNDING))
        after = torch.cat([weights * (n / len(rows)), uniform[0, n:]])[None]
        return weights, {'objective_before': before, 'objective_after': objective.value(after).item()}

    def remember(self, rows):
        if self.bank_size:
            self.bank.copy_(torch.cat([self.bank, rows.to(self.bank)])[-self.bank_size:])
            self.bank_count.copy_((self.bank_count + len(rows)).clamp_max(self.bank_size))

    def _reduced(self, rows):
        d = rows.shape[1]
        if self.reduction == 'subset':
            return rows[:, torch.randperm(d, generator=self.generator())[:self.dims].to(rows.device)]
        if self._basis is None or len(self._basis) != d:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, d, self.dims))
            self._basis = torch.linalg.qr(torch.randn(d, self.dims, generator=generator, dtype=torch.float64))[0]
        self._basis = self._basis.to(rows.device)
        return rows @ self._basis.to(rows)

    def _maps(self, rows, step):
        generator, d = self.generator(step), rows.shape[1]
        omega = torch.randn(self.num_maps, 1, d if self.mapping == 'rff' else 1, generator=generator)
        phi = torch.rand(self.num_maps, 1, d, generator=generator) * (2 * math.pi)
        return _MAPPINGS[self.mapping](rows, omega.to(rows), phi.to(rows))

    def _descend(self, objective, rows, n, penalties):
        """Return the weights (L, n) after all steps, for L penalties (L, 1) side by side."""
        theta = rows.new_zeros(len(penalties), len(rows))
        velocity = theta[:, :n].clone()
        for step in range(self.steps):
            if step and self.resample == 'step':
                objective = DecorrelationObjective(self._maps(rows, step))
            a = theta.softmax(dim=1)
            gradient = objective.gradient(a)
            gradient = (a * (gradient - (a * gradient).sum(1, keepdim=True)))[:, :n] / penalties
            p = theta[:, :n].softmax(dim=1)  # not from a: beside a bank its sum over the batch may be 0
            gradient += 2 * p * (p - p.square().sum(1, keepdim=True))
            velocity.mul_(self.momentum).add_(gradient)
            theta[:, :n] -= (self.lr if 2 * step < self.steps else 0.1 * self.lr) * velocity
        return self.clipped(theta[:, :n].softmax(dim=1))

    def _search(self, objective, rows, n, scale):
        """Return the weights whose effective sample size is nearest to the target, from the weakest pull on."""
        low, high = -4.0, 4.0
        for _ in range(4):
            exponents = torch.linspace(low, high, 9, dtype=torch.float64)
            weights = self._descend(objective, rows, n, (scale * 10 ** exponents).to(rows)[:, None])
            fractions = (effective_sample_size(weights) / n).cpu()
            reached = (fractions <= self.target_ess).nonzero()
            if not len(reached):
                return weights[0]
            first = min(int(reached.max()), 7)
            low, high = exponents[first].item(), exponents[first + 1].item()
        return weights[int((fractions - self.target_ess).abs().argmin())]
