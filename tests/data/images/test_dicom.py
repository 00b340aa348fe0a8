"""DICOM series and files of several frames, written here with SimpleITK."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImaged

from pipeline.data.images.door import open_image, read_header, read_volume
from pipeline.data.reader import LoadScand

SHAPE = (5, 4, 6)
VOXELS = np.random.default_rng(0).integers(-500, 1500, SHAPE).astype(np.int16)
SPACING = (0.5, 0.75, 2.0)
ORIGIN = np.array([10.0, -20.0, 30.0])
# Turned about x by 0.3: the ways along a row, along a column and from slice to slice, in LPS.
COS, SIN = np.cos(0.3), np.sin(0.3)
DIRECTION = np.array([[1, 0, 0], [0, COS, -SIN], [0, SIN, COS]])


def affine() -> np.ndarray:
    lps = np.eye(4)
    lps[:3, :3] = DIRECTION @ np.diag(SPACING)
    lps[:3, 3] = ORIGIN
    return np.diag([-1.0, -1, 1, 1]) @ lps


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A folder whose file names run against the order of the slices."""
    folder = tmp_path / "ct"
    folder.mkdir()
    for number in range(SHAPE[2]):
        one = sitk.GetImageFromArray(VOXELS[:, :, number].T)
        one.SetSpacing(SPACING[:2])
        place = ORIGIN + DIRECTION[:, 2] * SPACING[2] * number
        tags = {
            "0008|0060": "CT",
            "0020|000e": "1.2.3.4",
            "0020|0032": "\\".join(f"{value:.8g}" for value in place),
            "0020|0037": "\\".join(f"{value:.8g}" for value in DIRECTION[:, :2].T.ravel()),
            "0018|0050": "2",
        }
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(folder / f"{SHAPE[2] - number:02}.dcm"))
        writer.Execute(one)
    return folder


def test_the_header_has_the_place_that_the_voxels_get(series: Path) -> None:
    header, volume = read_header(series), read_volume(str(series))
    assert (header.shape, header.modality, header.axes, header.has_orientation) == (SHAPE, "CT", 3, True)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    for one in (header, volume.header):
        np.testing.assert_allclose(one.affine, affine(), atol=1e-5)
        np.testing.assert_allclose(one.spacing, SPACING, atol=1e-6)


def test_it_is_read_as_monai_reads_it(series: Path) -> None:
    ours, monais = (
        kind(keys="image", ensure_channel_first=True)({"image": str(series)})["image"]
        for kind in (LoadScand, LoadImaged)
    )
    np.testing.assert_array_equal(ours.numpy(), monais.numpy())
    np.testing.assert_array_equal(ours.affine, monais.affine)
    assert ours.meta.keys() == monais.meta.keys()


def test_a_slab_needs_its_slices_alone(series: Path) -> None:
    with open_image(str(series)) as image:
        # The last slices in space are the first by name.
        for number in (1, 2, 3):
            (series / f"{number:02}.dcm").unlink()
        np.testing.assert_array_equal(image.slab(1, 3), VOXELS[:, :, 1:3])


def test_a_file_of_several_frames_is_a_volume(tmp_path: Path) -> None:
    voxels = (VOXELS + 1000).astype(np.uint16)
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing(SPACING)
    sitk.WriteImage(image, str(tmp_path / "a.dcm"))
    header, volume = read_header(tmp_path / "a.dcm"), read_volume(str(tmp_path / "a.dcm"))
    assert header.shape == volume.voxels.shape == SHAPE
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(header.spacing[:2], SPACING[:2])
