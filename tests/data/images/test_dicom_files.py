"""DICOM files by their first bytes."""

from pathlib import Path

import pytest
import SimpleITK as sitk

from pipeline.data.images.dicom_files import dicom_files, is_dicom, other_content, unreadable_packing
from pipeline.data.images.dicom_slices import read_slice, read_slices


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A slice written by SimpleITK, without an ending."""
    sitk.WriteImage(sitk.Image(4, 5, sitk.sitkInt16), str(tmp_path / "a.dcm"))
    return (tmp_path / "a.dcm").rename(tmp_path / "IM1")


def test_a_slice_is_known_without_its_ending(written: Path) -> None:
    assert is_dicom(written)
    one = read_slice(str(written))
    assert one is not None
    assert (other_content(one.storage), unreadable_packing(one.syntax)) == (None, None)
    assert (one.size, one.frames, one.dtype, one.is_complete) == ((4, 5), 1, "int16", True)


@pytest.mark.parametrize("content", [b"", b"DICM", bytes(128) + b"DIC", bytes(129) + b"DICM"])
def test_other_files_are_not_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert not is_dicom(tmp_path / "a")
    assert not is_dicom(tmp_path)
    assert not is_dicom(tmp_path / "absent")
    assert read_slice(str(tmp_path / "a")) is None


def test_a_folder_gives_its_dicom_files_sorted(written: Path) -> None:
    folder = written.parent
    for name in ("b.dcm", "A.DCM", "notes.txt", ".hidden.dcm"):
        (folder / name).touch()
    (folder / "DICOMDIR").write_bytes(written.read_bytes())
    (folder / "deep.dcm").mkdir()
    assert [path.name for path in dicom_files(folder)] == ["A.DCM", "IM1", "b.dcm"]


@pytest.mark.real
def test_a_real_series_in_jpeg_2000_can_be_read(real_data: Path) -> None:
    slices, damaged = read_slices(str(real_data / "ct_dicom"))
    assert (len(slices), damaged) == (20, [])
    assert {(other_content(one.storage), unreadable_packing(one.syntax), one.is_complete) for one in slices} == {
        (None, None, True)
    }
