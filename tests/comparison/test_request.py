from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.comparison.request import (
    Request,
    check_numbers,
    choose_metrics,
    choose_tolerances,
)
from pipeline.data.errors import InputError
from pipeline.evaluation.metric_names import ALL_METRICS


def test_metrics_come_in_the_order_of_their_table():
    assert choose_metrics(["nsd", "dice"]) == ("dice", "nsd")
    assert choose_metrics([]) == tuple(name for name in ALL_METRICS if name != "cldice")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("dce", "name some of these"),
        ("lesion_f1", "--lesions LABEL"),
        ("cldice", "--cldice LABEL"),
        ("v_rand", "--membranes LABEL"),
        ("ece", "--calibration"),
    ],
)
def test_unknown_metrics_are_refused_and_others_have_an_option(name, remedy):
    with pytest.raises(InputError, match=rf"--metrics: found {name}; .*{remedy}"):
        choose_metrics(["dice", name])


def test_tolerances_are_the_plans_unless_named():
    labels = ["a", "b"]
    assert choose_tolerances([], labels, None) == {"a": 1.0, "b": 1.0}
    assert choose_tolerances([], labels, 2.5) == {"a": 2.5, "b": 2.5}
    assert choose_tolerances([("", 3.0), ("b", 0.5)], labels, 2.5) == {"a": 3.0, "b": 0.5}


@pytest.mark.parametrize("pair", [("c", 1.0), ("a", -1.0), ("", float("inf")), ("", float("nan"))])
def test_tolerances_of_other_labels_or_below_zero_are_refused(pair):
    with pytest.raises(InputError, match="--tolerance_mm: found"):
        choose_tolerances([pair], ["a"], None)


@pytest.mark.parametrize(("key", "value"), [("lesion_iou", 0.0), ("lesion_iou", 1.5), ("seed", -1), ("resamples", 1)])
def test_numbers_out_of_range_are_refused(key, value):
    request = Request(Path("r"), ["s"], Path("o"))
    check_numbers(request)
    with pytest.raises(InputError, match=f"--{key}: found {value}"):
        check_numbers(replace(request, **{key: value}))
