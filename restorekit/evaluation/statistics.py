"""What can be said of a mean over few images and seeds: bootstrap intervals, paired tests, detectable differences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from restorekit.messages import InputError

RESAMPLES, DRAWS, EXACT_UP_TO = 5000, 20000, 12
_ROOM = 2**22  # numbers drawn at once, which bounds the memory


def bootstrap_interval(values: Sequence[float] | np.ndarray, level: float = 0.95, resamples: int = RESAMPLES,
                       seed: int = 0) -> tuple[float, float] | None:
    """Interval of a mean by the percentile bootstrap over images (Efron, 1979).

    The images are drawn again with replacement, as many as there are; the interval holds the middle ``level`` of the
    means of ``resamples`` such draws.

    Args:
        values (Sequence[float]): One number per image.
        level (float): Share of the means inside the interval.
        resamples (int): Number of draws.
        seed (int): Of the draws: equal values give equal intervals.

    Returns:
        tuple[float, float] | None: Lower and upper end; None for fewer than two images, which say nothing of spread.

    Example:
        >>> bootstrap_interval([0.0, 1.0])
        (0.0, 1.0)
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return None
    generator, means = np.random.default_rng(seed), []
    for count in _chunks(resamples, len(values)):
        means.append(values[generator.integers(0, len(values), (count, len(values)))].mean(axis=1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def sign_flip_test(differences: Sequence[float] | np.ndarray, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p value of a paired permutation test on the mean difference (Fisher, 1935).

    If two methods were alike, each difference could as well have the other sign. p is the share of sign patterns whose
    mean is at least as far from 0 as the mean observed: of all 2^n for up to 12 differences, else of ``draws`` random
    ones, with the observed one counted, (1 + hits) / (1 + draws).

    Args:
        differences (Sequence[float]): One number per image, method B minus method A.
        draws (int): Random patterns for more than 12 differences.
        seed (int): Of those.

    Returns:
        float: In (0, 1].

    Raises:
        ValueError: Without any difference.

    Example:
        >>> sign_flip_test([1.0, 1.0, 1.0])  # 2 of the 8 patterns
        0.25
    """
    differences = np.asarray(differences, np.float64)
    n = len(differences)
    if n == 0:
        raise InputError('a paired test needs at least one pair of numbers')
    threshold = abs(differences.sum()) * (1 - 1e-12)  # sums in another order differ in the last digit
    if n <= EXACT_UP_TO:
        signs = (np.arange(2**n)[:, None] >> np.arange(n) & 1) * 2.0 - 1
        return float(np.mean(np.abs(signs @ differences) >= threshold))
    generator, hits = np.random.default_rng(seed), 0
    for count in _chunks(draws, n):
        signs = generator.integers(0, 2, (count, n)) * 2.0 - 1
        hits += int(np.sum(np.abs(signs @ differences) >= threshold))
    return (1 + hits) / (1 + draws)


def least_p(n: int, draws: int = DRAWS) -> float:
    """Return the smallest p value that :func:`sign_flip_test` can give for ``n`` differences.

    Example:
        >>> least_p(5)
        0.0625
    """
    return 2.0**(1 - n) if n <= EXACT_UP_TO else 1 / (1 + draws)


def crossed_bootstrap(tables: Sequence[np.ndarray], level: float = 0.95, resamples: int = 2000,
                      seed: int = 0) -> tuple[float, float] | None:
    """Interval of a mean over seeds and images by the crossed bootstrap (Owen, "The pigeonhole bootstrap", 2007).

    Seeds and images are drawn again with replacement, each independently of the other: every draw takes the numbers
    where its seeds and its images meet. So the interval speaks of other seeds *and* of other images.

    Args:
        tables (Sequence[ndarray]): One table (seeds, images) per set; the mean of the sets' means is what is estimated.
        level (float): Share of the means inside the interval.
        resamples (int): Number of draws.
        seed (int): Of the draws: equal numbers give equal intervals.

    Returns:
        tuple[float, float] | None: Lower and upper end; None where a table has a single number.

    Example:
        >>> crossed_bootstrap([np.array([[0.0, 1.0], [0.0, 1.0]])])
        (0.0, 1.0)
    """
    generator, means = np.random.default_rng(seed), []
    for table in tables:
        table = np.asarray(table, np.float64)
        if table.size < 2:
            return None
        counts = [generator.multinomial(n, np.full(n, 1 / n), resamples) / n for n in table.shape]
        means.append(np.einsum('rs,sn,rn->r', counts[0], table, counts[1], optimize=True))
    low, high = np.quantile(np.mean(means, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def student_t_test(differences: Sequence[float]) -> float:
    """Two-sided p value of the paired t test on the mean difference (Student, 1908).

    Args:
        differences (Sequence[float]): One number per seed, method B minus method A.

    Returns:
        float: In [0, 1]; 1 for fewer than two differences, which say nothing of their spread.

    Example:
        >>> round(student_t_test([1.0, 2.0, 3.0]), 4)
        0.0742
    """
    differences = np.asarray(differences, np.float64)
    n = len(differences)
    if n < 2:
        return 1.0
    error = differences.std(ddof=1) / math.sqrt(n)
    if error == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    return min(1.0, 2 * _t_tail(abs(differences.mean()) / error, n - 1))


def detectable_difference(deviation: float, seeds: int, power: float = 0.8, alpha: float = 0.05) -> float | None:
    """Return the difference of two methods that a two-sided t test over seeds finds with probability ``power``.

    (t_{1 - alpha / 2} + t_{power}) * deviation * sqrt(2 / seeds), both quantiles with 2 (seeds - 1) degrees of freedom.

    Args:
        deviation (float): Standard deviation over seeds of one method's result.
        seeds (int): Seeds of each method.
        power (float): In (0.5, 1).
        alpha (float): Chance of a false alarm, in (0, 1).

    Returns:
        float | None: In the unit of ``deviation``; None for a single seed.

    Example:
        >>> round(detectable_difference(1.0, 3), 2)
        3.04
    """
    if seeds < 2:
        return None
    freedom = 2 * (seeds - 1)
    return (_t_quantile(alpha / 2, freedom) + _t_quantile(1 - power, freedom)) * deviation * math.sqrt(2 / seeds)


def variance_parts(table: np.ndarray) -> tuple[float, float] | None:
    """Split the spread of one method's results over seeds into what more images lower and what they do not.

    The model is ``y_si = m_i + a_s + e_si`` for seed s and image i; a mean over n images then varies over seeds by
    ``sqrt(var(a) + var(e) / n)``. Both are estimated from the mean squares of a two-way table (Fisher, 1925); an
    estimate of var(a) below 0 counts as 0, and from few seeds it is rough.

    Args:
        table (ndarray): (seeds, images).

    Returns:
        tuple[float, float] | None: Standard deviations of a and of e; None for a single seed or image.

    Example:
        >>> variance_parts(np.array([[0.0, 5.0], [2.0, 7.0]]))  # every image differs by 2
        (1.4142135623730951, 0.0)
    """
    table = np.asarray(table, np.float64)
    seeds, images = table.shape
    if seeds < 2 or images < 2:
        return None
    own = table - table.mean(axis=0)
    shared = own.mean(axis=1, keepdims=True)
    single = float(((own - shared) ** 2).sum() / ((seeds - 1) * (images - 1)))
    whole = float((shared ** 2).sum() / (seeds - 1)) - single / images
    return math.sqrt(max(whole, 0.0)), math.sqrt(single)


def images_needed(of_seeds: float, of_images: float, seeds: int, wanted: float) -> int | None:
    """Return how many test images make ``wanted`` the :func:`detectable_difference` of so many seeds.

    Args:
        of_seeds (float): Standard deviation of a of :func:`variance_parts`.
        of_images (float): Of e.
        seeds (int): Seeds of each method.
        wanted (float): In the same unit.

    Returns:
        int | None: None where no number of images is enough.

    Example:
        >>> images_needed(0.0, 0.75, 3, 0.2)
        130
    """
    unit = detectable_difference(1.0, seeds)
    if unit is None or wanted / unit <= of_seeds:
        return None
    return max(1, math.ceil(of_images ** 2 / ((wanted / unit) ** 2 - of_seeds ** 2)))


def _t_tail(t: float, freedom: float) -> float:
    """P(T > t), t >= 0, by Simpson's rule on the angle arctan(t / sqrt(freedom)), where the density is a cosine."""
    angles = np.linspace(math.atan(t / math.sqrt(freedom)), math.pi / 2, 2001)
    weights = np.array([1, *[4, 2] * 999, 4, 1]) * (angles[1] - angles[0]) / 3
    factor = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return float(factor * (weights @ np.cos(angles).clip(0) ** (freedom - 1)))


def _t_quantile(tail: float, freedom: float) -> float:
    """The t with P(T > t) = ``tail`` < 0.5, by bisection."""
    low, high = 0.0, 1.0
    while _t_tail(high, freedom) > tail:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_tail(middle, freedom) > tail else (low, middle)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of several tests so that the chance of any false alarm stays bounded (Holm, 1979).

    Sorted p_(1) <= ... <= p_(m) become max over j <= i of min(1, (m - j + 1) p_(j)).

    Args:
        p_values (Sequence[float]): One per test.

    Returns:
        list[float]: Adjusted, in the order given.

    Example:
        >>> holm([0.01, 0.5, 0.03])
        [0.03, 0.5, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(order), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def _chunks(total: int, width: int) -> Iterator[int]:
    step = max(1, _ROOM // width)
    for start in range(0, total, step):
        yield min(step, total - start)
