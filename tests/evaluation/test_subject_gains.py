import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from pipeline.evaluation.subject_gains import average_gains, correlate_ranks, standardise

NAN = math.nan


def test_trainings_labels_and_cases_are_averaged_in_turn():
    # Two trainings against one, two labels, three cases of two subjects.
    before = np.array([[[0.2, 0.5], [0.4, 0.5], [0.6, 0.5]], [[0.4, 0.5], [0.4, 0.5], [0.8, 0.5]]])
    after = np.array([[[0.5, 0.5], [0.5, 0.6], [0.9, 0.9]]])
    gains = average_gains(before, after, np.array([0, 0, 1]))
    # Differences by label: .2 and 0, .1 and .1, .2 and .4; by case .1, .1 and .3.
    assert gains.tolist() == pytest.approx([0.1, 0.3])


def test_values_that_do_not_count_are_left_out():
    before = np.array([[[0.2, NAN], [NAN, NAN], [0.6, NAN]]])
    after = np.array([[[0.3, NAN], [NAN, NAN], [NAN, NAN]]])
    # The mean of its side, .3, stands for the value that only the first set has.
    assert average_gains(before, after, np.array([0, 1, 2])).tolist() == pytest.approx([0.1, -0.3])
    assert average_gains(before[:, 1:2], after[:, 1:2], np.array([0])).size == 0


def test_rank_correlations_by_hand_and_from_scipys_statistic():
    # Ranks 1 and 2 rose, 3 fell; then all of one size, two of three rose.
    assert correlate_ranks(np.array([0.1, 0.2, -0.3, 0.0])) == 0
    assert correlate_ranks(np.array([0.1, 0.1, -0.1])) == pytest.approx(1 / 3)
    assert correlate_ranks(np.array([0.1, 0.4])) == 1
    assert correlate_ranks(np.zeros(3)) == 0
    assert math.isnan(correlate_ranks(np.empty(0)))
    gains = np.random.default_rng(0).normal(0.3, 1, 25)
    rose = wilcoxon(gains, alternative="greater").statistic
    assert correlate_ranks(gains) == pytest.approx((rose - (325 - rose)) / 325)


def test_standardised_differences_by_hand():
    assert standardise(np.array([1.0, 2.0, 3.0])) == pytest.approx(2)
    assert all(math.isnan(standardise(np.array(gains))) for gains in ([], [1.0], [0.2, 0.2, 0.2 + 1e-15]))
