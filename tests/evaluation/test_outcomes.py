import math

import pytest

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
