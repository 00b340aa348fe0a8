import numpy as np
import pytest

from pipeline.evaluation.arm_draws import check_arm, choose_draws, draw_arm
from pipeline.evaluation.subject_draws import draw_subjects

NAMES = [f"s{number}" for number in range(8)]


def test_the_variance_of_drawn_trainings_is_that_of_their_mean():
    # Trainings differ, subjects do not. K values have the unbiased variance of their mean s² / K.
    for means in ([0.1, 0.5], [0.1, 0.2, 0.6], [0.3, 0.1, 0.2, 0.9]):
        values = np.repeat(np.array(means)[:, None, None], 8, axis=1)
        arm = draw_arm(values, draw_subjects(NAMES))
        assert arm.drawn.var() == pytest.approx(np.var(means, ddof=1) / len(means), rel=0.04)
        assert arm.mean == pytest.approx(np.mean(means))
        rest = [np.mean(np.delete(means, place)) for place in range(len(means))]
        assert arm.without_seed.tolist() == pytest.approx(rest)


def test_all_drawn_trainings_have_the_same_subjects():
    # Trainings agree in every case, so drawing them adds nothing to the spread over subjects.
    one = np.random.default_rng(0).normal(size=(1, 8, 2))
    draws = draw_subjects(NAMES)
    alone, several = draw_arm(one, draws), draw_arm(np.repeat(one, 4, axis=0), draws)
    np.testing.assert_allclose(several.drawn, alone.drawn)
    np.testing.assert_allclose(several.without_subject, alone.without_subject)
    assert len(alone.jackknives) == 1
    assert len(several.jackknives) == 2


def test_arms_have_other_draws_of_their_trainings():
    values = np.random.default_rng(0).normal(size=(3, 8, 1))
    draws = draw_subjects(NAMES)
    first, again, other = (draw_arm(values, draws, place=place).drawn for place in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_training_without_values_is_not_counted():
    values = np.stack([np.full((8, 1), 0.5), np.full((8, 1), np.nan)])
    arm = draw_arm(values, draw_subjects(NAMES, resamples=100))
    assert arm.mean == 0.5
    assert set(arm.drawn[~np.isnan(arm.drawn)]) == {0.5}
    assert np.isnan(arm.drawn).any(), "draws of the empty training alone have no mean"


def test_draws_of_other_subjects_are_refused():
    draws = draw_subjects(NAMES, resamples=3)
    assert choose_draws(NAMES, draws) is draws
    for subjects in (NAMES[:7], ["s0", *NAMES[:7]]):
        with pytest.raises(ValueError, match=r"draws of 8 subjects for .* cases: expected the draws of these"):
            choose_draws(subjects, draws)
    assert choose_draws(NAMES, None, resamples=5, seed=2).times.shape == (5, 8)
    for values in (np.zeros(8), np.zeros((0, 8)), np.zeros((2, 8, 1, 1))):
        with pytest.raises(ValueError, match=r"expected \(seeds, cases\)"):
            check_arm(values, 8)
    with pytest.raises(ValueError, match="for 8 cases"):
        check_arm(np.zeros((2, 7)), 8)
