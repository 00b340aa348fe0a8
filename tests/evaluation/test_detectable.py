import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import nct, norm, t, wilcoxon

from pipeline.evaluation.detectable import find_detectable, min_pairs


def measure_power(differences, shift, *, level=0.05, repetitions=1500, seed=5):
    """The share of data sets, drawn one by one, in which SciPy's test has p at most the level."""
    rng = np.random.default_rng(seed)
    changed = differences[differences != 0]
    size = changed.size
    spread = (changed - changed.mean()) * np.sqrt(size / (size - 1))
    data = rng.choice(spread, (repetitions, size)) * rng.choice((-1, 1), (repetitions, size)) + shift
    method = "exact" if size <= 50 else "asymptotic"
    return (wilcoxon(data, axis=1, method=method).pvalue <= level).mean()


@pytest.mark.parametrize("pairs", [12, 25, 26, 80])
@pytest.mark.parametrize("kind", ["normal", "long tails", "skewed"])
def test_the_difference_is_shown_in_four_of_five_simulations(kind, pairs):
    rng = np.random.default_rng(pairs)
    differences = {
        "normal": rng.normal(0.01, 0.03, pairs),
        "long tails": rng.standard_t(2, pairs) * 0.01,
        "skewed": -rng.lognormal(-4, 1, pairs),
    }[kind]
    shift = find_detectable(differences)
    # The standard error of 1500 simulations is 0.010, that of the shift's own 0.006.
    assert measure_power(differences, shift) == pytest.approx(0.8, abs=0.04)
    stricter = find_detectable(differences, level=0.01, power=0.9)
    assert stricter > shift
    assert measure_power(differences, stricter, level=0.01) == pytest.approx(0.9, abs=0.04)


def test_both_methods_are_near_the_t_test_for_normal_differences():
    # The signed-rank test needs some π / 3 times the pairs of the t-test, so a difference some 2.3 % larger.
    for pairs in (20, 60, 200):
        differences = norm.ppf((np.arange(pairs) + 0.5) / pairs)
        sd, limit = differences.std(ddof=1), t.ppf(0.975, pairs - 1)
        by_t = brentq(lambda shift: 0.8 - nct.sf(limit, pairs - 1, shift / sd * np.sqrt(pairs)), 0, 5)  # noqa: B023
        assert find_detectable(differences) == pytest.approx(1.023 * by_t, rel=0.04)


def test_pairs_that_do_not_differ_thin_out_what_can_be_shown():
    differences = np.random.default_rng(0).normal(size=30)
    alone = find_detectable(differences)
    # The test leaves the equal pairs out. The mean over all 90 is a third of that over those that differ.
    assert find_detectable(np.concatenate([differences, np.zeros(60)])) == pytest.approx(alone / 3)
    assert find_detectable(np.concatenate([differences, np.full(5, np.nan)])) == pytest.approx(alone)
    assert find_detectable(differences, seed=1) == find_detectable(-differences + 5, seed=1), "of the spread alone"


def test_too_few_pairs_can_show_nothing():
    # The smallest two-sided p of n pairs is 2¹⁻ⁿ: 1/32 with six.
    assert [min_pairs(level) for level in (0.05, 0.025, 1 / 32, 0.5)] == [6, 7, 6, 2]
    five = np.array([0.1, -0.2, 0.3, 0.4, -0.5])
    assert find_detectable(five) is None
    assert find_detectable(np.append(five, 0.6)) > 0.5, "all six must rise"
    assert find_detectable(np.append(five, 0.6), level=0.025) is None
    assert find_detectable([]) is None
    assert find_detectable(np.zeros(20)) is None
    assert find_detectable(np.full(20, 0.1)) is None, "without spread any difference is shown"


def test_other_options_are_refused():
    for options in ({"power": 1.0}, {"level": 0.0}, {"power": 0.01}):
        with pytest.raises(ValueError, match="expected 0 < level < power < 1"):
            find_detectable(np.arange(9), **options)
