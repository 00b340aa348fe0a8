"""NIfTI files whose header has the voxels start where they cannot: reported in LightSkip's words, in every verb."""

import gzip
import logging
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.check_grid import find_header_problems
from pipeline.data.errors import InputError
from pipeline.data.images.door import open_image, read_header, read_volume
from pipeline.data.images.nifti_header import header_image, uneven_offset_error
from pipeline.data.images.nifti_offset import quiet_nibabel

SHAPE = (6, 5, 4)
VOXELS = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE, order="F")
START = 352
SIZE = START + VOXELS.nbytes
# Starts that no file can have, and the words for them.
IMPOSSIBLE = {
    # nibabel would take the header itself for voxels.
    "nothing": (0.0, "byte 0 (vox_offset in its header); expected a whole number of bytes, 352 or more"),
    "within the header": (100.0, "byte 100 (vox_offset in its header); expected a whole number of bytes, 352 or more"),
    "negative": (-16.0, "byte -16 (vox_offset in its header); expected a whole number of bytes, 352 or more"),
    "half a byte": (352.5, "byte 352.5 (vox_offset in its header); expected a whole number of bytes, 352 or more"),
    "not a number": (np.nan, "byte nan (vox_offset in its header); expected a whole number of bytes, 352 or more"),
    "infinite": (np.inf, "byte inf (vox_offset in its header); expected a whole number of bytes, 352 or more"),
    "after the end": (
        1e6,
        f"byte 1000000 (vox_offset in its header) of {SIZE} bytes; expected a start inside",
    ),
    "far after the end": (1e30, "expected a start inside the file"),
}


def write(file: Path, offset: float, *, gap: int = 0) -> Path:
    """Write a NIfTI-1 file with this start of its voxels in its header, and bytes between header and voxels."""
    header = nib.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.int16)
    header.set_sform(np.eye(4), 1)
    header["pixdim"][1:4] = 1
    raw = bytearray(header.binaryblock)
    raw[344:348] = b"n+1\0"
    raw[108:112] = struct.pack("<f", offset)
    content = bytes(raw) + bytes(START - len(raw) + gap) + VOXELS.tobytes(order="F")
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return file


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_start_is_named(
    name: str, ending: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    offset, said = IMPOSSIBLE[name]
    path = str(write(tmp_path / f"scan{ending}", offset))
    for as_float in (False, True):
        with pytest.raises(InputError) as raised:
            read_volume(path, as_float=as_float)
        message = str(raised.value)
        assert message.startswith(f"{path}: found voxels that start at byte ")
        assert said in message
        assert raised.value.kind == "voxel-offset"
        assert "write it again from the original scan" in raised.value.remedy
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_slab_of_such_a_file_is_refused_too(ending: str, tmp_path: Path) -> None:
    path = str(write(tmp_path / f"scan{ending}", 1e6))
    with pytest.raises(InputError), open_image(path) as image:
        image.slab(0, 2)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_that_ends_within_its_voxels_is_truncated(ending: str, tmp_path: Path) -> None:
    # The start is inside the file, or the file ends before the usual start.
    file = write(tmp_path / f"scan{ending}", START + 16)
    with pytest.raises(InputError) as raised:
        read_volume(str(file))
    assert raised.value.kind == "truncated"
    content = gzip.decompress(write(tmp_path / "whole.nii.gz", START).read_bytes())[: START - 2]
    file.write_bytes(gzip.compress(content) if ending == ".nii.gz" else content)
    with pytest.raises(InputError) as raised:
        read_volume(str(file))
    assert raised.value.kind == "truncated"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("offset", "gap"), [(352, 0), (368, 16), (360, 8), (353, 1)])
def test_a_start_that_readers_accept_is_accepted_without_a_line(
    offset: int, gap: int, ending: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path / f"scan{ending}", offset, gap=gap))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    np.testing.assert_array_equal(read_volume(path, as_float=True).voxels, VOXELS)
    assert capfd.readouterr() == ("", "")
    # What SPM minds is a note.
    found = [problem for problem in find_header_problems(path, volume, SHAPE) if problem.kind.startswith("voxel")]
    assert [problem.kind for problem in found] == ["voxel-offset-uneven"] * (offset % 16 != 0)
    assert all(f"byte {offset} " in problem.found for problem in found)


@pytest.mark.parametrize("ending", [".hdr", ".hdr.gz"])
def test_a_pair_has_its_voxels_from_the_first_byte_on(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"scan{ending}"
    nib.Nifti1Pair(VOXELS, np.eye(4)).to_filename(file)
    assert uneven_offset_error(read_header(file)) is None
    np.testing.assert_array_equal(read_volume(str(file)).voxels, VOXELS)
    raw = bytearray(gzip.decompress(file.read_bytes()) if ending == ".hdr.gz" else file.read_bytes())
    for offset, said in ((-1.0, "a whole number of bytes, 0 or more"), (1e6, "a start inside the file")):
        raw[108:112] = struct.pack("<f", offset)
        file.write_bytes(gzip.compress(raw) if ending == ".hdr.gz" else raw)
        with pytest.raises(InputError, match="voxels that start at byte") as raised:
            read_volume(str(file))
        assert raised.value.expected == said


def test_the_geometry_of_a_copied_header_does_not_depend_on_the_start(tmp_path: Path) -> None:
    raw = read_header(write(tmp_path / "scan.nii", 360, gap=8)).raw
    np.testing.assert_array_equal(header_image(raw).affine, np.eye(4))


def test_nibabel_is_heard_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("nibabel.global")
    with caplog.at_level(logging.WARNING):
        with quiet_nibabel():
            logger.warning("hidden")
        logger.warning("heard")
    assert [record.message for record in caplog.records] == ["heard"]
