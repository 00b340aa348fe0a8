"""The series of a folder."""

from pathlib import Path

import pytest
from pydicom.uid import RTDoseStorage

from pipeline.data.errors import InputError
from pipeline.data.images.dicom_files import split_series
from pipeline.data.images.dicom_slices import read_slices
from pipeline.data.images.dicom_study import choose_series, list_series, list_words
from pipeline.data.images.door import read_header, read_volume
from pipeline.data.images.endings import scan_name

from ..odd.dicom import UID, other_object, some_stored, two_series, write_series


def test_series_are_listed_by_number_with_scans_first(tmp_path: Path) -> None:
    folder = two_series(tmp_path)
    (tmp_path / "dose").mkdir()
    other_object(RTDoseStorage, "RTDOSE", frames=3)(tmp_path / "dose").rename(folder / "0.dcm")
    slices, _ = read_slices(str(folder))
    series = list_series([one for one in slices if one.series != f"{UID}2.1"])
    assert list_words(series) == "3 (MR, 14 images)"
    assert list_words(series, described=True) == '3 "series 3" (MR, 14 images)'
    # The dose has the number and the identifier of the localizer.
    assert list_words(list_series(slices)) == "1 (MR, 3 images); 3 (MR, 14 images)"
    assert list_words(list_series(slices[:1])) == "1 (RTDOSE, an RT dose)"


@pytest.mark.parametrize(
    ("word", "count"),
    [("3", 14), ("003", 14), ("1", 3), ("Series 3", 14), (f"{UID}2.1", 3), ("2", 0), ("", 0), ("series", 0)],
)
def test_a_series_is_named_by_number_description_or_identifier(tmp_path: Path, word: str, count: int) -> None:
    assert len(choose_series(read_slices(str(two_series(tmp_path)))[0], word)) == count


def test_a_number_of_two_series_names_neither(tmp_path: Path) -> None:
    for series in (1, 2):
        write_series(
            tmp_path, some_stored()[:, :, :2], series=series, change=lambda one, _: setattr(one, "SeriesNumber", 5)
        )
    slices = read_slices(str(tmp_path))[0]
    assert choose_series(slices, "5") == []
    # So the list names them by their identifiers.
    assert list_words(list_series(slices)) == f"{UID}2.1 (CT, 2 images); {UID}2.2 (CT, 2 images)"
    assert len(choose_series(slices, f"{UID}2.2")) == 2


def test_a_path_names_a_series_of_a_folder(tmp_path: Path) -> None:
    folder = two_series(tmp_path)
    for word, depth in (("3", 14), ("series 1", 3)):
        path = folder / f"series={word}"
        assert read_header(path).shape == read_volume(str(path)).voxels.shape == (18, 16, depth)
    with pytest.raises(InputError, match="no single series '7' among 2 DICOM series") as raised:
        read_volume(str(folder / "series=7"))
    assert raised.value.kind == "several-series"
    assert scan_name(folder / "series=3") == "study_series3"


def test_files_that_are_called_so_are_files(tmp_path: Path) -> None:
    file = tmp_path / "series=3.nii.gz"
    file.touch()
    assert split_series(file) == (str(file), "")
    assert scan_name(file) == "series=3"
    assert split_series(tmp_path / "absent" / "series=3") == (str(tmp_path / "absent" / "series=3"), "")
