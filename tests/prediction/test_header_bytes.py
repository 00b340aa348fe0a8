"""What reading a scan will take, from its header alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_header
from pipeline.data.images.header import Header
from pipeline.prediction.header_bytes import estimate_preparation
from pipeline.prediction.memory import preparation_bytes, reading_bytes

SHAPE = (20, 30, 10)
VOXELS = 6000


def bundle(spacing: tuple[float, ...] | None, **changed: Any) -> Any:
    return SimpleNamespace(
        **{"spatial_dims": 3, "channels": 1, "masked": False, "own_spacing": spacing, **changed},
    )


def nifti(tmp_path: Path, *spacing: float, shape: tuple[int, ...] = SHAPE) -> Header:
    file = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), np.diag([*spacing, 1.0])), file)
    return read_header(file)


def test_a_scan_in_the_networks_grid_is_not_resampled(tmp_path: Path) -> None:
    own = preparation_bytes(VOXELS, VOXELS, channels=1, resampled=False)
    header = nifti(tmp_path, 1, 2, 3)
    assert estimate_preparation(header, bundle((1.0, 2.0, 3.0))) == (own, SHAPE)
    # However its axes are turned, and whatever float32 made of its spacing.
    assert estimate_preparation(header, bundle((3.0, 1.0, 2.000001)))[0] == own
    assert estimate_preparation(header, bundle(None))[0] == own


def test_another_spacing_of_the_same_voxel_is_resampled(tmp_path: Path) -> None:
    header = nifti(tmp_path, 0.5, 1, 2)
    assert estimate_preparation(header, bundle((1.0, 1.0, 1.0)))[0] == preparation_bytes(
        VOXELS, VOXELS, channels=1, resampled=True
    )


def test_a_finer_grid_has_more_voxels(tmp_path: Path) -> None:
    header = nifti(tmp_path, 2, 2, 2)
    assert estimate_preparation(header, bundle((1.0, 1.0, 1.0), channels=2, masked=True))[0] == preparation_bytes(
        VOXELS, 8 * VOXELS, channels=2, resampled=True, masked=True
    )


def test_what_has_too_few_axes_is_left_to_its_check(tmp_path: Path) -> None:
    needed, shape = estimate_preparation(nifti(tmp_path, 1, 1, 1, shape=(20, 30)), bundle((1.0, 1.0, 1.0)))
    assert (needed, shape) == (reading_bytes(600, channels=1), (20, 30))


def test_itk_brings_its_libraries(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image(*SHAPE, sitk.sitkInt16), str(tmp_path / "a.mha"))
    plain = estimate_preparation(nifti(tmp_path, 1, 1, 1), bundle(None))[0]
    assert estimate_preparation(read_header(tmp_path / "a.mha"), bundle(None))[0] > plain + 10**8


def test_a_spacing_that_cannot_be_right_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spacing of 1000"):
        estimate_preparation(nifti(tmp_path, 1000, 1000, 1000), bundle((1.0, 1.0, 1.0)))
