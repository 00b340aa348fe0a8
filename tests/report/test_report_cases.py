from pathlib import Path

import pytest

from pipeline.report.report_cases import OPEN_CASES, list_case_views, order_cases
from pipeline.report.report_content import CaseFiles, Content, Metric, Score
from pipeline.report.report_read import read_content

from .comparison_folder import write_comparison


def content(values, metric, *, predictions=("a",)):
    """One label and a set per value of a case: ``{case: (value, ...)}``."""
    scores = [
        Score(name, case, "head", "found", {metric.name: value})
        for case, row in values.items()
        for name, value in zip("ab", row, strict=False)
    ]
    cases = [CaseFiles(case, predictions=dict.fromkeys(predictions, Path("x"))) for case in values]
    return Content("comparison", "x", sets=list(predictions), metrics=[metric], scores=scores, cases=cases)


@pytest.mark.parametrize(
    ("metric", "worst_first"),
    [
        (Metric("dice", "Dice"), ["unknown", "low", "middle", "high"]),
        (Metric("hd95_mm", "HD95", "mm", "lower"), ["unknown", "high", "middle", "low"]),
        (Metric("volume", "Volume", "ml", ""), ["high", "low", "unknown", "middle"]),
    ],
)
def test_cases_are_worst_first_and_those_without_values_lead(metric, worst_first):
    values = {"high": (0.9, 0.8), "low": (0.1, 0.2), "unknown": (), "middle": (0.6, 0.3)}
    assert [case.name for case in order_cases(content(values, metric))] == worst_first


def test_a_volume_difference_is_worst_where_it_is_far_from_zero():
    values = {"less": (-9.0,), "none": (0.1,), "more": (5.0,)}
    ordered = order_cases(content(values, Metric("volume_difference", "V", "ml", "zero")))
    assert [case.name for case in ordered] == ["less", "more", "none"]


def test_a_case_shows_its_sets_with_what_was_missed_and_the_difference_between_them(tmp_path):
    found = read_content(write_comparison(tmp_path))
    ordered = order_cases(found)
    views = list(list_case_views(found, ordered, pictures=2, viewer=True, probe=None))
    assert [view.anchor for view in views] == ["case-1", "case-2", "case-3", "case-4"]
    assert [view.opened for view in views] == [number < OPEN_CASES for number in range(4)]
    by_name = {view.name: view for view in views}
    assert by_name["case_b"].flags == ["1 missed"]
    assert by_name["case_c"].flags == ["2 invented"]
    heavy, light = (float(value) for _, value in by_name["case_b"].headline)
    assert float(by_name["case_b"].gap) == pytest.approx(heavy - light, abs=2e-3)
    assert by_name["case_b"].table.heads == [
        *("label", "outcome", "Dice", "Volume difference", "size, reference", "size, prediction"),
    ]
    # Only the first two have pictures and volumes.
    assert [(len(view.planes), view.pack is not None) for view in views] == [
        (3, True),
        (3, True),
        (0, False),
        (0, False),
    ]
    assert views[0].layers == {0: "heavy", 1: "light"}
    assert views[0].has_reference


def test_without_the_viewer_there_are_no_volumes(tmp_path):
    found = read_content(write_comparison(tmp_path))
    [first, *_] = list_case_views(found, order_cases(found), pictures=1, viewer=False, probe=None)
    assert first.pack is None
    assert first.planes
