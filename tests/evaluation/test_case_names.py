import pytest

from pipeline.evaluation.case_names import name_case, name_cases


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("data/imagesTr/liver_001.nii.gz", "liver_001"),
        ("liver_001_0000.nii.gz", "liver_001"),
        ("ape.v2.NRRD", "ape.v2"),
        ("scans/slice.jpeg", "slice"),
        ("series", "series"),
    ],
)
def test_a_case_has_the_name_of_its_file(source, name):
    assert name_case(source) == name


def test_names_have_as_many_folders_as_make_them_unique():
    assert name_cases(["a/p1/ct.nii", "b/p1/ct.nii", "b/p2/mr.nii"]) == {
        "a/p1/ct.nii": "a/p1/ct",
        "b/p1/ct.nii": "b/p1/ct",
        "b/p2/mr.nii": "b/p2/mr",
    }
    assert name_cases(["p1/ct.nii", "p2/ct.nii"]) == {"p1/ct.nii": "p1/ct", "p2/ct.nii": "p2/ct"}
    assert name_cases([]) == {}


def test_paths_that_no_folder_tells_apart_are_names_themselves():
    assert name_cases(["p/ct.nii", "p/ct.nrrd"]) == {"p/ct.nii": "p/ct.nii", "p/ct.nrrd": "p/ct.nrrd"}
