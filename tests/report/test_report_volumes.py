from pathlib import Path

import nibabel
import numpy as np
import pytest

from pipeline.report.report_content import CaseFiles
from pipeline.report.report_volumes import REFERENCE, list_values, read_case_volumes

AFFINE = np.diag([2.0, 3.0, 4.0, 1.0])


def save(file: Path, voxels, affine=AFFINE) -> Path:
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, file)
    return file


@pytest.fixture
def labels():
    voxels = np.zeros((40, 30, 20), np.uint8)
    voxels[10:20, 12:16, 8:10] = 5
    return voxels


def test_volumes_are_cut_to_all_structures_with_a_margin_and_keep_their_place(tmp_path, labels):
    moved = np.roll(labels, 4, axis=0)
    scan = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    case = CaseFiles(
        "c",
        image=save(tmp_path / "i.nii.gz", scan),
        reference=save(tmp_path / "r.nii.gz", labels),
        predictions={"a": save(tmp_path / "a.nii.gz", moved)},
    )
    found = read_case_volumes(case)
    # Voxels 10 to 23 along the first axis: a quarter of 14 is 3.5, and 8 mm are 4 voxels of 2 mm. The other margins
    # are 8 mm: 3 voxels of 3 mm, and 2 of 4 mm.
    box = (slice(6, 28), slice(9, 19), slice(6, 12))
    assert found.start == (6, 9, 6)
    assert found.shape == labels.shape
    np.testing.assert_array_equal(found.scan, scan[box])
    np.testing.assert_array_equal(found.maps[REFERENCE], labels[box])
    np.testing.assert_array_equal(found.maps["a"], moved[box])
    np.testing.assert_allclose(found.affine @ [0, 0, 0, 1], AFFINE @ [6, 9, 6, 1])
    assert found.spacing == (2.0, 3.0, 4.0)
    assert found.notes == []
    assert list_values(found.maps) == [5]


def test_files_that_cannot_be_shown_are_left_out_with_a_sentence(tmp_path, labels):
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    case = CaseFiles(
        "c",
        image=tmp_path / "gone.nii.gz",
        reference=save(tmp_path / "r.nii.gz", labels),
        predictions={
            "small": save(tmp_path / "s.nii.gz", labels[:-1]),
            "half": save(tmp_path / "h.nii.gz", labels + np.float32(0.5)),
            "broken": tmp_path / "broken.nii.gz",
            "absent": None,
            "away": save(tmp_path / "w.nii.gz", labels, AFFINE + np.eye(4, k=3)),
        },
    )
    found = read_case_volumes(case)
    assert set(found.maps) == {REFERENCE, "away"}
    assert found.scan is None
    words = (
        ("label map of small", "39 x 30 x 20 and 40 x 30 x 20 voxels"),
        ("label map of half", "no whole numbers"),
        ("label map of broken", "broken.nii.gz"),
        ("label map of away", "their affines differ"),
        ("scan", "no such file"),
    )
    assert len(found.notes) == len(words)
    for note, (title, reason) in zip(found.notes, words, strict=True):
        assert title in note
        assert reason in note


def test_without_structures_the_whole_volume_is_kept(tmp_path):
    case = CaseFiles("c", reference=save(tmp_path / "r.nii.gz", np.zeros((5, 6, 7), np.uint8)))
    found = read_case_volumes(case)
    assert found.maps[REFERENCE].shape == (5, 6, 7)
    assert found.start == (0, 0, 0)


def test_a_case_without_files_has_nothing():
    found = read_case_volumes(CaseFiles("c"))
    assert (found.scan, found.maps, found.shape) == (None, {}, ())


def test_the_values_of_a_file_become_those_of_the_labels(tmp_path):
    reference = np.full((5, 6, 7), 255, np.uint8)
    reference[2, 2, 2] = 0
    prediction = np.zeros((5, 6, 7), np.uint8)
    prediction[2, 2, 2] = 1
    case = CaseFiles(
        "c",
        reference=save(tmp_path / "r.nii.gz", reference),
        predictions={"one": save(tmp_path / "p.nii.gz", prediction)},
        values={"": {0: 1, 255: 0}},
    )
    found = read_case_volumes(case)
    assert np.array_equal(found.maps[""], found.maps["one"])
    assert found.maps[""].sum() == 1


def test_a_volume_that_takes_more_memory_than_is_left_is_left_out_with_a_sentence(tmp_path, labels):
    case = CaseFiles(
        "c",
        image=save(tmp_path / "i.nii.gz", np.zeros(labels.shape, np.float64)),
        reference=save(tmp_path / "r.nii.gz", labels),
    )
    # A byte, and eight, for each voxel; and nine for the work. The label map is read first, and stays.
    both = (1 + 8 + 9) * labels.size
    assert read_case_volumes(case, both).notes == []
    found = read_case_volumes(case, both - 1)
    assert found.scan is None
    assert list(found.maps) == [REFERENCE]
    assert found.notes == [
        f"The scan is not shown: {tmp_path / 'i.nii.gz'}: it takes about 408 KB of memory, and 408 KB are left of "
        "--memory."
    ]
