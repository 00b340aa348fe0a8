import numpy as np
import pytest
from scipy.stats import bootstrap

from pipeline.evaluation.intervals import (
    bca_interval,
    compute_hierarchical_interval,
    compute_interval,
    hierarchical_interval,
)
from pipeline.evaluation.subject_draws import SubjectDraws, draw_subjects


def draw_as_scipy(subjects, resamples, seed):
    """The draws that scipy.stats.bootstrap makes from this seed, as counts."""
    size = len(subjects)
    drawn = np.random.default_rng(seed).integers(0, size, (resamples, size))
    times = np.stack([np.bincount(row, minlength=size) for row in drawn]).astype(np.uint16)
    return SubjectDraws(np.arange(size), times, seed)


def mean_over_labels(*columns, axis=-1):
    """The statistic for scipy: the mean over labels of their means over cases."""
    return np.mean([np.nanmean(column, axis=axis) for column in columns], axis=0)


@pytest.mark.parametrize("confidence", [0.95, 0.8])
@pytest.mark.parametrize("labels", [1, 3])
def test_the_interval_is_scipys_with_the_same_draws(labels, confidence):
    rng = np.random.default_rng(labels)
    values = rng.lognormal(size=(25, labels))
    values[rng.random((25, labels)) < 0.2] = np.nan
    values[0] = 1.0
    names = [f"s{number:02d}" for number in range(25)]
    expected = bootstrap(
        tuple(values.T),
        mean_over_labels,
        paired=True,
        method="BCa",
        n_resamples=3000,
        confidence_level=confidence,
        rng=np.random.default_rng(7),
        vectorized=True,
    )
    draws = draw_as_scipy(names, 3000, 7)
    found = bca_interval(values, names, draws=draws, confidence=confidence)
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=1e-9)


def test_the_interval_is_scipys_within_the_chance_of_other_draws():
    values = np.random.default_rng(3).lognormal(size=40)
    expected = bootstrap((values,), np.mean, method="BCa", n_resamples=10_000, rng=np.random.default_rng(5))
    found = bca_interval(values, range(40))
    # Two sets of draws differ by some per cent of the interval, which is 3.6 wide.
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=0.2)
    percentile = bootstrap((values,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(5))
    assert found[1] > percentile.confidence_interval.high + 0.2, "the correction moves it to the long tail"


def test_cases_and_labels_of_a_subject_are_drawn_together():
    rising = np.random.default_rng(0).normal(size=20)
    low, high = bca_interval(np.stack([rising, -rising], axis=1), range(20))
    assert abs(low) < 1e-12
    assert abs(high) < 1e-12
    # Four equal cases of each subject say no more than one.
    four = bca_interval(np.repeat(rising, 4), np.repeat(np.arange(20), 4).tolist())
    assert four == pytest.approx(bca_interval(rising, range(20)))


@pytest.mark.parametrize(
    ("values", "subjects", "ends", "method", "reason"),
    [
        ([0.7, 0.9], ["a", "a"], None, "none", "one subject only: no interval"),
        ([0.7, np.nan, None], ["a", "b", "c"], None, "none", "one subject only: no interval"),
        ([np.nan, np.nan], ["a", "b"], None, "none", "no value counts: no interval"),
        ([0.1, 0.1, 0.1], ["a", "b", "c"], (0.1, 0.1), "constant", "all draws have the same mean"),
        ([0.2, 0.4, 0.2, 0.4], ["a", "a", "b", "b"], (0.3, 0.3), "constant", "all draws have the same mean"),
        # A quarter of the draws has one of them twice, more than the 2.5 % outside.
        ([1.0, 3.0], ["a", "b"], (1.0, 3.0), "bca", ""),
        ([np.nan, 1.0, 3.0], ["a", "b", "c"], (1.0, 3.0), "bca", ""),
    ],
)
def test_few_subjects_and_equal_values(values, subjects, ends, method, reason):
    found = compute_interval(values, subjects)
    assert (found.ends, found.method, found.reason) == (pytest.approx(ends), method, reason)
    assert bca_interval(values, subjects) == found.ends


def test_one_training_is_the_interval_over_subjects_and_says_so():
    values = np.random.default_rng(0).normal(size=(1, 12, 2))
    found = compute_hierarchical_interval(values, range(12))
    assert found.ends == bca_interval(values[0], range(12))
    assert found.reason == "one seed: the interval does not cover the chance of another training"
    several = compute_hierarchical_interval(np.concatenate([values, values + 0.1, values - 0.1]), range(12))
    assert several.reason == ""
    assert np.diff(several.ends) > np.diff(found.ends)
    assert hierarchical_interval(values, range(12)) == found.ends
    assert compute_hierarchical_interval(values[:, :1], ["a"]).reason == "one subject only: no interval"


def test_intervals_over_subjects_cover_and_those_over_cases_do_not():
    # 20 subjects with 4 cases each, the subject's part twice the case's: 300 repetitions, standard error 0.013.
    rng = np.random.default_rng(11)
    subjects = np.repeat(np.arange(20), 4)
    by_subject, by_case = draw_subjects(subjects.tolist(), resamples=1000), draw_subjects(range(80), resamples=1000)
    covered = np.zeros(2)
    for _ in range(300):
        values = np.repeat(rng.normal(0, 2, 20), 4) + rng.normal(0, 1, 80)
        for place, (names, draws) in enumerate(((subjects.tolist(), by_subject), (range(80), by_case))):
            low, high = bca_interval(values, names, draws=draws)
            covered[place] += low <= 0 <= high
    assert 0.89 <= covered[0] / 300 <= 0.97
    assert covered[1] / 300 < 0.8


def test_intervals_over_trainings_cover_another_training_and_those_over_subjects_do_not():
    # The chance of a training is as large as that of a case: 3 trainings, 40 subjects, 300 repetitions.
    rng = np.random.default_rng(12)
    draws = draw_subjects(range(40), resamples=1000)
    covered = np.zeros(2)
    for _ in range(300):
        values = rng.normal(0, 0.2, (3, 1)) + rng.normal(0, 1, (1, 40)) + rng.normal(0, 0.5, (3, 40))
        for place, seeds in enumerate((values, values.mean(axis=0, keepdims=True))):
            low, high = hierarchical_interval(seeds, range(40), draws=draws)
            covered[place] += low <= 0 <= high
    assert 0.9 <= covered[0] / 300 <= 0.98
    assert covered[1] < covered[0] - 10


def test_other_input_is_refused():
    with pytest.raises(ValueError, match="confidence 1"):
        bca_interval([1.0, 2.0], ["a", "b"], confidence=1.0)
    with pytest.raises(ValueError, match="0 resamples"):
        bca_interval([1.0, 2.0], ["a", "b"], resamples=0)
    with pytest.raises(ValueError, match="for 3 cases"):
        bca_interval([1.0, 2.0], ["a", "b", "c"])
