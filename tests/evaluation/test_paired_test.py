import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, rankdata, wilcoxon

from pipeline.evaluation.paired_test import MAX_EXACT_PAIRS, MAX_EXACT_TIED_PAIRS, paired_differences, paired_test

ALTERNATIVES = ("greater", "less", "two-sided")


def by_enumeration(gains, alternative):
    """All 2ⁿ signs of the ranks, one by one."""
    ranks = rankdata(np.abs(gains))
    found = ranks[gains > 0].sum()
    sums = [np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=len(gains))]
    upper, lower = np.mean([s >= found for s in sums]), np.mean([s <= found for s in sums])
    return {"greater": upper, "less": lower, "two-sided": min(1.0, 2 * min(upper, lower))}[alternative]


@pytest.mark.parametrize(
    ("gains", "greater", "less", "two_sided"),
    [
        # Ranks 1 to 5, all gained: one of 32 ways, and all 32 are at most that far.
        ([0.1, 0.2, 0.3, 0.4, 0.5], 1 / 32, 1, 2 / 32),
        # The smallest is lost: 2 + 3 + 4 + 5 = 14 of 15; 14 and 15 are two ways.
        ([-0.1, 0.2, 0.3, 0.4, 0.5], 2 / 32, 31 / 32, 4 / 32),
        # Of three ranks the largest is lost: 1 + 2 = 3; 3 of 1 + 2 or 3 alone, so 5 of 8 are at least that.
        ([0.1, 0.2, -0.3], 5 / 8, 5 / 8, 1),
        # Equal differences have one rank, 2, and the sums 0, 2, 4, 6 come 1, 3, 3 and 1 times: 4 and 6 of 8.
        ([0.1, 0.1, -0.1], 4 / 8, 7 / 8, 1),
    ],
)
def test_few_pairs_have_the_p_of_counting(gains, greater, less, two_sided):
    for alternative, p in zip(ALTERNATIVES, (greater, less, two_sided), strict=True):
        test = paired_test(np.zeros(len(gains)), gains, alternative=alternative)
        assert test.p == pytest.approx(p, abs=1e-12)
        assert (test.method, test.alternative, test.pairs) == ("exact", alternative, len(gains))
        assert (test.greater, test.less) == (sum(g > 0 for g in gains), sum(g < 0 for g in gains))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("seed", range(3))
def test_up_to_fifty_pairs_agree_with_scipy_and_equal_differences_with_enumeration(seed, alternative):
    rng = np.random.default_rng(seed)
    for pairs in (1, 8, MAX_EXACT_PAIRS):
        first, second = rng.random(pairs), rng.random(pairs) + 0.2
        expected = wilcoxon(second, first, alternative=alternative, method="exact").pvalue
        assert paired_test(first, second, alternative=alternative).p == pytest.approx(expected, abs=1e-9)
    gains = rng.integers(1, 4, size=9) * rng.choice([-1, 1], size=9) / 10
    p = paired_test(np.zeros(9), gains, alternative=alternative).p
    assert p == pytest.approx(by_enumeration(gains, alternative), abs=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_more_pairs_are_approximated_as_by_scipy_and_near_the_exact_value(alternative):
    rng = np.random.default_rng(4)
    gains = rng.normal(0.02, 0.1, size=51)
    test = paired_test(np.zeros(51), gains, alternative=alternative)
    assert test.method == "approximate"
    assert test.p == pytest.approx(wilcoxon(gains, alternative=alternative, method="asymptotic").pvalue)
    fewer = paired_test(np.zeros(50), gains[:50], alternative=alternative)
    approximate = wilcoxon(gains[:50], alternative=alternative, method="asymptotic").pvalue
    assert fewer.method == "exact"
    assert fewer.p == pytest.approx(approximate, abs=0.01)


@pytest.mark.parametrize(("gained", "pairs"), [(38, 60), (160, 300)])
def test_many_equal_differences_are_the_sign_test(gained, pairs):
    # All differences have one size, so only signs count. The normal approximation has p 0.039 for 38 of 60, below 0.05.
    gains = np.where(np.arange(pairs) < gained, 0.1, -0.1)
    for alternative in ALTERNATIVES:
        test = paired_test(np.zeros(pairs), gains, alternative=alternative)
        expected = binomtest(gained, pairs, alternative=alternative).pvalue
        assert (test.method, test.p) == ("exact", pytest.approx(expected, abs=1e-12))


def test_very_many_equal_differences_are_approximated():
    gains = np.tile([0.1, 0.2, -0.1, 0.3], (MAX_EXACT_TIED_PAIRS + 4) // 4)
    test = paired_test(np.zeros(gains.size), gains)
    assert test.method == "approximate"
    assert test.p == pytest.approx(wilcoxon(gains, method="asymptotic").pvalue)


def test_differences_are_equal_whatever_a_computer_rounds():
    gains = [0.1, 0.1, -0.1, 0.3]
    first = np.array([0.2, 0.7, 0.9, 1 / 3])
    assert len(set(np.abs(first + gains - first))) > 2
    assert paired_test(first, first + gains).p == paired_test(np.zeros(4), gains).p


def test_pairs_that_do_not_differ_are_left_out():
    test = paired_test([0.5, 0.5, 0.5, 0.7], [0.6, 0.6, 0.6, 0.7 + 1e-12], alternative="greater")
    assert (test.p, test.pairs, test.greater, test.less) == (1 / 8, 4, 3, 0)
    same = paired_test([0.5, 0.7], [0.5, 0.7])
    assert (same.p, same.method, same.pairs, same.greater, same.less) == (1.0, "none", 2, 0, 0)
    assert paired_test([], []).p == 1.0


def test_a_value_that_does_not_count_is_taken_as_the_mean_of_its_side():
    nan = math.nan
    # Means .4 and .7. The second case goes from 0 to "not counted", .7; the third from .4 to .8; the last leaves.
    test = paired_test([0.8, 0.0, nan, nan], [0.6, nan, 0.8, nan])
    assert test.means == pytest.approx((0.4, 0.7))
    assert (test.pairs, test.greater, test.less) == (3, 2, 1)
    filled = paired_test([0.8, 0.0, 0.4], [0.6, 0.7, 0.8])
    assert test.p == filled.p
    assert filled.means == pytest.approx(test.means)
    alone = paired_test([0.5, nan], [nan, nan])
    assert (alone.p, alone.method) == (1.0, "none")
    assert math.isnan(alone.means[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 2, 3]), "2 first and 3 second values: expected pairs"),
        (([[1, 2]], [[1, 2]]), r"first values of shape \(1, 2\)"),
        (([1, 2], [1, math.inf]), "second values .* infinite"),
    ],
)
def test_values_that_are_no_pairs_are_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        paired_test(*arguments)
    with pytest.raises(ValueError, match="alternative is 'better': expected greater"):
        paired_test([1], [2], alternative="better")


def test_the_differences_have_the_difference_of_the_means():
    first = [0.5, math.nan, 0.9, math.nan]
    second = [0.6, 0.0, math.nan, math.nan]
    found = paired_differences(first, second)
    # The means of the sides are 0.7 and 0.3.
    np.testing.assert_allclose(found, [0.1, -0.7, -0.6, math.nan])
    assert np.nanmean(found) == pytest.approx(0.3 - 0.7)
    assert np.isnan(paired_differences([math.nan], [1.0])).all()
    with pytest.raises(ValueError, match="expected pairs"):
        paired_differences([1.0], [1.0, 2.0])
