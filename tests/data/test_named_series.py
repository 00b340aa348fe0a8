"""The series that `predict --series` names."""

from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.folder_scans import FoundScan
from pipeline.data.named_series import choose_named_series
from pipeline.prediction.inputs import read_inputs

from .odd.dicom import UID, some_stored, two_series, write_series


def test_of_a_study_one_series_is_taken(tmp_path: Path) -> None:
    folder = two_series(tmp_path)
    for word in ("3", "series 3", f"{UID}2.3"):
        (scan,) = read_inputs([folder], channels=1, series=word)
        assert (scan.name, scan.files) == ("study_series3", (f"{folder}/series=3",))


def test_of_a_folder_per_series_the_others_are_left_out(tmp_path: Path) -> None:
    for series in (1, 2, 3):
        write_series(tmp_path / f"s{series}", some_stored()[:, :, :3], series=series)
    (scan,) = read_inputs([tmp_path], channels=1, series="2")
    assert scan.files == (str(tmp_path / "s2"),)


def test_equal_numbers_are_told_apart_by_the_identifier(tmp_path: Path) -> None:
    for series in (1, 2):
        write_series(
            tmp_path / "study",
            some_stored()[:, :, :2],
            series=series,
            change=lambda one, _: setattr(one, "SeriesNumber", 5),
        )
    (scan,) = choose_named_series([FoundScan((str(tmp_path / "study"),))], "series 2")
    assert scan.files == (f"{tmp_path}/study/series={UID}2.2",)


def test_a_word_that_names_none_lists_all(tmp_path: Path) -> None:
    folder = two_series(tmp_path)
    with pytest.raises(InputError, match=r"no single series '9' among 2: 1 \"series 1\" .*; 3 \"series 3\" ") as raised:
        read_inputs([folder], channels=1, series="9")
    assert raised.value.where == "--series"
    (tmp_path / "a.nii.gz").touch()
    with pytest.raises(InputError, match="no single series '9'; expected"):
        read_inputs([tmp_path / "a.nii.gz"], channels=1, series="9")
