import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.data.images.door import read_header

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.nii"])
def test_shape_and_spacing_are_those_of_the_header(tmp_path, name):
    image = sitk.GetImageFromArray(VOXELS)  # SimpleITK's arrays are (z, y, x)
    image.SetSpacing((0.5, 0.75, 3.0))
    sitk.WriteImage(image, str(tmp_path / name))
    header = read_header(tmp_path / name)
    assert (header.spatial_shape, header.spacing, header.dtype.name) == ((4, 3, 2), (0.5, 0.75, 3.0), "int16")


def test_a_header_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.nii").write_text("nothing")
    with pytest.raises(InputError, match=r"a\.nii: found a truncated or corrupt file, or no image \(no NIfTI header"):
        read_header(tmp_path / "a.nii")


@pytest.mark.real
def test_shape_and_spacing_of_a_real_series_are_those_that_itk_reads(real_data):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(real_data / "ct_dicom")))
    image = reader.Execute()
    header = read_header(real_data / "ct_dicom")
    assert (header.shape, header.modality) == (image.GetSize(), "CT")
    np.testing.assert_allclose(header.spacing, image.GetSpacing(), rtol=1e-4)
