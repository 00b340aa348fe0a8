"""What only shows when cases are compared, on records made by hand."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data.compare_cases import compare_cases
from pipeline.data.dataset import Case, Dataset
from pipeline.data.findings import Finding
from pipeline.data.inspection import Inspection

LABELS = {"background": 0, "liver": 1, "tumour": 2}


def case(name, *, part="training", fold=0, subject=None, voxels=None, spacing=(1, 1, 3), orientation="RAS", **ml):
    """One case; `ml` gives each label's volume, or a dictionary of what is measured."""
    measured = {
        str(LABELS[label]): {"specks": 0, "speck_voxels": 0, "components": 1, "centroid": [0.0, 0.0, 0.0]}
        | (size if isinstance(size, dict) else {"ml": size})
        for label, size in ml.items()
    }
    record = {
        "name": name,
        "part": part,
        "fold": None if part == "test" else fold,
        "subject": subject,
        "images": [f"{name}.nii"],
        "label": f"{name}_label.nii",
        "spacing": list(spacing),
        "orientation": orientation,
        "intensity": [],
        "fit": [],
        "classes": measured,
    }
    return Inspection([], record, voxels)


def compared(inspections, labels=LABELS, named=True):
    cases = [Case(i.record["name"], "training", ("i",), "l", 0, None) for i in inspections]
    dataset = Dataset(Path("l.json"), Path(), "name", None, labels if named else None, cases, {})
    return compare_cases(dataset, labels, inspections)


def found(inspections, kind, **options):
    return [(f.case, f.file) for f in compared(inspections, **options) if f.kind == kind]


def both(count=10, **options):
    return [case(f"c{number}", liver=1000, tumour=10, **options) for number in range(count)]


def test_cases_of_a_kind_give_nothing():
    assert compared(both()) == []


# --- copies and leakage ----------------------------------------------------------------------------------------------

LEAKAGE = {
    "in two folds": ({"fold": 0}, {"fold": 1}, True),
    "in one fold": ({"fold": 2}, {"fold": 2}, False),
    "in training and test": ({"fold": 0}, {"part": "test"}, True),
    "twice in the test part": ({"part": "test"}, {"part": "test"}, False),
    "in training without folds": ({"fold": None}, {"fold": None}, False),
    "in training without folds and test": ({"fold": None}, {"part": "test"}, True),
}


@pytest.mark.parametrize(("one", "other", "leaks"), LEAKAGE.values(), ids=LEAKAGE)
def test_a_subject_leaks_where_a_split_runs_through_it(one, other, leaks):
    cases = [*both(), case("a", subject="s", **one), case("b", subject="s", **other), case("c", subject="t", **other)]
    assert found(cases, "leakage") == ([("a", "a.nii"), ("b", "b.nii")] if leaks else [])
    assert found(cases, "duplicate") == []


@pytest.mark.parametrize(("one", "other", "leaks"), LEAKAGE.values(), ids=LEAKAGE)
def test_an_image_leaks_where_a_split_runs_between_its_copies(one, other, leaks):
    cases = [*both(), case("a", voxels="x", **one), case("b", voxels="x", **other), case("c", voxels="y", **other)]
    files = [("a", "a.nii"), ("b", "b.nii")]
    assert found(cases, "duplicate") == files
    assert found(cases, "leakage") == (files if leaks else [])


def test_leakage_says_where_the_others_are():
    (first, *_) = (f for f in compared([case("a", subject="s"), case("b", subject="s", fold=3)]) if f.kind == "leakage")
    assert first.found == "subject s in fold 0, and in fold 3"


# --- volumes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volumes", "odd"),
    [
        ([100.0] * 8, []),
        ([100.0] * 8 + [299], []),  # without any spread three times the median is the limit
        ([100.0] * 8 + [301], [8]),
        ([100.0] * 8 + [33], [8]),
        ([100.0] * 8 + [34], []),
        ([100.0] * 6 + [1e6], []),  # seven cases tell nothing
        # By hand: logarithms 0 to 8, median 4, their distances 4 3 2 1 0 1 2 3 4 with the median 2; six times 1.4826
        # times 2 are 17.8, so that up to exp(21.8) is usual.
        ([float(np.exp(k)) for k in range(9)], []),
        ([float(np.exp(k)) for k in range(8)] + [float(np.exp(30))], [8]),
        ([float(np.exp(k)) for k in range(8)] + [float(np.exp(21))], []),
    ],
)
def test_a_volume_far_outside_the_others_is_odd(volumes, odd):
    cases = [case(f"c{number}", liver=volume) for number, volume in enumerate(volumes)]
    assert found(cases, "label-volume") == [(f"c{number}", f"c{number}_label.nii") for number in odd]


def test_what_is_odd_is_said_in_numbers():
    cases = [case(f"c{number}", liver=100) for number in range(10)] + [case("odd", liver=400)]
    (finding,) = (each for each in compared(cases) if each.kind == "label-volume")
    assert finding.found == "liver with 400 ml, 4.0 times larger than the median"
    assert finding.expected == "about 100 ml, the median; 33.3 to 300 ml is usual among the other 10 cases"


def test_areas_of_slices_are_compared_as_volumes_are():
    cases = [case(f"c{number}", liver={"mm2": 50}) for number in range(9)] + [case("odd", liver={"mm2": 5})]
    assert found(cases, "label-volume") == [("odd", "odd_label.nii")]


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "without", "said"), [(20, 1, 1), (20, 2, 0), (40, 2, 2), (19, 1, 0), (18, 1, 0)])
def test_a_label_is_missed_where_nearly_all_others_have_it(count, without, said):
    cases = [case(f"c{number}", liver=1000, tumour=10) for number in range(count - without)]
    cases += [case(f"without{number}", liver=1000) for number in range(without)]
    assert [name for name, _ in found(cases, "label-missing")] == [f"without{number}" for number in range(said)]


def test_a_map_that_is_empty_or_of_other_values_is_not_also_missing_labels():
    other = case("other", liver=1000)
    other.record["classes"]["7"] = {"specks": 0, "ml": 1}
    assert found([*both(30), case("empty"), other], "label-missing") == []


@pytest.mark.parametrize(("speckled", "severity"), [(1, "warning"), (3, "warning"), (4, "note")])
def test_islands_that_many_cases_have_are_how_the_structure_is(speckled, severity):
    specks = {"ml": 1000, "specks": 2, "speck_voxels": 5}
    cases = [*both(20), *(case(f"s{number}", liver=specks, tumour=10) for number in range(speckled))]
    findings = [each for each in compared(cases) if each.kind == "label-islands"]
    assert {each.severity for each in findings} == {severity}
    assert len(findings) == speckled
    assert "2 tiny islands (5 voxels)" in findings[0].found


@pytest.mark.parametrize(
    ("labels", "kinds"),
    [
        ({"background": 0, "liver": 1, "tumour": 2}, []),
        ({"background": 0, "liver": 1, "tumour": 2, "ghost": 3}, ["label-unused"]),
        ({"background": 0, "liver": 1, "tumour": 2, "ghost": 9}, ["label-unused", "labels-not-consecutive"]),
        ({"background": 255, "liver": 1, "tumour": 2}, ["labels-not-consecutive"]),
        ({"background": 2, "liver": 1, "tumour": 0}, ["label-unused", "labels-not-consecutive"]),
    ],
)
def test_declared_labels_are_compared_with_those_there_are(labels, kinds):
    findings = compared(both(), labels=labels)
    assert [each.kind for each in findings] == kinds
    assert all(each.case is None and each.file is None for each in findings)


def test_labels_without_names_are_listed():
    (finding,) = compared(both(), named=False)
    assert (finding.kind, finding.found) == ("labels-unknown", "no names for the labels; values in the files: 1, 2")


# --- geometry --------------------------------------------------------------------------------------------------------


def test_orientations_are_counted():
    cases = [*both(3), *both(2, orientation="LPS"), *both(1, orientation=None)]
    (finding,) = (each for each in compared(cases) if each.kind == "orientation-mixed")
    assert finding.found == "scans stored in 2 orientations: RAS (3), LPS (2)"


@pytest.mark.parametrize(
    ("spacing", "odd"),
    [((1, 1, 3), False), ((3, 1, 1), False), ((1, 1, 6), False), ((1, 1, 6.1), True), ((0.4, 1, 3), True)],
)
def test_a_spacing_is_odd_beyond_twice_the_median_whichever_axis_is_thick(spacing, odd):
    assert bool(found([*both(), case("x", liver=1000, tumour=10, spacing=spacing)], "spacing-outlier")) == odd


def test_a_dataset_without_any_label_is_a_problem():
    empty = Finding("label-empty", "", "", "", file="l.nii")
    inspections = both(3)
    for inspection in inspections[:2]:
        inspection.findings.append(empty)
    assert found(inspections, "labels-absent") == []
    inspections[2].findings.append(empty)
    (finding,) = [one for one in compared(inspections) if one.kind == "labels-absent"]
    assert finding.is_problem
    assert finding.found.startswith("no label in any of 3 training cases")
