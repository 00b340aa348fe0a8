import json

import pytest

from pipeline.data.errors import InputError
from pipeline.data.layouts import find


def make(folder, labelled=2, scans=1, label="segmentation.nii.gz"):
    for number in range(labelled + scans):
        case = folder / f"case_{number:05d}"
        case.mkdir(parents=True)
        (case / "imaging.nii.gz").touch()
        if number < labelled:
            (case / label).touch()
    return folder


def test_kits19(tmp_path):
    facts = [{"case_id": "case_00001", "age": 60, "gender": "female", "comorbidities": {"copd": False}, "bmi": None}]
    (make(tmp_path / "data").parent / "kits.json").write_text(json.dumps(facts))
    found = find(tmp_path / "data")
    assert [(item.images[0].parent.name, item.label.name) for item in found.training] == [
        ("case_00000", "segmentation.nii.gz"),
        ("case_00001", "segmentation.nii.gz"),
    ]
    assert [item.images[0].parent.name for item in found.test] == ["case_00002"]
    assert (found.notes, found.left_out) == (["1 case without a label map, kept for testing"], [])
    assert not find(tmp_path / "data", unlabelled="ignore").test
    assert found.training[1].columns == {"age": "60", "gender": "female"}
    assert found.described["labels"] == {"background": 0, "kidney": 1, "tumor": 2}


@pytest.mark.parametrize(
    ("label", "folder"), [("segmentation.nii.gz", "instances"), ("aggregated_MAJ_seg.nii.gz", "segmentations")]
)
def test_kits21_and_kits23_have_cysts(tmp_path, label, folder):
    (make(tmp_path, scans=0, label=label) / "case_00000" / folder).mkdir()
    for structure in ("kidney", "tumor"):
        (tmp_path / "case_00000" / folder / f"{structure}_instance-1_annotation-1.nii.gz").touch()
    found = find(tmp_path)
    assert found.training[0].label.name == label
    assert found.described["labels"]["cyst"] == 3


def test_missing_images_and_odd_facts_are_explained(tmp_path):
    (make(tmp_path) / "kits.json").write_text("{}")
    with pytest.raises(InputError, match=r"kits\.json: found JSON of another form"):
        find(tmp_path)
    (tmp_path / "kits.json").unlink()
    (tmp_path / "case_00001/imaging.nii.gz").unlink()
    with pytest.raises(InputError, match=r"1 of 3 cases without imaging\.nii\.gz: case_00001"):
        find(tmp_path)


def test_folders_of_another_name_are_named(tmp_path):
    (make(tmp_path) / "case_00001").rename(tmp_path / "case_1")
    found = find(tmp_path)
    assert (len(found.training), found.left_out) == (1, ["folders that are not called case_00000: case_1"])


def test_damaged_facts_are_not_called_a_datalist(tmp_path):
    (make(tmp_path) / "kits.json").write_text("{")
    with pytest.raises(InputError, match=r"expected facts about the cases .* or download it again, or delete it"):
        find(tmp_path)
