import numpy as np
import pytest
from scipy.stats import bootstrap

from pipeline.evaluation.arm_draws import draw_arm
from pipeline.evaluation.bca import Interval, add_reason, find_interval, find_p
from pipeline.evaluation.subject_draws import draw_subjects


def test_the_percentile_interval_and_its_reason_where_bca_is_undefined():
    drawn = np.linspace(0, 1, 101)
    one_side = find_interval(2.0, drawn, [np.array([1.0, 2.0, 4.0])], subjects=3)
    assert (one_side.ends, one_side.method) == (pytest.approx((0.025, 0.975)), "percentile")
    assert one_side.reason == "BCa is undefined: all draws are on one side of the mean"
    without_spread = find_interval(0.5, drawn, [np.ones(3)], subjects=3)
    assert (without_spread.method, without_spread.ends) == ("percentile", pytest.approx((0.025, 0.975)))
    assert without_spread.reason == "BCa is undefined: no single subject changes the mean"
    missing = find_interval(0.5, drawn, [np.array([1.0, np.nan])], subjects=2)
    assert missing.reason == "BCa is undefined: without one subject or training nothing counts"
    nothing = find_interval(0.5, np.full(3, np.nan), [np.ones(3)], subjects=3)
    assert (nothing.ends, nothing.reason) == (None, "no draw has a value: no interval")
    # The largest acceleration, 1/6, of one subject that decides everything, and the largest bias, of 100,001 draws.
    far = np.zeros(4000)
    far[0] = -100.0
    extreme = find_interval(0.999995, np.linspace(0, 1, 100_001), [far], subjects=4000)
    assert (extreme.method, extreme.ends) == ("percentile", pytest.approx((0.025, 0.975)))
    assert extreme.reason == "BCa is undefined: the acceleration 0.167 is too large"


def test_p_is_the_level_at_which_the_interval_reaches_zero():
    rng = np.random.default_rng(2)
    for shift in (0.3, -0.4, 0.8):
        arm = draw_arm((rng.lognormal(size=(1, 30, 1)) - np.exp(0.5) + shift), draw_subjects(range(30)))
        p = find_p(arm.mean, arm.drawn, arm.jackknives)
        assert 1e-4 < p < 1
        ends = find_interval(arm.mean, arm.drawn, arm.jackknives, subjects=30, confidence=1 - p).ends
        assert min(abs(end) for end in ends) == pytest.approx(0, abs=2e-3)
    assert find_p(0.0, np.zeros(10), [np.zeros(3)]) == 1.0
    assert find_p(5.0, np.full(10, 5.0), [np.zeros(3)]) == 0.1, "not below one of the draws"


def test_several_trainings_are_scipys_interval_of_two_samples():
    # With the same draws: SciPy draws trainings and subjects as two samples of one statistic.
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 1)) + rng.lognormal(size=(1, 20)) + rng.normal(size=(4, 20)) / 2
    expected = bootstrap(
        (np.arange(4), np.arange(20)),
        lambda seeds, cases: values[np.ix_(seeds.astype(int), cases.astype(int))].mean(),
        method="BCa",
        n_resamples=800,
        rng=np.random.default_rng(9),
        vectorized=False,
    )
    rng = np.random.default_rng(9)
    seeds, cases = rng.integers(0, 4, (800, 4)), rng.integers(0, 20, (800, 20))
    drawn = np.array([values[np.ix_(*pair)].mean() for pair in zip(seeds, cases, strict=True)])
    arm = draw_arm(values[:, :, None], draw_subjects(range(20), resamples=10))
    found = find_interval(arm.mean, drawn, arm.jackknives, subjects=20)
    assert found.ends == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)


def test_a_reason_is_put_in_front():
    plain = Interval((0.1, 0.2), "bca", "", 5, 0.95)
    first = add_reason(plain, "one seed")
    assert first.reason == "one seed"
    assert add_reason(first, "few") == Interval((0.1, 0.2), "bca", "few; one seed", 5, 0.95)
