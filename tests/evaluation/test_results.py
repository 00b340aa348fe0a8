import csv
import json
import math

import numpy as np
import pytest

from pipeline.evaluation.metric_names import ALL_METRICS, METRICS
from pipeline.evaluation.metrics import measure_case
from pipeline.evaluation.results import build_report, format_rows, name_rows, write_results

LABELS = {"background": 0, "organ": 1, "lesion": 2}


def measure(prediction, reference):
    return measure_case(np.array([prediction]), np.array([reference]), spacing=(2.0, 0.5), labels=LABELS)


# Predictions and references as two lines of pixels each, without engine, tensors or files.
MEASURED = {
    "out/zebra_seg.nii.gz": measure([1, 1, 0, 2], [1, 1, 1, 0]),
    "out/ape_seg.nii.gz": measure([1, 0, 0, 0], [1, 0, 0, 0]),
}


def test_label_maps_from_anywhere_give_the_files_of_an_evaluation(tmp_path):
    report = write_results(tmp_path / "out", MEASURED, tolerance_mm=1.0, provenance={"by": "hand"})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cases.csv", "summary.json"]
    with (tmp_path / "out" / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["label"], row["outcome"]) for row in rows] == [
        ("ape_seg", "organ", "found"),
        ("ape_seg", "lesion", "absent"),
        ("zebra_seg", "organ", "found"),
        ("zebra_seg", "lesion", "false_positive"),
    ]
    # 2 of 2 and 3 pixels in common: 2 · 2 / (2 + 3). A pixel is 1 mm².
    assert [row["dice"] for row in rows] == ["1.000000", "nan", "0.800000", "0.000000"]
    assert (rows[2]["reference_size"], rows[2]["prediction_size"], rows[2]["size_unit"]) == (
        "3.000000",
        "2.000000",
        "mm2",
    )
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == report
    assert report["cases"] == 2
    assert report["provenance"] == {"by": "hand"}
    assert report["labels"]["organ"]["dice"]["mean"] == pytest.approx(0.9)
    assert report["labels"]["lesion"]["dice"]["mean"] == 0
    assert report["units"].keys() == {*(name for name, metric in ALL_METRICS.items() if not metric.optional), "size"}
    assert {key: report["units"][key] for key in ("dice", "hd95_mm", "nsd", "volume_difference", "size")} == {
        "dice": "1",
        "hd95_mm": "mm",
        "nsd": "1",
        "volume_difference": "mm2",
        "size": ["mm2"],
    }


def test_the_summary_has_intervals_over_subjects_and_says_that_one_subject_has_none(tmp_path):
    measured = {f"{name}.nii": measure([1] * n + [0] * (4 - n), [1, 1, 1, 0]) for n, name in enumerate("abcd", start=1)}
    report = build_report(name_rows(measured), tolerance_mm=1.0)
    assert (report["kind"], report["cases"], report["subjects"], report["notes"]) == ("evaluation", 4, 4, [])
    for entry in (report["labels"]["organ"]["dice"], report["overall"]["dice"]):
        low, high = entry["interval"]
        assert low < entry["mean"] < high
    assert report["labels"]["lesion"]["dice"]["interval"] is None
    one = write_results(tmp_path, measured, tolerance_mm=1.0, subjects=dict.fromkeys(measured, "s"))
    assert (one["subjects"], one["labels"]["organ"]["dice"]["interval"]) == (1, None)
    assert one["notes"] == ["one subject only: no interval, which needs at least two."]


def test_rows_are_sorted_by_the_name_of_their_case_and_keep_the_order_of_labels():
    rows = name_rows(MEASURED)
    assert [row["case"] for row in rows] == ["ape_seg", "ape_seg", "zebra_seg", "zebra_seg"]
    assert [next(iter(row)) for row in rows] == ["case"] * 4
    assert [{**row, "case": None} for row in rows[2:]] == [
        {"case": None, **row} for row in MEASURED["out/zebra_seg.nii.gz"]
    ]


def test_numbers_have_six_decimals_and_names_with_commas_are_quoted():
    row = {"case": "a, b", **MEASURED["out/ape_seg.nii.gz"][0], "dice": 1 / 3, "hd95_mm": math.nan}
    first = ["case", "label", "dice", "hd95_mm", "nsd", "reference_size", "prediction_size", "size_unit", "outcome"]
    assert format_rows([{key: row[key] for key in first}]).splitlines() == [
        ",".join(first),
        '"a, b",organ,0.333333,nan,1.000000,1.000000,1.000000,mm2,found',
    ]


def test_further_metrics_follow_the_first_columns():
    head, line = format_rows([{"case": "a", **MEASURED["out/ape_seg.nii.gz"][0]}]).splitlines()
    first = "case,label,dice,hd95_mm,nsd,reference_size,prediction_size,size_unit,outcome"
    others = [name for name, metric in ALL_METRICS.items() if not metric.optional and name not in METRICS]
    assert head == ",".join([first, *others])
    assert len(line.split(",")) == len(head.split(","))


def test_no_case_is_a_report_of_no_case():
    report = build_report([], tolerance_mm=2.0)
    assert (report["cases"], report["labels"], report["units"]["size"]) == (0, {}, [])
    assert report["overall"]["dice"]["mean"] is None
    assert report["provenance"] is None
