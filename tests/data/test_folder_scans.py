"""What counts as a scan in a folder: DICOM files by their first bytes, and what prediction wrote beside a scan not."""

from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.folder_scans import group_channels, is_series, scans_in_folder, scans_of_folder

DICOM = bytes(128) + b"DICM"


def put(folder: Path, *names: str) -> None:
    """Make files; those without an ending begin like DICOM files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"" if Path(name).suffix else DICOM)


@pytest.mark.parametrize(
    ("names", "scans"),
    [
        (["IM1", "IM2"], ["."]),
        (["IM1", "preview.png"], ["."]),
        (["DICOMDIR", "SE1/IM1", "SE1/IM2", "SE2/IM1", "notes/a.txt"], ["SE1", "SE2"]),
        (["DICOMDIR", "ST1/SE1/IM1", "ST1/SE2/IM1", "ST2/SE1/IM1"], ["ST1/SE1", "ST1/SE2", "ST2/SE1"]),
        (["SE1/IM1", "more/deep/IM1"], ["SE1"]),
        (["SE1/a.DCM", "SE1/notes.txt"], ["SE1"]),
        (["IM1", "a.nii.gz"], ["a.nii.gz"]),
        (["SE1/IM1", "a.png"], ["a.png"]),
    ],
    ids=str,
)
def test_dicom_is_known_by_its_first_bytes(tmp_path: Path, names: list[str], scans: list[str]) -> None:
    put(tmp_path, *names)
    assert scans_of_folder(tmp_path, channels=1) == [{"image": str(tmp_path / name)} for name in scans]


@pytest.mark.parametrize(
    "names",
    [["DICOMDIR"], [".hidden/IM1", "a.txt"], ["one/two/three/IM1"], ["SE1/.IM1"]],
    ids=str,
)
def test_what_is_no_series_is_no_scan(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path, *names)
    with pytest.raises(InputError, match="found no scan"):
        scans_of_folder(tmp_path, channels=1)


ENDINGS = [
    "_seg.nii.gz",
    "_prob.nii.gz",
    "_entropy.nii.gz",
    ".seg.nrrd",
    "_seg.nrrd",
    "_seg.dcm",
    "_preview.png",
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("scan", ["a.nii.gz", "a.nrrd", "a.png", "a/IM1", "a_0000.nii.gz a_0001.nii.gz"])
def test_what_prediction_wrote_is_no_scan(tmp_path: Path, scan: str, ending: str) -> None:
    put(tmp_path, *scan.split(), f"a{ending}")
    if ending == "_seg.dcm":
        (tmp_path / f"a{ending}").write_bytes(DICOM)
    channels = len(scan.split())
    found = scans_in_folder(tmp_path, channels=channels)
    expected = ["a"] if scan == "a/IM1" else scan.split()
    assert [one.files for one in found] == [tuple(str(tmp_path / name) for name in expected)]


@pytest.mark.parametrize("ending", [".seg.nrrd", "_seg.nrrd"])
def test_a_file_of_such_a_name_alone_is_a_scan(tmp_path: Path, ending: str) -> None:
    put(tmp_path, f"a{ending}")
    assert len(scans_in_folder(tmp_path, channels=1)) == 1


def test_a_segmentation_in_dicom_makes_no_series_of_its_folder(tmp_path: Path) -> None:
    put(tmp_path, "a/IM1")
    assert not is_series(tmp_path)
    (tmp_path / "a_seg.dcm").write_bytes(DICOM)
    assert not is_series(tmp_path)
    (tmp_path / "b_seg.dcm").write_bytes(DICOM)
    assert is_series(tmp_path)


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (["b_0001.nii", "a_0000.nii", "b_0000.nii", "a_0001.nii"], [["b_0000", "b_0001"], ["a_0000", "a_0001"]]),
        (["a_0001.nii"], "0001"),
        (["a_0000.nii", "a_0001.nii", "a_0002.nii"], "0000, 0001, 0002"),
        (["a_0000.nii", "a_0000.nrrd", "a_0001.nii"], "0000, 0000, 0001"),
    ],
    ids=str,
)
def test_channels_of_a_scan_come_together_or_are_told(names: list[str], groups: list[list[str]] | str) -> None:
    found = group_channels([Path("/in") / name for name in names], channels=2)
    if isinstance(groups, str):
        (scan,) = found
        assert scan.problem is not None
        assert scan.problem.found == f"files for the channels {groups}"
        assert {Path(file).name for file in scan.files} == set(names)
    else:
        assert [[Path(file).stem for file in scan.files] for scan in found] == groups
        assert not any(scan.problem for scan in found)
