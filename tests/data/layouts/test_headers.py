import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.errors import InputError
from pipeline.data.layouts.headers import shape_and_spacing

VOXELS = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha", "a.nii"])
def test_shape_and_spacing_are_those_of_the_header(tmp_path, name):
    image = sitk.GetImageFromArray(VOXELS)  # SimpleITK's arrays are (z, y, x)
    image.SetSpacing((0.5, 0.75, 3.0))
    sitk.WriteImage(image, str(tmp_path / name))
    assert shape_and_spacing(tmp_path / name) == ((4, 3, 2), (0.5, 0.75, 3.0))


def test_a_header_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "a.nii").write_text("nothing")
    with pytest.raises(InputError, match=r"a\.nii: found a header that cannot be read"):
        shape_and_spacing(tmp_path / "a.nii")


@pytest.mark.real
def test_shape_and_spacing_of_a_real_series_are_those_that_itk_reads(real_data):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(real_data / "ct_dicom")))
    image = reader.Execute()
    shape, spacing = shape_and_spacing(real_data / "ct_dicom")
    assert shape == image.GetSize()
    np.testing.assert_allclose(spacing, image.GetSpacing(), rtol=1e-4)
