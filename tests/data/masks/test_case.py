import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.data.masks.case import read_masks

SHAPE = (6, 5, 4)


def save(path, voxels, spacing=1.0):
    nib.save(nib.Nifti1Image(voxels, np.diag([spacing, 1, 2, 1])), path)
    return path


def box(start, end, dtype=np.uint8, value=1):
    voxels = np.zeros(SHAPE, dtype)
    voxels[start:end] = value
    return voxels


def test_combinations_are_counted(tmp_path):
    masks = {
        "a": save(tmp_path / "a.nii.gz", box(0, 3)),
        "b": save(tmp_path / "b.nii.gz", box(2, 5, np.float32, 255)),
        "empty": save(tmp_path / "e.nii", box(0, 0, np.int16)),
    }
    ids, combinations, found, first = read_masks(masks, ["a", "missing", "b", "empty"])
    assert found.annotated == ("a", "b", "empty")
    assert found.counts == {("a",): 40, ("b",): 40, ("a", "b"): 20}
    inside_b = np.array(["b" in names for names in combinations])[ids]
    np.testing.assert_array_equal(inside_b, box(2, 5) > 0)
    assert first.header.path == str(masks["a"])


@pytest.mark.parametrize(
    ("voxels", "found"),
    [
        (box(0, 2, value=2), "the values 0, 2"),
        (box(0, 2) + box(2, 3, value=3), "the values 0, 1, 3"),
        (box(0, 2) + box(2, 3, value=255), "the values 0, 1, 255"),
        (box(0, 2, np.int16, -1), "the values -1, 0"),
        (box(0, 2, np.float32, 0.5), "values between whole numbers, from 0 to 0.5"),
        (box(0, 2, np.float32, np.nan), "voxels that are not finite"),
        (np.arange(120, dtype=np.uint8).reshape(SHAPE), "the values 0, 1, 2, 3, 4, 5 and 114 more"),
    ],
)
def test_a_mask_that_is_not_binary_is_refused(tmp_path, voxels, found):
    masks = {"a": save(tmp_path / "a.nii.gz", voxels)}
    with pytest.raises(InputError, match=rf"a\.nii\.gz: found {found}; expected a mask of one class"):
        read_masks(masks, ["a"])


def test_rounding_of_floating_point_is_no_other_value(tmp_path):
    masks = {"a": save(tmp_path / "a.nii.gz", box(0, 2, np.float32, 0.9999999))}
    assert read_masks(masks, ["a"])[2].counts == {("a",): 40}


@pytest.mark.parametrize(
    ("voxels", "spacing", "found"),
    [
        (np.zeros((6, 5, 3), np.uint8), 1.0, r"shape \(6, 5, 3\)"),
        (box(0, 2), 1.5, "an affine that moves the mask by up to 2.5 mm"),
    ],
)
def test_masks_in_different_grids_are_refused(tmp_path, voxels, spacing, found):
    masks = {"a": save(tmp_path / "a.nii.gz", box(0, 2)), "b": save(tmp_path / "b.nii.gz", voxels, spacing)}
    with pytest.raises(InputError, match=rf"b\.nii\.gz: found {found}; expected the grid of .*a\.nii\.gz"):
        read_masks(masks, ["a", "b"])


def test_masks_of_two_formats_are_in_one_grid(tmp_path):
    masks = {"a": save(tmp_path / "a.nii.gz", box(0, 3)), "b": tmp_path / "b.nrrd"}
    sitk.WriteImage(sitk.ReadImage(str(save(tmp_path / "b.nii.gz", box(2, 4)))), str(masks["b"]))
    assert read_masks(masks, ["a", "b"])[2].counts == {("a",): 40, ("a", "b"): 20, ("b",): 20}


def test_a_damaged_mask_is_named(tmp_path):
    file = save(tmp_path / "a.nii.gz", box(0, 3))
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(InputError, match=r"a\.nii\.gz: found a truncated"):
        read_masks({"a": file}, ["a"])
