"""Regions, ignored voxels and partly annotated cases in the dataset check, on small scans."""

import json

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.annotation import annotates, group_by_annotation, is_complete, keep_annotated, possible_values
from pipeline.data.check import check_cases
from pipeline.data.check_dataset import check_dataset
from pipeline.data.dataset import read_dataset
from pipeline.data.errors import InputError
from pipeline.data.fix import fix_dataset

LABELS = {"background": 0, "liver": 1, "kidney": 2}
SHAPE = (12, 12, 12)


def cube(start, value, label):
    label[start : start + 4, 2:8, 2:8] = value


def make_dataset(folder, maps, *, items=None, dtype=np.uint8, **entries):
    """Write a dataset with these label maps; images are brighter where something is labelled."""
    listed = []
    for number, label in enumerate(maps):
        image = np.random.default_rng(number).normal(100, 10, SHAPE) + 50 * (np.isin(label, [1, 2]))
        names = {"image": f"i{number}.nii", "label": f"l{number}.nii"}
        nib.save(nib.Nifti1Image(image.astype(np.float32), np.eye(4)), folder / names["image"])
        nib.save(nib.Nifti1Image(label.astype(dtype), np.eye(4)), folder / names["label"])
        listed.append(names | {"fold": number % 2} | ((items or {}).get(number) or {}))
    file = folder / "d.json"
    file.write_text(json.dumps({"modality": {"0": "MRI"}, "labels": LABELS, "training": listed} | entries))
    return file


def both(number=0):
    label = np.zeros(SHAPE, int)
    cube(1, 1, label)
    cube(7, 2, label)
    return label


def found(report, *left_out):
    ignored = {"orientation-mixed", *left_out}
    return [(each["kind"], each["case"]) for each in report["findings"] if each["kind"] not in ignored]


def test_ignored_values_count_in_no_structure_and_no_intensity(tmp_path):
    """Against the same dataset without the ignored voxels, whose intensities are then the background's."""
    maps = [both() for _ in range(3)]
    for label in maps:
        label[10:] = 255
        label[:, 10:] = 254
    report = check_dataset(make_dataset(tmp_path, maps, ignore=[254, 255]))
    assert found(report) == []
    assert report["ignored_values"] == [254, 255]
    for case, label in zip(report["cases"], maps, strict=True):
        assert case["ignored"] == np.count_nonzero(label > 2)
        assert {name: each["voxels"] for name, each in case["classes"].items()} == {
            "liver": np.count_nonzero(label == 1),
            "kidney": np.count_nonzero(label == 2),
        }
        assert case["foreground"][0]["voxels"] == np.count_nonzero(np.isin(label, [1, 2]))


def test_the_border_of_ignored_voxels_is_no_outline(tmp_path):
    """Of a structure that continues in ignored voxels, the fit is that of its remaining outline."""
    whole = both()
    cut = whole.copy()
    cut[:, :, 5:] = 255
    report = check_dataset(make_dataset(tmp_path, [whole, cut], ignore=255))
    sides = [case["fit"][0]["sides"] for case in report["cases"]]
    # Superior, where the structures are cut off.
    assert sides[0][4] is not None
    assert sides[1][4] is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (255, "a label map without any annotation: 255, which is ignored, in every voxel"),
        (0, "a label map without any structure: 0 in every voxel"),
        ((0, 255), "a label map without any structure: 0 or 255, which is ignored, in every voxel"),
    ],
)
def test_a_map_without_annotation_is_a_finding(tmp_path, value, words):
    empty = np.zeros(SHAPE, int)
    empty[:6], empty[6:] = value if isinstance(value, tuple) else (value, value)
    report = check_dataset(make_dataset(tmp_path, [both(), empty], ignore=255))
    assert found(report) == [("label-empty", "i1")]
    assert next(each["found"] for each in report["findings"] if each["kind"] == "label-empty") == words


def test_values_that_are_neither_labels_nor_ignored_are_undeclared(tmp_path):
    label = both()
    label[11], label[10] = 255, 254
    file = make_dataset(tmp_path, [both(), label], ignore=255)
    (finding,) = [each for each in check_dataset(file)["findings"] if each["kind"] == "label-undeclared"]
    assert finding["found"] == "undeclared label values: 254"
    cases = [{"image": str(tmp_path / "i1.nii"), "label": str(tmp_path / "l1.nii")}]
    check_cases(cases, labels=LABELS, ignored=[254, 255])
    with pytest.raises(InputError, match="undeclared label values: 254"):
        check_cases(cases, labels=LABELS, ignored=[255])


def test_partly_annotated_cases_are_not_compared_with_others(tmp_path):
    """Without "annotated" the kidney is missing, and in a minority of the cases."""
    maps = [both() for _ in range(9)]
    for label in maps[:6]:
        label[label == 2] = 0
    assert ("label-partial", None) in found(check_dataset(make_dataset(tmp_path, maps)), "duplicate")
    items = {number: {"annotated": ["liver"]} for number in range(6)}
    report = check_dataset(make_dataset(tmp_path, maps, items=items))
    assert found(report, "duplicate") == []
    assert [case["annotated"] for case in report["cases"]] == [["liver"]] * 6 + [None] * 3


def test_a_partial_label_has_the_remedy_to_name_what_was_annotated(tmp_path):
    maps = [both() for _ in range(9)]
    for label in maps[:6]:
        label[label == 2] = 0
    report = check_dataset(make_dataset(tmp_path, maps))
    (finding,) = [each for each in report["findings"] if each["kind"] == "label-partial"]
    assert 'name the labels that were annotated in each case, such as "annotated": ["liver"]' in finding["remedy"]


def test_labels_that_were_not_annotated_are_a_finding(tmp_path):
    items = {0: {"annotated": ["liver"]}, 1: {"annotated": ["organs"]}}
    regions = {"organs": [1, 2], "kidney": [2]}
    report = check_dataset(make_dataset(tmp_path, [both(), both(), both()], items=items, regions=regions))
    assert found(report) == [("label-unannotated", "i0")]
    (finding,) = [each for each in report["findings"] if each["kind"] == "label-unannotated"]
    assert finding["found"] == "144 voxels of kidney, and only liver annotated"


@pytest.mark.parametrize(
    ("entries", "kinds"),
    [
        ({"regions": {"organs": [1, 2], "kidney": [2]}}, []),
        ({"regions": {"a": [1, 2], "b": [2, 3]}}, ["region-order"]),
        ({"regions": {"a": [1, 2], "b": [2, 3]}, "region_order": {"a": 1, "b": 3}}, []),
        # The whole has no label of its own.
        ({"regions": {"a": [1, 2, 3], "b": [1], "c": [2], "d": [3]}}, ["region-order"]),
    ],
)
def test_regions_without_an_order_are_a_problem(tmp_path, entries, kinds):
    label = both()
    labels = LABELS
    if 3 in {value for values in entries["regions"].values() for value in values}:
        labels = {**LABELS, "spleen": 3}
        label[0, 0, :5] = 3
    report = check_dataset(make_dataset(tmp_path, [label, label], labels=labels, **entries))
    assert [kind for kind, _ in found(report, "duplicate", "label-islands")] == kinds
    assert report["summary"]["problems"] == len(kinds)
    assert report["regions"] == {name: list(values) for name, values in entries["regions"].items()}


def test_a_region_that_no_case_has_is_said_with_its_label(tmp_path):
    liver = both()
    liver[liver == 2] = 0
    entries = {"regions": {"organs": [1, 2], "kidneys": [2]}}
    report = check_dataset(make_dataset(tmp_path, [liver, liver], **entries))
    (finding,) = [each for each in report["findings"] if each["kind"] == "label-unused"]
    assert finding["found"] == "label 2 (kidney) in none of the label maps, nor the region kidneys"


def test_a_repaired_dataset_keeps_the_keys(tmp_path):
    items = {0: {"annotated": ["liver"]}}
    entries = {"ignore": 255, "regions": {"organs": [1, 2], "kidney": [2]}, "region_order": {"organs": 1, "kidney": 2}}
    file = make_dataset(tmp_path, [both(), both()], items=items, dtype=np.float32, **entries)
    result = fix_dataset(read_dataset(file), check_dataset(file), tmp_path / "fixed")
    before, after = read_dataset(file), read_dataset(result.datalist)
    for key in ("labels", "regions", "region_order", "ignored"):
        assert getattr(after, key) == getattr(before, key)
    assert [case.annotated for case in after.cases] == [("liver",), None]


def record(**entries):
    return {"classes": {"1": {"voxels": 100}, "2": {"voxels": 60}}, **entries}


@pytest.mark.parametrize(("ignored", "complete"), [(None, True), (0, True), (8, True), (9, False)])
def test_few_ignored_voxels_leave_a_case_complete(ignored, complete):
    assert is_complete(record(ignored=ignored)) is complete


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (None, {0, 1, 2, 3}),
        (["liver", "vessel"], {0, 1, 2, 3}),
        # Liver and the vessels in it are one then, and so are other vessels and the background.
        (["liver"], set()),
        (["other"], {2}),
        (["liver", "other"], {0, 2}),
    ],
)
def test_a_label_is_annotated_if_the_names_tell_it_from_all_others(names, known):
    labels = {"background": 0, "liver": 1, "other": 2, "both": 3}
    regions = {"liver": (1, 3), "vessel": (2, 3)}
    assert {value for value in labels.values() if annotates({"annotated": names}, value, labels, regions)} == known


def test_classes_that_were_not_annotated_are_left_out():
    regions = {"organs": (1, 2), "kidneys": (2,)}
    assert set(keep_annotated(record(annotated=["kidneys"]), LABELS, regions)["classes"]) == {"2"}
    assert set(keep_annotated(record(annotated=["organs"]), LABELS, regions)["classes"]) == set()
    assert set(keep_annotated(record(annotated=["liver"]), LABELS)["classes"]) == {"1"}
    assert possible_values(["organs"], LABELS, regions) == {1, 2}
    assert possible_values(["liver"], LABELS) == {1}


def test_cases_are_grouped_by_what_was_annotated():
    groups = group_by_annotation([record(annotated=names) for names in (None, ["a", "b"], ["b", "a"], ["a"], None)])
    assert [len(group) for group in groups] == [2, 2, 1]
