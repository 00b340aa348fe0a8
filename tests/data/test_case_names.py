"""One name per case: short, its own, usable for a file, and the same from check, prediction and evaluation."""

import pytest

from pipeline.data.case_names import case_stem, full_names, name_cases, names_by_file

NAMES = {
    "endings": (["a.nii.gz", "b.nii", "c.nrrd", "d.mha", "e.png", "f.1"], ["a", "b", "c", "d", "e", "f.1"]),
    "nnU-Net's channels": ([["a_0000.nii", "a_0001.nii"], "b_0000.nii"], ["a", "b"]),
    "numbers of their own": (["t_0000.nii", "t_0001.nii", "u_0000.nii"], ["t_0000", "t_0001", "u"]),
    "numbers in two folders": (["p/t_0000.nii", "q/t_0001.nii"], ["t", "t_0001"]),
    "a first channel twice": (["a_0000.nii", "a_0000.nii"], ["a", "a_2"]),
    "one name in two folders": (["p1/t1.nii", "p2/t1.nii", "p3/t2.nii"], ["p1_t1", "p2_t1", "t2"]),
    "one name below one folder": (["s1/ses/scan.nii", "s2/ses/scan.nii"], ["s1_ses_scan", "s2_ses_scan"]),
    "one name in folders of one name": (["x/p/a.nii", "y/p/a.nii"], ["x_p_a", "y_p_a"]),
    "one without a folder": (["a.nii", "p/a.nii"], ["a", "p_a"]),
    "a name like another with its folder": (["p/a.nii", "q/a.nii", "x/p_a.nii"], ["p_a", "q_a", "x_p_a"]),
    "one file twice": (["a.nii", "a.nii"], ["a", "a_2"]),
    "one file in two spellings": (["a.nii", "p/../a.nii"], ["a", "a_2"]),
    "a name that looks numbered": (["a.nii", "a.nii", "a_2.nii"], ["a", "a_3", "a_2"]),
    "one name in two formats": (["a.nii", "a.nrrd"], ["a", "a_2"]),
    "folders that spell the same": (["a_b/x.nii", "a/b_x.nii", "y/x.nii", "y/b_x.nii"], None),
    "DICOM folders": (["p1/dicom", "p2/dicom/"], ["p1_dicom", "p2_dicom"]),
    "absolute": (["/data/set/p1/t1.nii", "/data/set/p2/t1.nii"], ["p1_t1", "p2_t1"]),
    "one": (["/data/set/p1/t1.nii"], ["t1"]),
    "none": ([], []),
}


def as_items(images):
    return [[image] if isinstance(image, str) else image for image in images]


@pytest.mark.parametrize(("images", "expected"), NAMES.values(), ids=NAMES)
def test_every_case_has_a_name_of_its_own(images, expected):
    names = name_cases(as_items(images))
    assert expected is None or names == expected
    assert len(set(names)) == len(images)
    assert not any("/" in name for name in names)


@pytest.mark.parametrize(("images", "expected"), NAMES.values(), ids=NAMES)
def test_a_dataset_has_the_same_names_wherever_it_is(images, expected):
    moved = [[f"/mnt/p1/{file}" if not file.startswith("/") else file for file in item] for item in as_items(images)]
    assert name_cases(moved) == name_cases(as_items(images))


def test_names_are_found_by_the_first_file():
    items = [{"image": ["/d/a_0000.nii", "/d/a_0001.nii"]}, {"image": "/d/b.nii", "label": "/d/l/b.nii"}]
    assert names_by_file(items) == {"/d/a_0000.nii": "a", "/d/b.nii": "b"}


def test_full_names_show_what_folders_cannot_tell_apart():
    items = [["a_b/x.nii"], ["a/b_x.nii"], ["c/x.nii"]]
    assert full_names(["x", "b_x", "x"], items) == ["a_b_x", "a_b_x", "c_x"]


def test_the_name_of_one_file_lacks_ending_and_channel():
    assert [case_stem(name) for name in ("x/a_0000.nii.gz", "a_0001.nii", "a.v2.nii")] == ["a", "a_0001", "a.v2"]
