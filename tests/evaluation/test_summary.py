import json
import math

import pytest

from pipeline.evaluation.metrics import METRICS
from pipeline.evaluation.summary import format_summary, summarise


def row(case, label, scores, outcome="found"):
    return {"case": case, "label": label, **dict(zip(METRICS, scores, strict=True)), "outcome": outcome}


def test_summary_matches_hand_computed_values():
    rows = [
        row("a", "big", [0.9, 2.0, 0.8]),
        row("b", "big", [0.7, 4.0, 0.6]),
        row("c", "big", [0.0, 30.0, 0.0], "missed"),
        row("d", "big", [0.0, 30.0, 0.0], "false_positive"),
        row("a", "small", [0.5, 8.0, 0.5]),
        row("b", "small", [math.nan, math.nan, math.nan], "absent"),
        row("c", "never", [math.nan, math.nan, math.nan], "absent"),
    ]
    summary = summarise(rows)
    big, small, never, overall = (*summary["labels"].values(), summary["overall"])
    # Deviations from .4: .5, .3, -.4, -.4; squares sum to .66, over n - 1 = 3.
    assert big["dice"] == pytest.approx({"mean": 0.4, "std": math.sqrt(0.22), "median": 0.35, "min": 0.0, "max": 0.9})
    assert big["hd95_mm"]["mean"] == pytest.approx(16.5)
    assert {key: big[key] for key in ("counted", "missed", "false_positives", "absent")} == {
        "counted": 4,
        "missed": 1,
        "false_positives": 1,
        "absent": 0,
    }
    assert small["dice"] == {"mean": 0.5, "std": None, "median": 0.5, "min": 0.5, "max": 0.5}
    assert (small["counted"], small["absent"]) == (1, 1)
    assert set(never["dice"].values()) == {None}
    # Mean over labels of the labels' means; the label that no case has does not enter.
    assert overall["dice"]["mean"] == pytest.approx((0.4 + 0.5) / 2)
    assert overall["hd95_mm"]["mean"] == pytest.approx((16.5 + 8) / 2)
    assert (overall["counted"], overall["missed"], overall["absent"]) == (5, 1, 2)
    json.dumps(summary, allow_nan=False)


def test_summary_of_no_rows_is_empty_and_json_safe():
    assert json.loads(json.dumps(summarise([]), allow_nan=False))["overall"]["dice"]["mean"] is None


def test_a_metric_with_a_sign_is_averaged_without_it_and_has_a_bias():
    values = [("a", 3.0, "found"), ("b", -1.0, "found"), ("c", -50.0, "missed"), ("d", math.nan, "absent")]
    rows = [
        {"case": case, "label": "big", "volume_difference": value, "outcome": outcome}
        for case, value, outcome in values
    ]
    rows.append({"case": "a", "label": "small", "volume_difference": -2.0, "outcome": "found"})
    summary = summarise(rows)
    big, overall = summary["labels"]["big"]["volume_difference"], summary["overall"]["volume_difference"]
    assert (big["mean"], big["median"], big["max"]) == (18.0, 3.0, 50.0)
    # The bias is that of the cases where both have the label: 3 and -1.
    assert big["bias"] == 1.0
    assert (overall["mean"], overall["bias"]) == (10.0, -0.5)
    assert "dice" not in summary["overall"]


def test_the_table_has_a_line_per_label_and_their_mean():
    rows = [
        row("a", "big", [0.9, 2.0, 0.8]),
        row("b", "big", [0.7, 4.0, 0.6]),
        row("a", "small", [0.0, 9.5, 0.0], "missed"),
        row("a", "never", [math.nan, math.nan, math.nan], "absent"),
    ]
    # Deviations from .8 are .1 and -.1: the root of .02 over 1 is .141.
    assert format_summary(summarise(rows)).splitlines() == [
        "label           Dice (mean ± std)  HD95 (mm)    NSD  missed",
        "big                 0.800 ± 0.141       3.00  0.700       0",
        "small                       0.000       9.50  0.000       1",
        "never                           -          -      -       0",
        "mean of labels              0.400       6.25  0.350       1",
    ]
    lines = format_summary(summarise(rows) | {"regions": {"big": ["a", "b"]}}).splitlines()
    assert [line.split("  ")[0] for line in (lines[0], lines[-1])] == ["region", "mean of regions"]
