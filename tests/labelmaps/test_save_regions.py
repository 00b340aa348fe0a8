"""Files of regions in their scan's grid, by nibabel and Pillow."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from pipeline.data.errors import InputError
from pipeline.labelmaps.label_table import Label
from pipeline.labelmaps.save_regions import save_region, save_regions

SHAPE = (6, 5, 4)
AFFINE = np.diag([-1.0, 2.0, 3.0, 1.0])
TABLE = [Label(1, "whole", (255, 0, 0)), Label(2, "core", (0, 255, 0)), Label(3, "edge", (0, 0, 255))]


def patterns() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 8, SHAPE, dtype=np.uint8)


@pytest.fixture
def scan(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.float32), AFFINE), tmp_path / "scan.nii")
    return tmp_path / "scan.nii"


@pytest.mark.parametrize("name", ["x.nii.gz", "x.nii"])
def test_channels_of_nifti(name, scan, tmp_path):
    save_regions(patterns(), tmp_path / name, scan=scan, affine=AFFINE, table=TABLE)
    image = nib.load(tmp_path / name)
    assert image.shape == (*SHAPE, 3)
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(image.affine, AFFINE)
    for place in range(3):
        np.testing.assert_array_equal(np.asanyarray(image.dataobj)[..., place], patterns() >> place & 1)


def test_channels_of_a_picture_are_no_slices(tmp_path):
    save_regions(patterns()[..., 0], tmp_path / "x.nii.gz", scan=None, affine=np.eye(4), table=TABLE)
    assert nib.load(tmp_path / "x.nii.gz").shape == (6, 5, 1, 3)


def test_a_region_alone_is_a_label_map_of_one_label(scan, tmp_path):
    save_region(patterns(), 2, tmp_path / "x.nii.gz", scan=scan, affine=AFFINE, row=TABLE[2])
    image = nib.load(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), patterns() >> 2 & 1)
    save_region(patterns()[..., 0], 1, tmp_path / "x.png", scan=None, affine=np.eye(4), row=TABLE[1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png")).T, patterns()[..., 0] >> 1 & 1)


def test_another_grid_is_refused(scan, tmp_path):
    with pytest.raises(InputError, match="a prediction with"):
        save_regions(patterns()[:5], tmp_path / "x.nii.gz", scan=scan, affine=AFFINE, table=TABLE)
    assert not (tmp_path / "x.nii.gz").exists()


def test_a_format_without_channels_is_refused(tmp_path):
    with pytest.raises(InputError, match="a file per region"):
        save_regions(patterns()[..., 0], tmp_path / "x.png", scan=None, affine=np.eye(4), table=TABLE)
