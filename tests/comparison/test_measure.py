import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.comparison.check_cases import CheckedCase, check_cases
from pipeline.comparison.join import JoinedCase
from pipeline.comparison.measure import Measuring, Prepared, measure_cases
from pipeline.comparison.pool import Pool
from pipeline.data.errors import InputError
from pipeline.evaluation.calibration import measure_calibration
from pipeline.evaluation.lesions import measure_lesions
from pipeline.evaluation.metrics import measure_case

from .conftest import LABELS, SPACING, make_map

TOLERANCES = {"organ": 0.5, "lesion": 1.0}
METRICS = ("dice", "hd95_mm", "nsd")
SAME = {0: 0, 1: 1, 2: 2}


def prepare(reference: Path, *, channels: dict[int, int] | None = None, **predictions: Path | None) -> Prepared:
    case = JoinedCase("c", "p", reference, None, predictions)
    with Pool(1, progress=False) as pool:
        [checked] = check_cases([case], pool, probabilities=channels is not None)
    assert isinstance(checked, CheckedCase)
    values = {name: SAME for name, path in predictions.items() if path is not None}
    return Prepared(checked, SAME, values, {} if channels is None else dict.fromkeys(checked.probabilities, channels))


def measured(prepared, **options):
    with Pool(1, progress=False) as pool:
        return measure_cases([prepared], Measuring(LABELS, TOLERANCES, **{"metrics": METRICS, **options}), pool)


def test_every_set_is_measured_and_a_missing_prediction_is_missed(save):
    found = measured(
        prepare(save("r.nii.gz", make_map(lesion=False)), one=save("p.nii.gz", make_map(1, lesion=False)), two=None)
    )
    expected = measure_case(
        make_map(1, lesion=False),
        make_map(lesion=False),
        spacing=SPACING,
        labels=LABELS,
        tolerance_mm=TOLERANCES,
        metrics=METRICS,
    )
    place = {"case": "c", "subject": "p"}
    one, two = found.rows[:2], found.rows[2:]
    for row, wanted in zip(one, expected, strict=True):
        assert {key: row[key] for key in ("set", *place)} == {"set": "one", **place}
        for key, value in wanted.items():
            assert row[key] == pytest.approx(value, nan_ok=True)
    assert 0 < one[0]["dice"] < 1
    # The reference has no lesion.
    assert [(row["set"], row["label"], row["outcome"], row["dice"]) for row in two] == [
        ("two", "organ", "missed", 0.0),
        ("two", "lesion", "absent", pytest.approx(math.nan, nan_ok=True)),
    ]
    assert two[0]["hd95_mm"] == pytest.approx(math.hypot(*(np.array(make_map().shape) * SPACING)))


def test_lesions_are_matched_in_the_labels_that_ask_for_it(save):
    prediction = make_map(1)
    prediction[0, 0, 0] = 2
    found = measured(prepare(save("r.nii.gz", make_map()), one=save("p.nii.gz", prediction)), lesions=("lesion",))
    classes, lesions = measure_lesions(prediction == 2, make_map() == 2, spacing=SPACING)
    by_label = {row["label"]: row for row in found.rows}
    assert "lesion_f1" not in by_label["organ"]
    assert by_label["lesion"]["lesion_f1"] == classes[0]["lesion_f1"] == pytest.approx(2 / 3)
    assert [row["status"] for row in found.lesions] == [row["status"] for row in lesions]
    assert {row["label"] for row in found.lesions} == {"lesion"}
    assert found.lesions[0]["centre"] == "4.5 4.0 3.5"
    assert [row["size_class"] for row in found.lesion_classes] == [row["size_class"] for row in classes]


def test_tubes_are_measured_in_the_labels_that_ask_for_it(save):
    found = measured(prepare(save("r.nii.gz", make_map()), one=save("p.nii.gz", make_map(2))), cldice=("lesion",))
    [expected] = measure_case(
        (make_map(2) == 2).astype(int),
        (make_map() == 2).astype(int),
        spacing=SPACING,
        labels={"x": 1},
        metrics=["cldice"],
    )
    assert [row.get("cldice") for row in found.rows] == [None, expected["cldice"]]


def make_probabilities(channels):
    values = np.random.default_rng(0).random((*make_map().shape, channels), dtype=np.float32)
    return values / values.sum(axis=-1, keepdims=True)


def test_probabilities_are_measured_in_the_networks_channels(save):
    values = make_probabilities(3)
    save("p_prob.nii.gz", values)
    files = save("r.nii.gz", make_map()), save("p_seg.nii.gz", make_map(1))
    found = measured(prepare(files[0], channels={0: 0, 1: 2, 2: 1}, one=files[1], two=None))
    # The network's organ is 2 and its lesion 1.
    swapped = np.array([0, 2, 1])[make_map()]
    labels = {"background": 0, "organ": 2, "lesion": 1}
    expected = measure_calibration(np.moveaxis(values, -1, 0), swapped, labels)
    assert found.calibration == [{"set": "one", "case": "c", "subject": "p", **expected}]


def test_numbers_that_are_no_probabilities_are_refused(save):
    save("p_prob.nii.gz", make_probabilities(3) * 5)
    files = save("r.nii.gz", make_map()), save("p_seg.nii.gz", make_map(1))
    with pytest.raises(InputError, match=r"p_prob.nii.gz: found .*leave --calibration out"):
        measured(prepare(files[0], channels=SAME, one=files[1]))
