import numpy as np
import pytest

from pipeline.evaluation.subject_draws import (
    average_subjects,
    average_without_each,
    check_values,
    draw_means,
    draw_subjects,
    total_subjects,
)
from pipeline.evaluation.summary import summarise


def test_each_draw_has_as_many_subjects_as_there_are():
    draws = draw_subjects(["b", "a", "b", "c"], resamples=2500, seed=3)
    assert draws.subjects == 3
    assert draws.members.tolist() == [1, 0, 1, 2]
    assert draws.times.shape == (2500, 3)
    assert (draws.times.sum(axis=1) == 3).all()
    # Each is drawn once on average; the standard error of the mean of 2500 draws is 0.016.
    np.testing.assert_allclose(draws.times.mean(axis=0), 1, atol=0.08)


def test_draws_depend_on_the_seed_and_not_on_the_order_of_the_cases():
    names = [f"case_{number}" for number in range(9)]
    values = np.random.default_rng(0).normal(size=(9, 2))
    draws, turned = draw_subjects(names), draw_subjects(names[::-1])
    np.testing.assert_allclose(
        draw_means(total_subjects(values, draws), draws), draw_means(total_subjects(values[::-1], turned), turned)
    )
    assert (draw_subjects(names, seed=1).times != draws.times).any()
    assert (draw_subjects(names, seed=0).times == draws.times).all()


def test_means_of_draws_are_those_of_the_drawn_cases_one_by_one():
    rng = np.random.default_rng(1)
    subjects = rng.integers(0, 6, size=15)
    values = rng.normal(size=(15, 3))
    values[rng.random((15, 3)) < 0.4] = np.nan
    draws = draw_subjects(subjects.tolist(), resamples=1200)
    found = draw_means(total_subjects(values, draws), draws)
    for draw in (0, 7, 999, 1000, 1199):
        cases = np.repeat(np.arange(15), draws.times[draw, draws.members])
        labels = [np.nanmean(values[cases, label]) for label in range(3) if not np.isnan(values[cases, label]).all()]
        assert found[draw] == pytest.approx(np.mean(labels))


def test_the_mean_is_that_of_the_summary_and_the_jackknife_leaves_out_whole_subjects():
    values = np.array([[0.5, 0.9], [0.7, np.nan], [0.1, np.nan], [0.3, np.nan]])
    subjects = ["x", "x", "y", "z"]
    rows = [
        {"case": str(case), "label": name, "dice": value, "hd95_mm": 0.0, "nsd": 0.0, "outcome": "found"}
        for case, pair in enumerate(values)
        for name, value in zip("ab", pair, strict=True)
    ]
    totals = total_subjects(values, draw_subjects(subjects, resamples=1))
    # The means of the labels are 0.4 and 0.9.
    assert average_subjects(totals) == pytest.approx(0.65)
    assert average_subjects(totals) == pytest.approx(summarise(rows)["overall"]["dice"]["mean"])
    # Without x only the first label is left: (0.1 + 0.3) / 2. Without y: (0.5 + 0.7 + 0.3) / 3 and 0.9.
    assert average_without_each(totals).tolist() == pytest.approx([0.2, 0.7, (1.3 / 3 + 0.9) / 2])


def test_draws_without_any_value_have_no_mean():
    draws = draw_subjects(["a", "b"], resamples=200)
    means = draw_means(total_subjects(np.array([[1.0], [np.nan]]), draws), draws)
    only_b = draws.times[:, 0] == 0
    assert 20 < only_b.sum() < 80
    assert np.isnan(means[only_b]).all()
    assert (means[~only_b] == 1).all()


def test_other_input_is_refused():
    assert check_values([1, None, 3], 3)[:, 0].tolist() == pytest.approx([1, np.nan, 3], nan_ok=True)
    for values in ([1.0, 2.0], [1.0, 2.0, np.inf], np.zeros((3, 2, 2)), np.zeros((3, 0))):
        with pytest.raises(ValueError, match="expected one finite number or NaN per case"):
            check_values(values, 3)
    for subjects, resamples in (([], 10), (["a"], 0), ([["a", "b"]], 10), (range(65_536), 1)):
        with pytest.raises(ValueError, match="expected 1 to 65535 subjects"):
            draw_subjects(subjects, resamples=resamples)
