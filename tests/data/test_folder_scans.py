"""What counts as a scan in a folder: DICOM files by their first bytes, and what prediction wrote beside a scan not."""

import json
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.data.folder_scans import find_folder_scans, group_channels, is_series, list_folder_scans

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
        (["SE1/IM1", "more/deep/IM1"], ["SE1", "more/deep"]),
        (["pA/1.dcm", "pB/study1/1.dcm", "pB/study2/1.dcm"], ["pA", "pB/study1", "pB/study2"]),
        (["SE1/a.DCM", "SE1/notes.txt"], ["SE1"]),
        (["IM1", "a.nii.gz"], ["a.nii.gz"]),
        (["SE1/IM1", "ST/SE2/IM1", "note.png"], ["SE1", "ST/SE2"]),
        (["notes/a.txt", "a.png"], ["a.png"]),
    ],
    ids=str,
)
def test_dicom_is_known_by_its_first_bytes(tmp_path: Path, names: list[str], scans: list[str]) -> None:
    put(tmp_path, *names)
    assert list_folder_scans(tmp_path, channels=1) == [{"image": str(tmp_path / name)} for name in scans]


@pytest.mark.parametrize(
    "names",
    [["DICOMDIR"], [".hidden/IM1", "a.txt"], ["one/two/three/IM1"], ["SE1/.IM1"]],
    ids=str,
)
def test_what_is_no_series_is_no_scan(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path, *names)
    with pytest.raises(InputError, match="found no scan"):
        list_folder_scans(tmp_path, channels=1)


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
    found = find_folder_scans(tmp_path, channels=channels)
    expected = ["a"] if scan == "a/IM1" else scan.split()
    assert [one.files for one in found] == [tuple(str(tmp_path / name) for name in expected)]


# What scans there are in the folder `in`, and what a prediction of them into it is called after.
NAMES = [
    ("p1/CT/IM1 p2/CT/IM1", "p1_CT p2_CT"),
    ("p1/CT/1.dcm p1/MR/1.dcm", "CT MR"),
    ("CT/IM1", "in_CT"),
    ("IM1 IM2", "in"),
    ("IM1 IM2", "IM1"),
    ("a.nrrd", "in_a"),
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("files", "names"), NAMES)
def test_a_second_run_finds_the_scans_of_the_first(tmp_path: Path, files: str, names: str, ending: str) -> None:
    folder = tmp_path / "in"
    put(folder, *files.split())
    before = find_folder_scans(folder, channels=1)
    for name in names.split():
        (folder / f"{name}{ending}").write_bytes(DICOM if ending == "_seg.dcm" else b"")
    assert find_folder_scans(folder, channels=1) == before


def test_what_the_records_list_is_no_scan(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "elsewhere_seg.nii.gz", "b_seg.nii.gz", "c_seg.nii.gz")
    (tmp_path / "d_seg.dcm").write_bytes(DICOM)
    records = tmp_path / ".predicted"
    records.mkdir()
    (records / "elsewhere.json").write_text(json.dumps({"outputs": [], "written": ["elsewhere_seg.nii.gz"]}))
    (records / "d.json").write_text(json.dumps({"written": ["d_seg.dcm", 5, None, ["x"]]}))
    for number, broken in enumerate(
        ['{"written": ["b_seg.nii.gz"', '{"written": "b_seg.nii.gz"}', "[1]", "[" * 100_000]
    ):
        (records / f"broken{number}.json").write_text(broken)
    (records / "bytes.json").write_bytes(b"\xff\xfe\x00")
    assert [Path(scan.files[0]).name for scan in find_folder_scans(tmp_path, channels=1)] == [
        *("b_seg.nii.gz", "c_seg.nii.gz"),
    ]
    for name in "bc":
        (tmp_path / f"{name}_seg.nii.gz").unlink()
    assert [Path(scan.files[0]).name for scan in find_folder_scans(tmp_path, channels=1)] == ["a.png"]


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ("c.nii.gz d.nrrd e.mha p/IM1", "d.nrrd and 2 more were left out"),
        ("c.nii.gz p/IM1", "p (a DICOM series) was left out"),
        ("c.nii.gz IM1 IM2", " (a DICOM series) was left out"),
        ("IM1 SE2/IM1 preview.png", "SE2 (a DICOM series) and 1 more were left out"),
        ("p/IM1 p/deeper/IM1 q/IM1", "p/deeper (a DICOM series) was left out"),
        ("p/IM1 note.png", "note.png was left out"),
        ("c.nii.gz d.nii.gz notes.txt c_preview.png more/d.nii.gz", None),
        ("p/IM1 q/x/IM1", None),
    ],
)
def test_what_is_left_out_is_told(
    tmp_path: Path, names: str, note: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, *names.split())
    first, *more = find_folder_scans(tmp_path, channels=1)
    assert not any(scan.notes for scan in more)
    list_folder_scans(tmp_path, channels=1)
    if note is None:
        assert first.notes == ()
        assert caplog.text == ""
    else:
        assert len(first.notes) == 1
        assert first.notes[0].startswith(f"{tmp_path}{note}" if note[0] == " " else f"{tmp_path / note}")
        assert first.notes[0] in caplog.text


@pytest.mark.parametrize("ending", [".seg.nrrd", "_seg.nrrd"])
def test_a_file_of_such_a_name_alone_is_a_scan(tmp_path: Path, ending: str) -> None:
    put(tmp_path, f"a{ending}")
    assert len(find_folder_scans(tmp_path, channels=1)) == 1


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


ANNEX = "../.git/annex/objects/Zj/0g/MD5E-s1--0.nii.gz/MD5E-s1--0.nii.gz"


@pytest.mark.parametrize("name", ["b.nii.gz", "b.nrrd", "b.png", "b.hdr"])
def test_a_link_to_a_scan_that_is_not_there_is_a_scan(tmp_path: Path, name: str) -> None:
    """DataLad and git-annex leave such links where content was not fetched."""
    (tmp_path / f"a{Path(name).suffixes[0] if name != 'b.nii.gz' else '.nii.gz'}").write_bytes(b"scan")
    (tmp_path / name).symlink_to(ANNEX)
    assert [Path(scan.files[0]).name for scan in find_folder_scans(tmp_path, channels=1)][1] == name


def test_a_series_of_links_that_are_not_there_is_a_series(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            (tmp_path / folder / f"{number}.dcm").symlink_to(ANNEX)
    assert [Path(scan.files[0]).name for scan in find_folder_scans(tmp_path, channels=1)] == ["a", "b"]


def test_a_channel_that_is_not_there_is_one_of_its_scan(tmp_path: Path) -> None:
    (tmp_path / "a_0000.nii.gz").write_bytes(b"scan")
    (tmp_path / "a_0001.nii.gz").symlink_to(ANNEX)
    (scan,) = find_folder_scans(tmp_path, channels=2)
    assert len(scan.files) == 2
    assert scan.problem is None


def test_files_of_regions_are_no_scans(tmp_path: Path) -> None:
    put(tmp_path, "a.nii.gz", "a_inner_core_region.nii.gz", "a_regions.nii.gz", "a_core_region.seg.nrrd")
    put(tmp_path, "other_core_region.nii.gz", "a_region.nii.gz")
    found = [Path(item["image"]).name for item in list_folder_scans(tmp_path, channels=1)]
    # The last two have no scan's name, or no region's.
    assert found == ["a.nii.gz", "a_region.nii.gz", "other_core_region.nii.gz"]


def test_dicom_files_of_regions_are_no_slices(tmp_path: Path) -> None:
    put(tmp_path, "ct/1.dcm", "ct_seg.dcm", "ct_regions.dcm", "ct_core_region.dcm")
    assert [Path(item["image"]).name for item in list_folder_scans(tmp_path, channels=1)] == ["ct"]
