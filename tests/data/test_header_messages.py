"""Messages about scans, which reports keep, quote no header text that may be a patient's name or day."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data.check_frames import check_one_volume
from pipeline.data.errors import InputError
from pipeline.data.folder_scans import FoundScan
from pipeline.data.images.door import read_volume
from pipeline.data.named_series import choose_named_series

from .odd.dicom import some_stored, write_series

SECRET = "Doe^Jane"
NRRD = (
    "NRRD0005\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\nspace: left-posterior-superior\n"
    "space directions: (1,0,0) (0,1,0) (0,0,1)\n"
)


def two_named_series(folder: Path, series: int) -> None:
    write_series(
        folder,
        some_stored()[:, :, :2],
        series=series,
        change=lambda one, _: setattr(one, "SeriesDescription", f"{SECRET} {series}"),
    )


def mixed_slices(folder: Path, key: str, values: tuple[str, str]) -> None:
    write_series(folder, some_stored()[:, :, :2], change=lambda one, number: setattr(one, key, values[number]))


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("SequenceName", (f"{SECRET} 1", f"{SECRET} 2"), "differ in sequence name;"),
        ("SeriesDate", ("20200101", "20200102"), "differ in series date;"),
    ],
)
def test_texts_and_dates_of_slices_are_not_quoted(
    tmp_path: Path, key: str, values: tuple[str, str], words: str
) -> None:
    mixed_slices(tmp_path, key, values)
    with pytest.raises(InputError) as raised:
        read_volume(str(tmp_path))
    assert words in str(raised.value)
    assert not any(value in str(raised.value) for value in values)


@pytest.mark.parametrize(("ids", "found"), [("12", "4 slices of 2 stacks (1, 2);"), ("ab", "4 slices of 2 stacks;")])
def test_stacks_are_named_by_numbers_alone(ids: str, found: str) -> None:
    slices = [
        SimpleNamespace(origin=np.array([0, 0, float(k)]), groups=4, marks={"StackID": ids[k % 2]}) for k in range(4)
    ]
    with pytest.raises(InputError, match=re.escape(found)):
        check_one_volume("scan", slices)  # type: ignore[arg-type]


def test_series_are_described_only_on_request(tmp_path: Path) -> None:
    for series in (1, 2):
        two_named_series(tmp_path, series)
    with pytest.raises(InputError, match=r"2 DICOM series in one folder: 1 [(]CT, 2 images[)]; 2 [(]CT") as raised:
        read_volume(str(tmp_path))
    assert SECRET not in str(raised.value)
    assert "--series '?'" in raised.value.remedy
    with pytest.raises(InputError, match="no single series") as asked:
        choose_named_series([FoundScan((str(tmp_path),))], "?")
    assert f'1 "{SECRET} 1"' in str(asked.value)


@pytest.mark.parametrize(
    "line", [SECRET, f"Patient {SECRET}: 1", f'Patient "{SECRET}": 1', f"kinds: {SECRET} list list"]
)
def test_a_damaged_line_of_a_header_is_not_quoted(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(f"{NRRD}{line}\n\n".encode() + bytes(8))
    with pytest.raises(InputError) as raised:
        read_volume(str(tmp_path / "a.nrrd"))
    assert SECRET not in str(raised.value)
