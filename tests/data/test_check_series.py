"""Folders of DICOM files, written here with SimpleITK."""

import locale
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImage

from pipeline.data.errors import InputError
from pipeline.data.images.door import open_image, read_volume

UPRIGHT = "1\\0\\0\\0\\1\\0"


def write_slice(
    path: Path,
    place: Sequence[float],
    *,
    number: int = 0,
    series: int = 1,
    direction: str = UPRIGHT,
    size: tuple[int, int] = (4, 5),
    spacing: tuple[float, float] = (1.0, 1.0),
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write one slice with its corner at a place (mm, LPS)."""
    voxels = np.full(size[::-1], number, np.int16)
    voxels[0, 0] = 100
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    all_tags = {
        "0008|0060": "CT",
        "0020|000d": "1.2.826.0.1.3680043.2.1125.1",
        "0020|000e": f"1.2.826.0.1.3680043.2.1125.1.{series}",
        "0020|0013": str(number + 1),
        "0020|0032": "\\".join(f"{value:g}" for value in place),
        "0020|0037": direction,
        **(tags or {}),
    }
    for tag, value in all_tags.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    # Another ending would be another format.
    writer.SetFileName(str(path.with_suffix(".dcm")))
    writer.Execute(image)
    path.with_suffix(".dcm").rename(path)


def write_series(folder: Path, places: Sequence[float], *, series: int = 1, ending: str = ".dcm") -> Path:
    """Write slices of 4 x 5 pixels at these places (mm) along the body."""
    folder.mkdir(exist_ok=True, parents=True)
    for number, place in enumerate(places):
        write_slice(folder / f"{series}_{number:03}{ending}", (-10, -20, place), number=number, series=series)
    return folder


def write_each(folder: Path, slices: Sequence[Mapping[str, Any]]) -> str:
    folder.mkdir()
    for number, one in enumerate(slices):
        write_slice(folder / f"{number:03}.dcm", number=number, **one)
    return str(folder)


def check_series(folder: str) -> None:
    with open_image(folder) as image:
        image.check()


@pytest.mark.parametrize(
    "places",
    [[0.0, 9.0], [0.0, 2.5, 5.0, 7.5], [7.5, 5.0, 2.5, 0.0], [5.0, 0.0, 2.5], [0.0, 2.45, 5.0, 7.5, 10.05]],
)
def test_even_slices_in_any_order_pass(tmp_path: Path, places: list[float]) -> None:
    check_series(str(write_series(tmp_path / "ct", places)))


@pytest.mark.parametrize(
    ("places", "apart"),
    [([0.0, 2.5, 7.5, 10.0], "2.5 to 5 mm"), ([0.0, 2.0, 4.0, 4.0, 6.0], "0 to 2 mm"), ([0, 1, 2, 3.2], "1 to 1.2 mm")],
    ids=["missing", "twice", "uneven"],
)
def test_a_missing_slice_and_one_that_is_there_twice_are_told(tmp_path: Path, places: list[float], apart: str) -> None:
    folder = write_series(tmp_path / "ct", places)
    with pytest.raises(InputError, match=f"slices are {apart} apart; expected equal distances") as raised:
        read_volume(str(folder))
    assert (raised.value.kind, raised.value.where) == ("spacing", str(folder))


def test_two_series_in_one_folder_are_told(tmp_path: Path) -> None:
    write_series(tmp_path, [0.0, 1.0, 2.0])
    write_series(tmp_path, [0.0, 1.0], series=2)
    with pytest.raises(InputError, match="2 DICOM series in one folder") as raised:
        read_volume(str(tmp_path))
    assert raised.value.kind == "several-series"


@pytest.mark.real
def test_a_real_series_passes(real_data: Path) -> None:
    check_series(str(real_data / "ct_dicom"))


def test_the_locale_stays_as_it_was(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", [0, 1, 2])
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    try:
        # GDCM sets it to C, and text files would be ASCII from then on: headers are read without it.
        read_volume(str(folder))
        assert locale.setlocale(locale.LC_CTYPE) == "C.UTF-8"
        with pytest.raises(InputError):
            read_volume(str(folder / "1_001.dcm"))
        assert locale.setlocale(locale.LC_CTYPE) == "C.UTF-8"
    finally:
        locale.setlocale(locale.LC_ALL, before)


def stack(count: int = 4, **what: Any) -> list[dict[str, Any]]:
    """Slices 2 mm apart."""
    return [{"place": (0, 0, 2 * number), **what} for number in range(count)]


# Slices, and words of what is found, of what to do, and the kind.
MIXED = {
    "localizer": (
        [*stack(), {"place": (0, 0, 8), "direction": "1\\0\\0\\0\\0\\-1"}],
        "differ in orientation, as with a localizer",
        "move files that do not belong to the scan",
        "dimensions",
    ),
    "sizes": (
        [*stack(), {"place": (0, 0, 8), "size": (7, 6)}, {"place": (0, 0, 10), "size": (7, 6)}],
        "differ in size: 4 x 5 and 7 x 6 pixels",
        "elsewhere",
        "dimensions",
    ),
    "spacings": (
        [*stack(), {"place": (0, 0, 8), "spacing": (2.0, 2.0)}],
        "differ in pixel spacing: 1 x 1 and 2 x 2 mm",
        "elsewhere",
        "spacing",
    ),
    "thickness": (
        [*stack(2, tags={"0018|0050": "1"}), {"place": (0, 0, 4), "tags": {"0018|0050": "2"}}],
        "differ in slice thickness (1, 2)",
        "convert the series to NIfTI",
        "dimensions",
    ),
    "date": (
        [{"place": (0, 0, day), "tags": {"0008|0021": f"2020010{day}"}} for day in (1, 2)],
        "differ in series date",
        "convert the series to NIfTI",
        "dimensions",
    ),
    "one slice": (stack(1), "one DICOM slice", "copy the rest of the series", "dimensions"),
    "all in one place": (
        [*stack(1), *stack(1)],
        "slices are 0 to 0 mm apart",
        "1 is in the place of another",
        "spacing",
    ),
    "each twice": ([*stack(3), *stack(3)], "slices are 0 to 2 mm apart", "3 are in the place of another", "spacing"),
    "sheared": (
        [{"place": (0, 0.3 * place, place)} for place in (0, 2, 4, 6)],
        "shift sideways, by up to 1.8 mm (a gantry tilt of 16.7 degrees)",
        "dcm2niix",
        "sheared",
    ),
    "tilted gantry": (
        stack(direction="1\\0\\0\\0\\0.9659258\\0.2588190"),
        "(a gantry tilt of 15 degrees)",
        "straight grid",
        "sheared",
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_readers_pass_over_is_told(tmp_path: Path, name: str) -> None:
    slices, found, remedy, kind = MIXED[name]
    folder = write_each(tmp_path / "ct", slices)
    with pytest.raises(InputError) as raised:
        read_volume(folder)
    error = raised.value
    assert found in error.found
    assert remedy in error.remedy
    assert (error.where, error.kind) == (folder, kind)
    assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["sheared", "tilted gantry", "localizer", "spacings", "thickness", "date"])
def test_monai_would_have_read_these_without_a_word(tmp_path: Path, name: str) -> None:
    # Where a later MONAI tells, the check can go.
    slices = MIXED[name][0]
    read = LoadImage(image_only=True)(write_each(tmp_path / "ct", slices))
    assert read.ndim == 3
    places = sorted(one["place"] for one in slices)
    last = np.asarray(read.affine) @ [0, 0, read.shape[2] - 1, 1]
    whole = read.shape[2] == len(slices) and np.allclose(last[:3] * [-1, -1, 1], places[-1], atol=1e-3)
    assert not whole or name in ("localizer", "spacings")


def test_slices_that_turn_and_shift_within_rounding_pass(tmp_path: Path) -> None:
    angle = 0.3
    cos, sin = np.cos(angle), np.sin(angle)
    rows = f"1\\0\\0\\0\\{cos:.6f}\\{sin:.6f}"
    slices = [{"place": (0.01 * number % 0.02, -sin * 2 * number, cos * 2 * number)} for number in range(5)]
    check_series(write_each(tmp_path / "mr", [{**one, "direction": rows} for one in slices]))


def test_files_without_an_ending_are_a_series(tmp_path: Path) -> None:
    volume = read_volume(str(write_series(tmp_path / "ct", [0, 2, 4], ending="")))
    assert volume.voxels.shape == (4, 5, 3)


def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    """Encode one DICOM element, explicit VR, little endian (PS3.5, section 7.1)."""
    value += b"\0" * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if kind == b"OB" else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + kind + length + value


def write_other(path: Path, storage: str, syntax: str = "1.2.840.10008.1.2.1") -> None:
    """Write a DICOM file of a storage class, without voxels."""
    meta = element(2, 1, b"OB", b"\0\1") + element(2, 2, b"UI", storage.encode()) + element(2, 3, b"UI", b"1.2.3")
    meta += element(2, 0x10, b"UI", syntax.encode())
    body = element(8, 0x16, b"UI", storage.encode()) + element(8, 0x18, b"UI", b"1.2.3")
    body += element(0x20, 0xD, b"UI", b"1.2") + element(0x20, 0xE, b"UI", b"1.2.9")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(128) + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + body)


CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("storage", "syntax", "found"),
    [
        ("1.2.840.10008.5.1.4.1.1.481.3", "1.2.840.10008.1.2.1", "an RT structure set"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.1.2.1", "a segmentation"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.1.2.1", "a structured report"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.1.2.1", "a document"),
        (CT, "1.2.840.10008.1.2.4.201", "DICOM compressed as High-Throughput JPEG 2000"),
        (CT, "1.2.840.10008.1.2.4.110", "DICOM compressed as JPEG XL"),
        (CT, "1.2.840.10008.1.2.4.100", "DICOM compressed as MPEG video"),
    ],
)
def test_dicom_without_a_scan_to_read_is_told(tmp_path: Path, storage: str, syntax: str, found: str) -> None:
    write_other(tmp_path / "other" / "a.dcm", storage, syntax)
    for path in (tmp_path / "other", tmp_path / "other" / "a.dcm"):
        with pytest.raises(InputError, match=found) as raised:
            read_volume(str(path))
        assert raised.value.where == str(path)


def test_a_structure_set_beside_the_slices_does_not_matter(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", [0, 2, 4])
    write_other(folder / "rs.dcm", "1.2.840.10008.5.1.4.1.1.481.3")
    assert read_volume(str(folder)).voxels.shape == (4, 5, 3)


@pytest.mark.parametrize("slices", [2, 4])
def test_a_damaged_last_slice_leaves_no_gap_and_is_told(tmp_path: Path, slices: int) -> None:
    folder = write_series(tmp_path / "ct", [2.0 * number for number in range(slices)])
    for kept in (slice(-10), slice(0), slice(140)):
        last = folder / f"1_{slices - 1:03}.dcm"
        last.write_bytes(last.read_bytes()[kept])
        with pytest.raises(InputError, match=f"truncated or no images: {last.name}") as raised:
            read_volume(str(folder))
        assert raised.value.kind == "truncated"


def test_a_folder_of_lfs_pointers_is_told(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.dcm").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputError, match=r"no images: 0\.dcm and 2 more") as raised:
        read_volume(str(tmp_path))
    assert "git lfs pull" in raised.value.remedy


def test_one_file_of_a_series_is_told(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", [0, 2, 4])
    with pytest.raises(InputError, match="found one DICOM slice") as raised:
        read_volume(str(folder / "1_001.dcm"))
    assert "give the folder" in raised.value.remedy


@pytest.mark.slow
@pytest.mark.real
def test_a_real_compressed_series_is_read_like_simpleitk_reads_it(real_data: Path) -> None:
    # It is JPEG 2000.
    folder = str(real_data / "ct_dicom")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder))
    expected = sitk.GetArrayFromImage(reader.Execute()).T
    np.testing.assert_array_equal(read_volume(folder).voxels, expected)
