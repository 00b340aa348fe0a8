import json
from pathlib import PurePath

import pytest

from pipeline.comparison.folder_maps import exact_name, find_scans, list_label_maps, own_name, plain_name
from pipeline.data.errors import InputError


def listed(folder):
    return [path.name for path in list_label_maps(folder)[0]]


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("stem", "exact", "own", "plain"),
    [
        ("case_1", "case_1", "case_1", "case_1"),
        ("case_1_0000", "case_1", "case_1", "case_1"),
        ("case_1_seg", "case_1_seg", "case_1", "case_1"),
        ("case_1_0000_seg", "case_1_0000_seg", "case_1", "case_1"),
        ("case.seg", "case.seg", "case", "case"),
        ("case_label", "case_label", "case_label", "case"),
        ("sub-1_dseg", "sub-1_dseg", "sub-1_dseg", "sub-1"),
        ("_seg", "_seg", "_seg", "_seg"),
    ],
)
def test_names_without_what_programs_add(stem, exact, own, plain):
    assert (exact_name(stem), own_name(stem), plain_name(stem)) == (exact, own, plain)


def test_label_maps_come_in_natural_order_without_other_files(tmp_path):
    touch(
        tmp_path, "c10.nii.gz", "c2.nii.gz", "c3.nrrd", ".hidden.nii.gz", "report.json", "labels.txt", "c2_preview.png"
    )
    assert listed(tmp_path) == ["c2.nii.gz", "c3.nrrd", "c10.nii.gz"]


def test_files_of_regions_are_no_label_maps(tmp_path):
    touch(tmp_path, "a_seg.nii.gz", "a_inner_core_region.nii.gz", "a_regions.nii.gz", "b.seg.nrrd")
    touch(tmp_path, "b_core_region.seg.nrrd", "b_regions.seg.nrrd", "c_core_region.nii.gz")
    # c is no scan that was predicted.
    assert listed(tmp_path) == ["a_seg.nii.gz", "b.seg.nrrd", "c_core_region.nii.gz"]


def test_other_outputs_of_predict_and_scans_next_to_predictions_are_no_label_maps(tmp_path):
    touch(tmp_path, "a.nii.gz", "a_seg.nii.gz", "a_prob.nii.gz", "a_entropy.nii.gz", "b_0000.nii.gz", "b_seg.nii.gz")
    files, notes = list_label_maps(tmp_path)
    assert [path.name for path in files] == ["a_seg.nii.gz", "b_seg.nii.gz"]
    assert notes == [
        f"{tmp_path}: a.nii.gz and 1 more left out: next to a file _seg with the same name they are scans."
    ]


def test_a_name_that_only_looks_like_an_output_is_a_label_map(tmp_path):
    touch(tmp_path, "a_prob.nii.gz", "b.nii.gz")
    assert listed(tmp_path) == ["a_prob.nii.gz", "b.nii.gz"]


def test_scans_are_found_in_the_report_of_predict_and_next_to_labels(tmp_path):
    for name in ("labelsTr", "imagesTr", "out"):
        (tmp_path / name).mkdir()
    touch(tmp_path / "labelsTr", "a.nii.gz", "b.nii.gz", "c.nii.gz")
    touch(tmp_path / "imagesTr", "a_0001.nii.gz", "a_0000.nii.gz", "b.nii.gz")
    maps = list_label_maps(tmp_path / "labelsTr")[0]
    scans = {one.name: scan.name for one, scan in find_scans(tmp_path / "labelsTr", maps).items()}
    assert scans == {"a.nii.gz": "a_0000.nii.gz", "b.nii.gz": "b.nii.gz"}

    touch(tmp_path / "out", "a_seg.nii.gz", "b_seg.nii.gz", "gone_seg.nii.gz")
    scan = str(tmp_path / "imagesTr" / "b.nii.gz")
    records = [
        {"files": [scan], "outputs": ["elsewhere/b_prob.nii.gz", "elsewhere/b_seg.nii.gz"]},
        {"files": [str(tmp_path / "gone.nii.gz")], "outputs": ["gone_seg.nii.gz"]},
        {"files": ["failed.nii.gz"]},
    ]
    (tmp_path / "out" / "report.json").write_text(json.dumps({"scans": records}))
    maps = list_label_maps(tmp_path / "out")[0]
    assert {one.name: str(path) for one, path in find_scans(tmp_path / "out", maps).items()} == {"b_seg.nii.gz": scan}
    for text in ("{", "[]", '{"scans": 3}', '{"scans": [3]}', '{"scans": [{"outputs": [], "files": []}]}'):
        (tmp_path / "out" / "report.json").write_text(text)
        assert find_scans(tmp_path / "out", maps) == {}


def test_dicom_segmentations_are_refused_with_what_to_do(tmp_path):
    touch(tmp_path, "a_seg.dcm", "b_seg.dcm")
    with pytest.raises(InputError, match="DICOM segmentations are not read: predict without --format dicom-seg"):
        list_label_maps(tmp_path)


def test_pictures_count_only_without_volumes(tmp_path):
    touch(tmp_path, "1.png", "2.png")
    assert listed(tmp_path) == ["1.png", "2.png"]
    touch(tmp_path, "3.nii")
    assert listed(tmp_path) == ["3.nii"]


def test_a_folder_without_label_maps_is_refused_and_a_folder_below_named(tmp_path):
    with pytest.raises(InputError, match="found an empty folder"):
        list_label_maps(tmp_path)
    (tmp_path / "labelsTr").mkdir()
    touch(tmp_path / "labelsTr", "a.nii.gz")
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match=r"contains labelsTr/, notes.txt; .* such as .*labelsTr"):
        list_label_maps(tmp_path)


def test_many_files_are_sorted_out_without_comparing_each_with_all(tmp_path, monkeypatch):
    names = [f"c{number}" for number in range(40)]
    touch(tmp_path, *(f"{name}{end}.nii.gz" for name in names for end in ("", "_seg", "_prob")))
    scans = [{"outputs": [f"{name}_seg.nii.gz"], "files": [str(tmp_path / f"{name}.nii.gz")]} for name in names]
    (tmp_path / "report.json").write_text(json.dumps({"scans": scans}))
    compared = []
    equal = PurePath.__eq__

    def count(one, other):
        compared.append(one)
        return equal(one, other)

    monkeypatch.setattr(PurePath, "__eq__", count)
    maps, _ = list_label_maps(tmp_path)
    found = find_scans(tmp_path, maps)
    number = len(compared)
    monkeypatch.undo()
    assert [path.name for path in maps] == [f"{name}_seg.nii.gz" for name in names]
    assert {path.name: scan.name for path, scan in found.items()} == {f"{n}_seg.nii.gz": f"{n}.nii.gz" for n in names}
    # A set compares a path with an equal one alone.
    assert number <= 5 * 3 * len(names)
