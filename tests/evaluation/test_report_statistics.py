import itertools
import math

import numpy as np
import pytest

from restorekit.evaluation.statistics import (
    bootstrap_interval,
    crossed_bootstrap,
    detectable_difference,
    holm,
    images_needed,
    sign_flip_test,
    student_t_test,
    variance_parts,
)


def binomial_quantile(n, p, q):
    total = 0.0
    for k in range(n + 1):
        total += math.comb(n, k) * p**k * (1 - p)**(n - k)
        if total >= q:
            return k / n
    return 1.0


@pytest.mark.parametrize(('n', 'ones'), [(10, 3), (20, 11), (40, 5)])
def test_the_bootstrap_of_zeros_and_ones_is_binomial(n, ones):
    # the mean of a resample of `ones` ones among n is Binomial(n, ones / n) / n
    low, high = bootstrap_interval([1.0] * ones + [0.0] * (n - ones), resamples=20000)
    assert low == pytest.approx(binomial_quantile(n, ones / n, 0.025), abs=1e-12)
    assert high == pytest.approx(binomial_quantile(n, ones / n, 0.975), abs=1e-12)


def test_the_bootstrap_of_many_images_is_the_normal_interval():
    values = np.random.default_rng(0).normal(30, 2, 3000)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_the_bootstrap_is_seeded_and_needs_two_images():
    values = [1.0, 2.0, 4.0, 8.0]
    many = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(many, seed=1) == bootstrap_interval(many, seed=1)
    assert bootstrap_interval(many, seed=1) != bootstrap_interval(many, seed=2)
    assert bootstrap_interval([3.0]) is None and bootstrap_interval([]) is None
    assert bootstrap_interval([3.0, 3.0, 3.0]) == (3.0, 3.0)
    low, high = bootstrap_interval([1.0, 2.0, 4.0, 8.0], level=0.5)
    assert bootstrap_interval(values)[0] < low < high < bootstrap_interval(values)[1]


def test_the_bootstrap_in_pieces_is_the_bootstrap(monkeypatch):
    values = np.random.default_rng(1).random(50)
    whole = bootstrap_interval(values, resamples=2000)
    monkeypatch.setattr('restorekit.evaluation.statistics._ROOM', 730)
    assert bootstrap_interval(values, resamples=2000) == whole


def enumerate_p(differences):
    observed = abs(sum(differences))
    patterns = list(itertools.product((-1, 1), repeat=len(differences)))
    hits = sum(abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed - 1e-12
               for signs in patterns)
    return hits / len(patterns)


@pytest.mark.parametrize('n', [1, 2, 5, 9, 12])
def test_the_permutation_test_is_exact_for_few_images(n):
    differences = np.random.default_rng(n).normal(0.4, 1, n).tolist()
    assert sign_flip_test(differences) == enumerate_p(differences)
    assert sign_flip_test([-d for d in differences]) == enumerate_p(differences)


def test_the_permutation_test_draws_for_many_images():
    differences = np.random.default_rng(0).normal(0.35, 1, 16).tolist()
    exact = enumerate_p(differences)
    assert 0.01 < exact < 0.9
    assert sign_flip_test(differences) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20000))
    assert sign_flip_test([1.0] * 60) == 1 / 20001  # never 0
    assert sign_flip_test([0.0] * 5) == 1.0 and sign_flip_test([0.0] * 20) == 1.0
    assert sign_flip_test([0.1, 0.2, -0.3]) == 1.0  # sums to 5.6e-17
    with pytest.raises(ValueError, match='at least one pair'):
        sign_flip_test([])


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_t_test_and_its_power_are_those_of_scipy():
    stats = pytest.importorskip('scipy.stats')
    rng = np.random.default_rng(4)
    for n in (2, 3, 4, 9, 40):
        differences = rng.normal(0.3, 1, n)
        assert student_t_test(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=1e-6)
        quantiles = stats.t.ppf([0.975, 0.8], 2 * (n - 1)).sum()
        assert detectable_difference(0.7, n) == pytest.approx(quantiles * 0.7 * math.sqrt(2 / n), rel=1e-6)
    assert student_t_test([1.0]) == 1 and student_t_test([0.0, 0.0]) == 1 and student_t_test([2.0, 2.0]) == 0
    assert detectable_difference(1.0, 1) is None


def test_the_parts_of_the_spread_are_found_and_say_what_more_images_do():
    rng = np.random.default_rng(6)
    # three seeds are few, so the mean over many studies is looked at
    parts = np.array([variance_parts(rng.normal(0, 3, (1, 20)) + rng.normal(0, 0.4, (3, 1))
                                     + rng.normal(0, 0.8, (3, 20))) for _ in range(400)])
    assert np.mean(parts[:, 1] ** 2) == pytest.approx(0.64, rel=0.03)
    assert np.mean(parts[:, 0] ** 2) == pytest.approx(0.16, rel=0.15)
    table = rng.normal(0, 1, (3, 7)) + [[0], [1], [3]]
    own, mean = table - table.mean(axis=0), table.mean()
    residual = own - table.mean(axis=1, keepdims=True) + mean
    of_seeds, of_images = variance_parts(table)
    assert of_images == pytest.approx(math.sqrt((residual ** 2).sum() / 12))
    assert of_seeds ** 2 + of_images ** 2 / 7 == pytest.approx(table.mean(axis=1).var(ddof=1))  # of the means
    assert variance_parts(np.ones((1, 5))) is None and variance_parts(np.ones((3, 1))) is None
    for seeds in (3, 8):
        n = images_needed(0.05, 0.7, seeds, 0.25)
        below, above = (detectable_difference(math.sqrt(0.05 ** 2 + 0.49 / k), seeds) for k in (n - 1, n))
        assert above <= 0.25 < below
    assert images_needed(0.2, 0.7, 3, 0.2) is None and images_needed(0.0, 0.0, 1, 0.2) is None
    assert images_needed(0.0, 0.0, 3, 0.2) == 1


def test_the_crossed_bootstrap_covers_seeds_and_images():
    rng = np.random.default_rng(5)
    images, seeds = rng.normal(0, 2, (1, 400)), rng.normal(0, 0.5, (200, 1))
    low, high = crossed_bootstrap([images + seeds])
    half = 1.96 * math.sqrt(images.var() / 400 + seeds.var() / 200)
    assert high - low == pytest.approx(2 * half, rel=0.1) and low < (images + seeds).mean() < high
    # images that move alike between methods cancel; what is left is the spread over seeds, or over images
    assert crossed_bootstrap([np.ones((3, 1)) * [[1.0, 1.0]]]) == pytest.approx((1.0, 1.0))
    low, high = crossed_bootstrap([seeds[:1] + images])
    assert high - low == pytest.approx(2 * 1.96 * images.std() / 20, rel=0.1)
    two = crossed_bootstrap([images + seeds, images + seeds])
    assert two[1] - two[0] == pytest.approx(2 * half / math.sqrt(2), rel=0.1)
    assert crossed_bootstrap([np.ones((1, 1))]) is None
