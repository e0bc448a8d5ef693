"""What can be said of a mean over few images: bootstrap intervals, and a paired test by permutation."""

import numpy as np

from restorekit.messages import InputError

RESAMPLES, DRAWS, EXACT_UP_TO = 5000, 20000, 12
_ROOM = 2**22  # numbers drawn at once, which bounds the memory


def bootstrap_interval(values, level=0.95, resamples=RESAMPLES, seed=0):
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


def sign_flip_test(differences, draws=DRAWS, seed=0):
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


def least_p(n, draws=DRAWS):
    """Return the smallest p value that :func:`sign_flip_test` can give for ``n`` differences.

    Example:
        >>> least_p(5)
        0.0625
    """
    return 2.0**(1 - n) if n <= EXACT_UP_TO else 1 / (1 + draws)


def holm(p_values):
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


def _chunks(total, width):
    step = max(1, _ROOM // width)
    for start in range(0, total, step):
        yield min(step, total - start)
