"""Means, areas and rounding against numbers computed by hand."""

import numpy as np
import pytest

from pipeline.study.robustness import choose_perturbations
from pipeline.study.robustness.curves import describe_curves, measure_area

NAN = float("nan")


def test_the_area_is_that_of_the_trapezoids() -> None:
    assert measure_area([1.0, 0.8, 0.6, 0.4, 0.2, 0.0]) == pytest.approx(0.5)
    assert measure_area([0.9] * 6) == pytest.approx(0.9)
    # Half of the first level, and half of the second.
    assert measure_area([1.0, 0.5, 0, 0, 0, 0]) == pytest.approx(0.2)


def test_means_are_over_the_labels_means_and_leave_out_what_is_not_counted() -> None:
    noise = choose_perturbations(["noise"])
    first = np.array([[0.8, 0.6], [0.7, 0.5], [0.6, 0.4], [0.5, 0.3], [0.4, 0.2], [0.3, 0.1]])
    second = np.array([[0.6, NAN], [0.5, NAN], [0.4, NAN], [0.3, NAN], [0.2, NAN], [0.1, 0.0]])
    done = describe_curves(["a", "b"], noise, [first, second], seed=3)
    assert (done["cases"], done["seed"]) == (["a", "b"], 3)
    # Labels' means 0.7 and 0.6.
    assert done["dice"] == 0.65
    assert done["case_dice"] == [0.7, 0.6]
    [curve] = done["perturbations"]
    assert curve["dice"] == pytest.approx([0.55, 0.45, 0.35, 0.25, 0.125])
    assert curve["case_dice"][0] == pytest.approx([0.6, 0.5])
    assert curve["case_dice"][4] == pytest.approx([0.2, 0.05])
    assert curve["area"] == pytest.approx((0.65 / 2 + 0.55 + 0.45 + 0.35 + 0.25 + 0.125 / 2) / 5)
    assert done["area"] == curve["area"]


def test_what_counts_in_no_case_is_none() -> None:
    chosen = choose_perturbations(["blur", "noise"])
    done = describe_curves(["a"], chosen, [np.full((11, 1), NAN)])
    assert (done["dice"], done["area"], done["case_dice"]) == (None, None, [None])
    assert [curve["area"] for curve in done["perturbations"]] == [None, None]


def test_numbers_have_six_digits() -> None:
    done = describe_curves(["a"], choose_perturbations(["noise"]), [np.full((6, 1), 2 / 3)])
    assert done["dice"] == 0.666667
    assert done["perturbations"][0]["dice"] == [0.666667] * 5
