import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from pipeline.data.check import check_cases, check_scans
from pipeline.data.check_file import spatial_shape
from pipeline.data.errors import InputError
from pipeline.data.images.door import read_volume
from pipeline.data.reader import LoadScand


def check_image(path, *, channels, spatial_dims):
    """Check an image and return its shape in space."""
    check_scans([{"image": path}], channels=channels, spatial_dims=spatial_dims)
    return spatial_shape(path, read_volume(path).voxels.shape, channels, spatial_dims)


def save(path, shape, dtype=np.float32):
    """Write a scan or a picture whose scalar voxels have this shape."""
    voxels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    if path.suffix == ".png":
        Image.fromarray(voxels.swapaxes(0, 1)).save(path)
    else:
        kind = nibabel.Nifti1Pair if path.suffix == ".hdr" else nibabel.Nifti1Image
        kind(voxels, np.eye(4)).to_filename(path)
    return str(path)


# File's name and shape, a bundle's channels and dimensions in space, and whether MONAI reads what that bundle needs.
SHAPES = [
    ("a.nii", (5, 6, 7), 1, 3, True),
    ("a.nii", (5, 6, 7, 1), 1, 3, True),
    ("a.nii", (5, 6, 1), 1, 3, True),
    ("a.nii", (5, 6, 7, 3), 3, 3, True),
    ("a.nii", (5, 6), 1, 2, True),
    ("a.hdr", (5, 6, 7, 3), 3, 3, True),
    ("a.hdr", (5, 6, 1), 1, 3, True),
    ("a.png", (5, 6), 1, 2, True),
    ("a.png", (5, 6, 3), 3, 2, True),
    ("a.nii", (5, 6), 1, 3, False),
    ("a.nii", (5, 6, 7, 1, 1), 1, 3, False),
    ("a.nii", (5, 6, 7, 1, 3), 3, 3, False),
    ("a.nii", (5, 6, 7, 3, 1), 3, 3, False),
    ("a.nii", (5, 6, 7, 3), 1, 3, False),
    ("a.nii", (5, 6, 7), 3, 3, False),
    ("a.nii", (5, 6, 7), 1, 2, False),
    ("a.nii", (5, 6, 1), 1, 2, False),
    ("a.nii", (5, 6, 1, 1), 1, 2, False),
    ("a.nii", (5, 6, 3), 3, 2, False),
    ("a.png", (5, 6), 1, 3, False),
    ("a.png", (5, 6, 3), 1, 2, False),
]


@pytest.mark.parametrize(("name", "shape", "channels", "spatial_dims", "fits"), SHAPES)
def test_passes_what_monai_reads_with_the_axes_meant(tmp_path, name, shape, channels, spatial_dims, fits):
    path = save(tmp_path / name, shape, np.uint8)
    read = LoadScand("image", ensure_channel_first=True)({"image": path})["image"].shape
    assert (len(read) == 1 + spatial_dims and read[0] == channels) == fits
    if fits:
        assert check_image(path, channels=channels, spatial_dims=spatial_dims) == read[1:]
    else:
        with pytest.raises(InputError) as raised:
            check_image(path, channels=channels, spatial_dims=spatial_dims)
        assert f"shape {shape}; expected" in str(raised.value)


@pytest.mark.parametrize(
    ("voxels", "found"),
    [
        (np.zeros((5, 6, 7), np.uint8), "the same value, 0, in every voxel"),
        (np.full((5, 6, 7), 1e300), "the same value, 1e+300, in every voxel"),
        (np.full((5, 6, 7), True).astype(np.int8), "the same value, 1, in every voxel"),
        (np.linspace(0, 1.1e18, 210).reshape(5, 6, 7), "voxels from 0 to 1.1e+18"),
        (-np.linspace(0, 1e308, 210).reshape(5, 6, 7), "voxels from -1e+308 to -0"),
        (np.linspace(-1e18, 1e18, 210).reshape(5, 6, 7), None),
        (np.arange(210).reshape(5, 6, 7).astype(np.uint8), None),
    ],
)
def test_an_image_needs_contrast_of_a_magnitude_that_can_be_normalised(tmp_path, voxels, found):
    path = str(tmp_path / "a.nii.gz")
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path)
    if found is None:
        check_image(path, channels=1, spatial_dims=3)
    else:
        with pytest.raises(InputError) as raised:
            check_image(path, channels=1, spatial_dims=3)
        assert found in raised.value.found


def test_one_channel_without_contrast_is_found(tmp_path):
    voxels = np.random.default_rng(0).random((5, 6, 7, 3)).astype(np.float32)
    voxels[..., 1] = 4
    path = str(tmp_path / "a.nii.gz")
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path)
    with pytest.raises(InputError, match="the same value, 4, in every voxel of a channel"):
        check_image(path, channels=3, spatial_dims=3)


@pytest.mark.parametrize("value", [0, 2])
def test_a_label_map_may_have_one_value(tmp_path, value):
    path = str(tmp_path / "a.nii.gz")
    nibabel.Nifti1Image(np.full((5, 6, 7), value, np.uint8), np.eye(4)).to_filename(path)
    check_cases([{"image": save(tmp_path / "i.nii", (5, 6, 7)), "label": path}], labels={"tumour": 2})


def test_the_grid_is_that_of_the_file(tmp_path):
    image = sitk.GetImageFromArray(np.arange(210, dtype=np.int16).reshape(7, 6, 5))
    image.SetSpacing((2.0, 3.0, 4.0))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    path = str(tmp_path / "a.nrrd")
    assert check_image(path, channels=1, spatial_dims=3) == (5, 6, 7)
    # ITK's world is LPS, that of NIfTI and of this pipeline RAS.
    np.testing.assert_allclose(read_volume(path).affine, np.diag([-2, -3, 4, 1]), atol=1e-12)
