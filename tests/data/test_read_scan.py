"""A scan is read and checked in one go, by the rules of the gate."""

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.check import check_scans
from pipeline.data.errors import InputError
from pipeline.data.read_scan import read_scan

from .conftest import AFFINE, SHAPE


def test_the_voxels_are_those_of_the_files(small):
    images = [small.image(number) for number in range(2)]
    files = [str(small.folder / small.save(f"{number}.nii.gz", image)) for number, image in enumerate(images)]
    volumes = read_scan(files, channels=2, spatial_dims=3)
    for volume, image in zip(volumes, images, strict=True):
        np.testing.assert_array_equal(volume.voxels, image)
        np.testing.assert_allclose(volume.affine, AFFINE)


@pytest.mark.parametrize("spoil", ["nan", "place", "twice", "missing", "count"])
def test_what_is_refused_is_what_the_gate_refuses(small, spoil):
    files = [str(small.folder / small.save(f"{number}.nii", small.image(number))) for number in range(2)]
    if spoil == "nan":
        small.save("1.nii", np.full(SHAPE, np.nan, np.float32))
    elif spoil == "place":
        nib.Nifti1Image(small.image(1), np.diag([1.0, 1.0, 3.0, 1.0])).to_filename(files[1])
    elif spoil == "twice":
        files[1] = files[0]
    elif spoil == "missing":
        (small.folder / "0.nii").unlink()
    else:
        files.append(str(small.folder / small.save("2.nii", small.image(2))))
    messages = []
    for refuse in (
        lambda: read_scan(files, channels=2, spatial_dims=3),
        lambda: check_scans([{"image": files}], channels=2),
    ):
        with pytest.raises(InputError) as raised:
            refuse()
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
