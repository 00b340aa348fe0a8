import numpy as np
import pytest

from pipeline.evaluation.ranking import rank_arms, rank_sets
from pipeline.evaluation.subject_draws import draw_subjects


def test_clear_ranks_are_stable():
    base = np.random.default_rng(0).beta(9, 2, 20)
    values = np.stack([base - 0.1, base, base - 0.3])
    higher = rank_sets(values, range(20), better="higher")
    assert higher.ranks.tolist() == [2, 1, 3]
    assert higher.first.tolist() == [0, 1, 0]
    assert higher.intervals.tolist() == [[2, 2], [1, 1], [3, 3]]
    assert higher.shares.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert higher.means.tolist() == pytest.approx(values.mean(axis=1).tolist())
    assert rank_sets(values, range(20), better="lower").ranks.tolist() == [2, 3, 1]
    assert higher.subjects == 20


def test_two_subjects_that_disagree_by_hand():
    # The first set wins on a, the second on b, by more. Draws: aa with 1/4, ab with 1/2, bb with 1/4.
    found = rank_sets([[0.9, 0.5], [0.8, 0.9]], ["a", "b"], better="higher")
    assert found.ranks.tolist() == [2, 1]
    assert found.first.tolist() == pytest.approx([0.25, 0.75], abs=0.02)
    assert found.intervals.tolist() == [[1, 2], [1, 2]]
    assert found.shares.tolist() == [pytest.approx([0.25, 0.75], abs=0.02), pytest.approx([0.75, 0.25], abs=0.02)]


def test_equal_means_share_the_rank_and_the_first_place():
    base = np.random.default_rng(0).normal(size=15)
    found = rank_sets([base, base + 1e-13, base - 1, base - 1], range(15), better="higher")
    assert found.ranks.tolist() == [1, 1, 3, 3]
    assert found.first.tolist() == [0.5, 0.5, 0, 0]
    one_side = rank_sets([[1.0, 2.0], [1.0, 3.0]], ["a", "b"], better="higher")
    # In draws of a alone both are first.
    assert one_side.first.tolist() == pytest.approx([0.125, 0.875], abs=0.02)


def test_nearness_to_zero_and_labels():
    values = np.array([[[-2.0, 1.0]] * 4, [[0.5, -0.5]] * 4, [[1.0, -1.0]] * 4])
    found = rank_sets(values, range(4), better="zero")
    assert found.means.tolist() == [1.5, 0.5, 1.0]
    assert found.ranks.tolist() == [3, 1, 2]


def test_one_set_one_subject_and_a_set_without_values():
    alone = rank_sets([[0.5, 0.7]], ["a", "b"], better="higher")
    assert (alone.ranks.tolist(), alone.first.tolist(), alone.intervals.tolist()) == ([1], [1.0], [[1, 1]])
    one = rank_sets([[0.5, 0.7], [0.8, 0.9]], ["a", "a"], better="higher")
    assert (one.first.tolist(), one.subjects) == ([0.0, 1.0], 1)
    empty = rank_sets([[np.nan, np.nan], [0.1, 0.2]], ["a", "b"], better="lower")
    assert empty.ranks.tolist() == [2, 1]
    assert np.isnan(empty.means[0])


def test_shares_sum_to_one_and_are_those_of_one_by_one_draws():
    values = np.random.default_rng(4).normal(size=(4, 12, 2))
    draws = draw_subjects(range(12), resamples=300)
    found = rank_sets(values, range(12), better="higher", draws=draws)
    assert found.first.sum() == pytest.approx(1)
    assert found.shares.sum(axis=1).tolist() == pytest.approx([1, 1, 1, 1])
    wins = np.zeros(4)
    for times in draws.times:
        cases = np.repeat(np.arange(12), times)
        wins[values[:, cases].mean(axis=(1, 2)).argmax()] += 1
    assert found.first.tolist() == pytest.approx((wins / 300).tolist())


def test_other_trainings_make_a_rank_less_sure():
    base = np.random.default_rng(1).normal(size=(1, 25))
    offsets = np.array([-0.3, 0.0, 0.3])[:, None]
    arms = [base + offsets, base + 0.1 + offsets]
    assert rank_sets([arm.mean(axis=0) for arm in arms], range(25), better="higher").first.tolist() == [0, 1]
    found = rank_arms(arms, range(25), better="higher")
    assert found.ranks.tolist() == [2, 1]
    # The difference of two means of trainings is 0.1 with a standard error of √(2 x 0.3² / 3) = 0.24.
    assert 0.2 < found.first[0] < 0.45
    assert rank_arms([base, *arms], range(25), better="higher").first.sum() == pytest.approx(1)


def test_other_input_is_refused():
    for values, options in (([], {}), ([[[1.0]]], {"better": "most"}), ([[[1.0]]], {"confidence": 0})):
        with pytest.raises(ValueError, match="expected at least one set"):
            rank_arms(values, ["a"], **{"better": "higher", **options})
    with pytest.raises(ValueError, match="for 2 cases"):
        rank_sets([[1.0]], ["a", "b"], better="higher")
