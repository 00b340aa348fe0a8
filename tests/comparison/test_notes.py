from pathlib import Path

import numpy as np
import pytest

from pipeline.comparison.check_cases import CheckedCase
from pipeline.comparison.choose_labels import Labels, find_file_values
from pipeline.comparison.grids import Grid, Turn
from pipeline.comparison.join import Joined, JoinedCase
from pipeline.comparison.measure import Measured, Prepared
from pipeline.comparison.notes import make_notes
from pipeline.comparison.prepare import PreparedCases
from pipeline.comparison.read_map import MapFacts
from pipeline.comparison.source import Source

VALUES = {"background": 0, "left": 1, "right": 2}
LABELS = Labels(VALUES, VALUES, "x")
GRID = Grid((2, 2), np.eye(4))


def facts(sha256="p", table=None, turn=None):
    return MapFacts(Path("p"), GRID, (0, 1), sha256, table or {}, turn)


def noted(
    predictions,
    *,
    subjects="abc",
    missing=(),
    surplus=(),
    outcomes=("found", "found"),
    source_notes=(),
    labels=LABELS,
    values=None,
    calibration=False,
    membranes=False,
):
    """The notes of a comparison of three cases; predictions by set, one for each case."""
    cases = [
        CheckedCase(
            JoinedCase(f"c{n}", subjects[n], Path("r"), None, {}),
            facts(f"r{n}"),
            {name: files[n] for name, files in predictions.items()},
        )
        for n in range(3)
    ]
    joined = Joined([one.case for one in cases], {"one": list(missing)}, {"one": [Path(name) for name in surplus]})
    rows = [{"label": name, "outcome": outcome} for name, outcome in zip(("left", "right"), outcomes, strict=True)]
    sets = {name: Source(Path(name), "folder", [], notes=tuple(source_notes)) for name in predictions}
    tables = {name: next(one for one in files if one is not None).table for name, files in predictions.items()}
    values = {name: values or find_file_values(labels, table) for name, table in tables.items()}
    prepared = PreparedCases([Prepared(case, {}, {}) for case in cases], values, tables)
    return make_notes(
        Source(Path("ref"), "folder", []),
        sets,
        joined,
        prepared,
        labels,
        Measured(rows),
        calibration=calibration,
        membranes=membranes,
    )


DIFFERENT = [facts("1"), facts("2"), facts("3")]


def test_nothing_special_needs_no_note():
    assert noted({"one": DIFFERENT}) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"missing": ["c0"]},
            [
                "one: 1 of 3 cases without a prediction (c0); each counts as missed for every label that its reference "
                "has."
            ],
        ),
        ({"surplus": ["x", "y"]}, ["one: 2 label maps belong to no case and are not counted (x, y)."]),
        ({"subjects": "aab"}, ["3 cases of 2 subjects: intervals and tests are over subjects."]),
        (
            {"subjects": "aaa"},
            ["3 cases of one subject: no interval and no test, which need at least two subjects."],
        ),
        (
            {"outcomes": ("found", "absent")},
            ["No case has right, in reference or prediction: such labels are in no mean."],
        ),
        ({"source_notes": ["A note."]}, ["A note."]),
    ],
)
def test_what_a_reader_needs_is_noted(options, expected):
    assert noted({"one": DIFFERENT}, **options) == expected


def test_most_cases_missing_asks_whether_they_were_to_be_predicted():
    assert noted({"one": DIFFERENT}, missing=["c0", "c1"])[-1].startswith("Most cases have no prediction.")


def test_predictions_without_probabilities_are_noted_if_the_calibration_is_asked_for():
    assert noted({"one": [*DIFFERENT[:2], None]}, calibration=True) == [
        "one: 2 of 3 cases without probabilities next to the label map, as NAME_prob.nii.gz (c0, c1): they are not in "
        "the calibration."
    ]
    assert noted({"one": [*DIFFERENT[:2], None]}, membranes=True)[0].endswith(
        "(c0, c1): V_rand and V_info are those of the label map, at no threshold."
    )


def test_files_that_are_the_same_are_noted():
    copies = [facts("1"), None, facts("3")]
    assert noted({"one": DIFFERENT, "two": copies}) == [
        "one and two: all 2 files that both have are the same, byte for byte."
    ]
    assert noted({"one": [facts("1"), facts("r1"), None]}) == [
        "one: 1 prediction is the same file as its reference, byte for byte."
    ]


def test_turned_label_maps_and_joined_names_are_noted():
    turned = [facts("1", turn=Turn((1, 0), (False, False))), *DIFFERENT[1:]]
    assert noted({"one": turned}) == [
        "one: 1 label map has the reference's voxels with axes in another order or direction (c0); it was turned, "
        "which changes no voxel."
    ]
    swapped = [facts(str(n), table={1: "Right", 2: "Left"}) for n in range(3)]
    assert noted({"one": swapped}) == [
        "one: labels are joined by name; left, right have other values than in the reference."
    ]
    plain = {"one": DIFFERENT}
    labels = Labels({"background": 0, "left": 1, "right": 2}, {"background": 255, "left": 0, "right": 2}, "x")
    assert noted(plain, labels=labels, values=labels.values) == [
        "one: its label maps have other values than the reference: 0 is the background, left is 1."
    ]
    others = [facts(str(n), table={1: "LEFT", 2: "rechts"}) for n in range(3)]
    assert noted({"one": others}) == [
        "one: its label table has other names (2 is rechts, not right); labels are joined by value."
    ]
