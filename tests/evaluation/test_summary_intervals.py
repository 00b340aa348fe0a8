import math

import numpy as np
import pytest

from pipeline.evaluation.intervals import bca_interval
from pipeline.evaluation.metric_names import ALL_METRICS
from pipeline.evaluation.subject_draws import draw_subjects
from pipeline.evaluation.summary import format_summary, summarise
from pipeline.evaluation.summary_intervals import add_intervals, case_values, list_subjects

LABELS = ("organ", "lesion")


def make_rows(cases=12):
    rng = np.random.default_rng(0)
    return [
        {
            "case": f"c{case}",
            "subject": f"s{case // 2}",
            "label": label,
            "outcome": "absent" if (case, label) == (3, "lesion") else "found",
            "dice": math.nan if (case, label) == (3, "lesion") else float(rng.uniform(0.5, 1)),
            "hd95_mm": 1.0,
            "nsd": 1.0,
            "volume_difference": float(rng.normal()),
        }
        for case in range(cases)
        for label in LABELS
    ]


def test_values_are_by_case_and_label_and_as_they_count():
    rows = make_rows()
    dice = case_values(rows, ALL_METRICS["dice"], LABELS)
    assert dice.shape == (12, 2)
    assert dice[5, 1] == next(row["dice"] for row in rows if (row["case"], row["label"]) == ("c5", "lesion"))
    assert math.isnan(dice[3, 1])
    # Differences in both directions do not cancel.
    assert (case_values(rows, ALL_METRICS["volume_difference"], LABELS) >= 0).all()
    assert np.isnan(case_values(rows, ALL_METRICS["cldice"], LABELS)).all()


def test_subjects_are_those_of_the_rows_or_the_cases_themselves():
    assert list_subjects(make_rows(3)) == ["s0", "s0", "s1"]
    assert list_subjects([{"case": "a"}, {"case": "a"}, {"case": "b", "subject": None}]) == ["a", "b"]


def test_every_mean_has_the_interval_of_its_values():
    rows = make_rows()
    summary = add_intervals(summarise(rows), rows, resamples=500, seed=3)
    values, subjects = case_values(rows, ALL_METRICS["dice"], LABELS), list_subjects(rows)
    for place, part in (("organ", values[:, 0]), ("lesion", values[:, 1])):
        expected = bca_interval(part, subjects, resamples=500, seed=3)
        assert summary["labels"][place]["dice"]["interval"] == pytest.approx(expected)
    overall = bca_interval(values, subjects, resamples=500, seed=3)
    assert summary["overall"]["dice"]["interval"] == pytest.approx(overall)
    # Draws that several sets share give the same.
    shared = add_intervals(summarise(rows), rows, draws=draw_subjects(subjects, resamples=500, seed=3))
    assert shared == summary
    # What was there stays.
    assert summary["labels"]["organ"]["dice"].items() >= summarise(rows)["labels"]["organ"]["dice"].items()


def test_the_table_shows_the_interval_of_dice_if_there_is_one():
    rows = make_rows()
    with_intervals = format_summary(add_intervals(summarise(rows), rows, resamples=500))
    low, high = add_intervals(summarise(rows), rows, resamples=500)["labels"]["organ"]["dice"]["interval"]
    header, first, *_ = with_intervals.splitlines()
    assert "95 % interval" in header
    assert f"{low:.3f} to {high:.3f}" in first
    one_subject = [{**row, "subject": "s"} for row in rows]
    assert "95 %" not in format_summary(add_intervals(summarise(one_subject), one_subject))


def test_nothing_measured_has_no_interval():
    assert add_intervals(summarise([]), []) == summarise([])
