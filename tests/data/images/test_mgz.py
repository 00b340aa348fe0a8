"""FreeSurfer's volumes, written here byte by byte and by nibabel."""

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.data.images.door import open_image, read_header, read_volume
from pipeline.data.reader import LoadScand

VOXELS = np.random.default_rng(0).integers(0, 255, (4, 5, 6)).astype(np.int16)
# x is to the left, y up and z to the front, as FreeSurfer's conformed volumes are.
COSINES = ((-1.0, 0, 0), (0, 0, -1.0), (0, 1.0, 0))
SPACING = (1.0, 1.5, 2.0)
CENTRE = (3.0, -4.0, 5.0)
TYPE_SHORT = 4


def mgh_bytes(voxels: np.ndarray, *, good: int = 1) -> bytes:
    """Encode a volume by the format's description: 284 bytes of header, big-endian, the first axis fastest."""
    shape = (*voxels.shape, 1)[:4]
    header = struct.pack(">i4iiih3f", 1, *shape, TYPE_SHORT, 0, good, *SPACING)
    header += struct.pack(">9f3f", *np.ravel(COSINES), *CENTRE)
    return header.ljust(284, b"\0") + voxels.astype(">i2").tobytes(order="F")


def expected_affine() -> np.ndarray:
    axes = np.array(COSINES).T @ np.diag(SPACING)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = np.array(CENTRE) - axes @ (np.array(VOXELS.shape) / 2)
    return affine


@pytest.mark.parametrize("name", ["a.mgz", "a.mgh", "A.MGZ"])
def test_a_volume_lies_where_its_header_says(tmp_path: Path, name: str) -> None:
    content = mgh_bytes(VOXELS)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.lower().endswith("z") else content)
    volume = read_volume(str(tmp_path / name))
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    np.testing.assert_allclose(volume.affine, expected_affine())
    assert (volume.stored, volume.header.axes, volume.header.spacing) == ("int16", 3, SPACING)
    with open_image(str(tmp_path / name)) as image:
        np.testing.assert_array_equal(image.slab(2, 4), VOXELS[:, :, 2:4])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("frames", [1, 3])
def test_what_nibabel_wrote_is_read_by_the_training_s_loader(tmp_path: Path, dtype: type, frames: int) -> None:
    voxels = np.random.default_rng(1).integers(0, 100, (4, 5, 6, frames)[: 3 + (frames > 1)]).astype(dtype)
    nib.MGHImage(voxels, expected_affine()).to_filename(tmp_path / "a.mgz")
    scan = LoadScand(keys="image", ensure_channel_first=True)({"image": str(tmp_path / "a.mgz")})["image"]
    expected = voxels[None] if frames == 1 else np.moveaxis(voxels, -1, 0)
    np.testing.assert_array_equal(scan.numpy(), expected.astype(np.float32))
    np.testing.assert_allclose(scan.affine, expected_affine(), atol=1e-5)
    assert read_header(tmp_path / "a.mgz").channels == frames


@pytest.mark.parametrize("kept", [-1, -9, 200, 20])
def test_a_truncated_volume_is_noticed(tmp_path: Path, kept: int) -> None:
    (tmp_path / "a.mgz").write_bytes(gzip.compress(mgh_bytes(VOXELS))[:kept])
    with pytest.raises(InputError, match="truncated or corrupt") as raised:
        read_volume(str(tmp_path / "a.mgz"))
    assert raised.value.where == str(tmp_path / "a.mgz")
