"""Folders of DICOM files, written here with SimpleITK."""

import locale
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.data.check_series import check_series
from pipeline.data.errors import InputError
from pipeline.data.volumes import read_volume


def write_series(folder: Path, places: list[float], *, series: int = 1) -> Path:
    """Write slices of 4 x 5 pixels at these places (mm) along the body."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, place in enumerate(places):
        image = sitk.GetImageFromArray(np.full((5, 4), number, np.int16))
        tags = {
            "0008|0060": "CT",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.1",
            "0020|000e": f"1.2.826.0.1.3680043.2.1125.1.{series}",
            "0020|0013": str(number + 1),
            "0020|0032": f"-10\\-20\\{place}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}_{number:03}.dcm"))
        writer.Execute(image)
    return folder


@pytest.mark.parametrize(
    "places",
    [[0.0], [0.0, 9.0], [0.0, 2.5, 5.0, 7.5], [7.5, 5.0, 2.5, 0.0], [5.0, 0.0, 2.5], [0.0, 2.45, 5.0, 7.5, 10.05]],
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
    with pytest.raises(InputError, match=f"slices are {apart} apart; expected one distance") as raised:
        read_volume(str(folder))
    assert (raised.value.kind, raised.value.where) == ("spacing", str(folder))


def test_two_series_in_one_folder_are_told(tmp_path: Path) -> None:
    write_series(tmp_path, [0.0, 1.0, 2.0])
    write_series(tmp_path, [0.0, 1.0], series=2)
    with pytest.raises(InputError, match="2 DICOM series in one folder") as raised:
        read_volume(str(tmp_path))
    assert raised.value.kind == "dimensions"


def test_a_folder_without_dicom_is_left_to_its_reader(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    check_series(str(tmp_path))


@pytest.mark.real
def test_a_real_series_passes(real_data: Path) -> None:
    check_series(str(real_data / "ct_dicom"))


def test_the_locale_stays_as_it_was(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", [0, 1, 2])
    before = locale.setlocale(locale.LC_ALL)
    check_series(str(folder))
    assert locale.setlocale(locale.LC_ALL) == before
