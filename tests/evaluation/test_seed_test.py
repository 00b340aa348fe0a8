import math

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.power import TTestIndPower

from pipeline.evaluation.paired import compare_arms
from pipeline.evaluation.seed_test import compare_seeds, find_detectable_by_seeds


def test_the_test_of_trainings_is_student_s():
    first, second = [0.88, 0.882, 0.879], [0.87, 0.874]
    found = compare_seeds(first, [*second, math.nan])
    expected = ttest_ind(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.freedom == expected.df == 3
    assert found.error == pytest.approx((np.mean(first) - np.mean(second)) / expected.statistic)


def test_one_training_and_equal_trainings_have_no_test():
    assert compare_seeds([0.88], [0.87, 0.86]) is None
    assert compare_seeds([0.88, 0.88], [0.87, 0.87]) is None


@pytest.mark.parametrize(("seeds", "level"), [(2, 0.05), (3, 0.05), (3, 0.01), (5, 0.005)])
def test_the_detectable_difference_is_that_of_statsmodels(seeds, level):
    expected = TTestIndPower().solve_power(nobs1=seeds, alpha=level, power=0.8)
    found = find_detectable_by_seeds(math.sqrt(2 / seeds), 2 * seeds - 2, level=level, power=0.8)
    assert found == pytest.approx(expected, rel=2e-3)


def test_a_comparison_keeps_the_larger_p_and_detectable_difference():
    rng = np.random.default_rng(0)
    base = rng.normal(0.88, 0.03, 30)
    first = [base + shift for shift in (0.0, 0.01, 0.02)]
    second = [base + shift + rng.normal(0, 1e-4, 30) for shift in (0.02, 0.03, 0.045)]
    comparison = compare_arms(first, second, list(range(30)), better="higher", family=2)
    means = [[one.mean() for one in arm] for arm in (first, second)]
    test = ttest_ind(*means)
    assert comparison.p == comparison.p_seeds == pytest.approx(test.pvalue)
    error = np.diff([np.mean(one) for one in means]).item() / -test.statistic
    shown = TTestIndPower().solve_power(nobs1=3, alpha=0.025, power=0.8)
    assert comparison.detectable == pytest.approx(error * math.sqrt(3 / 2) * shown, rel=2e-3)
    assert compare_arms(first[:1], second[:1], list(range(30)), better="higher").p_seeds is None
    assert compare_arms(first[:1], second, list(range(30)), better="higher").p_seeds is None


def test_values_near_zero_are_compared_without_sign_and_labels_weigh_the_same():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, 1, (2, 3, 20, 2))
    first[:, :15, 1] = np.nan
    found = compare_arms(first, second, list(range(20)), better="zero")
    means = [np.nanmean(np.abs(arm), axis=1).mean(axis=1) for arm in (first, second)]
    assert found.p_seeds == pytest.approx(ttest_ind(*means).pvalue)


@pytest.mark.filterwarnings("error")
def test_trainings_of_one_arm_that_agree_give_no_warning_of_scipy():
    found = compare_seeds([0.85, 0.85], [0.80, 0.82])
    assert found is not None
    # Standard error sqrt(2 * .01**2 / 2 * (1/2 + 1/2)) = .01, so t is .04 / .01 with 2 degrees of freedom.
    assert found.error == pytest.approx(0.01)
    assert found.p == pytest.approx(1 - 4 / np.sqrt(4**2 + 2))
