import math

import pytest

from pipeline.evaluation.metric_names import ALL_METRICS, LESION_METRICS, MEMBRANE_METRICS
from pipeline.evaluation.outcomes import decide_outcome, score_outcome


@pytest.mark.parametrize(
    ("in_reference", "in_prediction", "outcome", "scores"),
    [
        (True, False, "missed", [0.0, 13.0, 0.0]),
        (False, True, "false_positive", [0.0, 13.0, 0.0]),
        (False, False, "absent", [math.nan, math.nan, math.nan]),
    ],
)
def test_a_label_that_one_side_lacks_has_score_outcome(in_reference, in_prediction, outcome, scores):
    assert decide_outcome(in_reference=in_reference, in_prediction=in_prediction) == outcome
    decided = score_outcome(outcome, diagonal_mm=13.0)
    assert [decided[metric] for metric in ("dice", "hd95_mm", "nsd")] == pytest.approx(scores, nan_ok=True)


def test_a_label_that_was_found_has_to_be_measured():
    assert decide_outcome(in_reference=True, in_prediction=True) == "found"
    with pytest.raises(ValueError, match="outcome is found"):
        score_outcome("found")


@pytest.mark.parametrize(("outcome", "sign"), [("missed", -1), ("false_positive", 1)])
def test_every_metric_has_its_worst_value_for_a_label_that_one_side_lacks(outcome, sign):
    decided = score_outcome(outcome, diagonal_mm=13.0, grid_size=5.0)
    assert decided.keys() == {*ALL_METRICS, *LESION_METRICS, *MEMBRANE_METRICS}
    for name, value in decided.items():
        metric = {**ALL_METRICS, **LESION_METRICS, **MEMBRANE_METRICS}[name]
        if name == "volume_difference":
            assert value == sign * 5
        elif name == "volume_difference_percent":
            # 200 (P - R) / (P + R) with P or R 0.
            assert value == sign * 200
        else:
            assert value == {"mm": 13.0, "1": 0.0}[metric.unit]


def test_no_metric_counts_a_label_that_both_sides_lack():
    assert all(math.isnan(value) for value in score_outcome("absent", diagonal_mm=13.0, grid_size=5.0).values())
