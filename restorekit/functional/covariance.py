"""Covariances of a batch of embeddings, compared without building d x d matrices where the batch is small."""

import torch

from restorekit.messages import InputError

CENTERS = ('true', 'upstream')


def covariance(x, center='true'):
    """Return the covariance matrix of the rows, A^T A of :func:`covariance_factor`.

    Args:
        x (Tensor): (n, d), n >= 2.
        center (str): 'true': C = sum_i (x_i - mu)(x_i - mu)^T / (n - 1), as ``numpy.cov``. 'upstream': C + mu mu^T,
            what CID's released code computes, which aligns means too.

    Returns:
        Tensor: (d, d).

    Example:
        >>> covariance(torch.tensor([[0.0], [2.0]]))
        tensor([[2.]])
    """
    factor = covariance_factor(x, center)
    return factor.mT @ factor


def covariance_factor(x, center='true'):
    """Return A with A^T A = :func:`covariance` of the rows: (n, d), one row more with center='upstream'."""
    if center not in CENTERS:
        raise InputError(f'center must be one of {", ".join(map(repr, CENTERS))}, but got {center!r}')
    if x.ndim != 2 or len(x) < 2:
        raise InputError(f'a covariance needs rows (n, d) with n >= 2, but got {tuple(x.shape)}; use a larger batch')
    mean = x.mean(dim=0, keepdim=True)
    factor = (x - mean) / (len(x) - 1) ** 0.5
    return factor if center == 'true' else torch.cat([factor, mean])


def covariance_products(source, target):
    """Return (||C_s||^2, ||C_t||^2, <C_s, C_t>) in Frobenius norm, from the factors of two covariances.

    ||A^T A||_F = ||A A^T||_F and <A^T A, B^T B> = ||A B^T||_F^2, so with fewer rows than columns no d x d matrix is
    built.

    Args:
        source (Tensor): Factor A (n, d) with C_s = A^T A.
        target (Tensor): Factor B (m, d) with C_t = B^T B.

    Returns:
        tuple[Tensor, Tensor, Tensor]: Scalars.
    """
    if max(len(source), len(target)) < source.shape[1]:
        return tuple((a @ b.mT).square().sum() for a, b in ((source, source), (target, target), (source, target)))
    c_source, c_target = source.mT @ source, target.mT @ target
    return c_source.square().sum(), c_target.square().sum(), (c_source * c_target).sum()


def covariance_distance(source, target, center='true'):
    """Return ||C_s - C_t||_F^2.

    Args:
        source (Tensor): (n, d), n >= 2.
        target (Tensor): (m, d), m >= 2.
        center (str): As in :func:`covariance`.

    Returns:
        Tensor: Scalar.

    Example:
        >>> x = torch.rand(4, 8)
        >>> covariance_distance(x, x + 1).item() < 1e-6
        True
    """
    a, b = covariance_factor(source, center), covariance_factor(target, center)
    if max(len(a), len(b)) < a.shape[1]:
        aa, bb, ab = covariance_products(a, b)
        return aa + bb - 2 * ab
    return (a.mT @ a - b.mT @ b).square().sum()


def unbiased_square_norm(x):
    """Return an unbiased estimate of ||Sigma||_F^2 of the law the rows were drawn from.

    The plug-in ||S||^2 of a sample covariance is too large, by more than the truth when n << d. The U-statistic is
    (n - 1) / (n (n - 2) (n - 3)) * ((n - 1)(n - 2) ||S||^2 + tr(S)^2 - n Q), Q = sum_i ||x_i - mu||^4 / (n - 1)
    (Himeno and Yamada, "Estimations for some functions of covariance matrix in high dimension under non-normality",
    2014).

    Args:
        x (Tensor): (n, d), n >= 4.

    Returns:
        Tensor: Scalar; it can be negative.

    Raises:
        ValueError: With fewer than four rows.
    """
    n = len(x)
    if n < 4:
        raise InputError(f'an unbiased covariance norm needs at least 4 rows, but got {n}; use a larger batch')
    factor = covariance_factor(x)
    square_norm = covariance_products(factor, factor)[0]
    lengths = factor.square().sum(dim=1)  # ||x_i - mu||^2 / (n - 1)
    trace, fourth = lengths.sum(), lengths.square().sum() * (n - 1)
    return (n - 1) / (n * (n - 2) * (n - 3)) * ((n - 1) * (n - 2) * square_norm + trace ** 2 - n * fourth)
