"""What a second start makes of what the first one left."""

import json
import os
from pathlib import Path

import pytest

from pipeline.data.errors import InputError
from pipeline.prediction.outputs import Outputs, Wanted
from pipeline.prediction.records import Records, refuse_existing, stamps

SETTINGS = {"bundle": "b", "weights": ["abc"], "fast": False}
PLAIN, ALL = Wanted(), Wanted(probabilities=True, statistics=True)


@pytest.fixture
def scan(tmp_path: Path) -> str:
    file = tmp_path / "in" / "a.nii.gz"
    file.parent.mkdir()
    file.write_bytes(b"voxels")
    return str(file)


def records(tmp_path: Path, **changed: object) -> Records:
    return Records(tmp_path / "out", SETTINGS | changed)


def outputs(tmp_path: Path, wanted: Wanted = PLAIN) -> Outputs:
    return Outputs.of("a", tmp_path / "out", wanted)


def write(tmp_path: Path, scan: str, wanted: Wanted = PLAIN, **changed: object) -> None:
    """Do what a run does for a scan."""
    kept, files = records(tmp_path, **changed), outputs(tmp_path, wanted)
    kept.begin("a", [scan], files)
    for file in files.files:
        file.write_bytes(b"made")
    kept.finish("a", files, {"name": "a", "status": "done", "uncertainty": 0.5})


def finished(tmp_path: Path, scan: str, wanted: Wanted = PLAIN, **changed: object) -> dict | None:
    return records(tmp_path, **changed).finished("a", [scan], outputs(tmp_path, wanted))


def test_nothing_is_known_at_first(tmp_path: Path, scan: str) -> None:
    assert not Records.exist_in(tmp_path / "out")
    assert finished(tmp_path, scan) is None
    # A start that fails before it has written anything leaves nothing.
    assert not (tmp_path / "out").exists()
    Records(tmp_path / "out", {}).claim()
    assert Records.exist_in(tmp_path / "out")


@pytest.mark.parametrize("wanted", [PLAIN, ALL])
def test_what_is_finished_is_known(wanted: Wanted, tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, wanted)
    record = finished(tmp_path, scan, wanted)
    assert record is not None
    assert record["uncertainty"] == 0.5
    # What is not asked for any more is no matter.
    assert finished(tmp_path, scan) is not None


def test_a_changed_scan_is_done_again(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    Path(scan).write_bytes(b"other voxels")
    assert finished(tmp_path, scan) is None


def test_a_scan_of_the_same_size_that_was_touched_is_done_again(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    os.utime(scan, ns=(1, 1))
    assert finished(tmp_path, scan) is None


def test_a_missing_output_is_made_again(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, ALL)
    outputs(tmp_path, ALL).files[0].unlink()
    assert finished(tmp_path, scan, ALL) is None
    assert finished(tmp_path, scan) is not None


def test_more_outputs_than_before_are_made(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    assert finished(tmp_path, scan, ALL) is None
    write(tmp_path, scan, ALL)
    assert finished(tmp_path, scan, ALL) is not None


def test_outputs_of_two_starts_are_known_together(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, Wanted(probabilities=True))
    write(tmp_path, scan, Wanted(statistics=True))
    assert finished(tmp_path, scan, ALL) is not None


def test_other_settings_are_refused_by_name(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    with pytest.raises(InputError, match=r"made with weights abc \(now def\), fast False \(now True\)") as raised:
        finished(tmp_path, scan, weights=["def"], fast=True)
    assert "--overwrite" in raised.value.remedy
    assert raised.value.where == outputs(tmp_path).label_map


def test_a_file_of_other_settings_does_not_count_after_an_overwrite(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, ALL)
    write(tmp_path, scan, PLAIN, fast=True)
    assert finished(tmp_path, scan, PLAIN, fast=True) is not None
    # The probabilities are there, but those of the settings before; and they are ours, so they may be replaced.
    assert finished(tmp_path, scan, ALL, fast=True) is None


@pytest.mark.parametrize("stranger", ["a_seg.nii.gz", "a_prob.nii.gz", "a_statistics.json"])
@pytest.mark.parametrize("known", [False, True])
def test_a_file_of_unknown_origin_is_refused(stranger: str, known: bool, tmp_path: Path, scan: str) -> None:
    if known:
        write(tmp_path, scan, Wanted(format="nrrd"))
    file = tmp_path / "out" / stranger
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"mine")
    with pytest.raises(InputError, match="without a record") as raised:
        finished(tmp_path, scan, ALL)
    assert raised.value.where == file


def test_what_a_killed_process_left_is_replaced(tmp_path: Path, scan: str) -> None:
    kept, files = records(tmp_path), outputs(tmp_path, ALL)
    kept.begin("a", [scan], files)
    for file in files.files:
        file.write_bytes(b"made, or half of it")
    assert kept.finished("a", [scan], files) is None
    assert finished(tmp_path, scan) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"settings": {}}', '{"outputs": 3, "written": []}'])
def test_a_damaged_record_is_none(text: str, tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    (tmp_path / "out" / ".predicted" / "a.json").write_text(text)
    with pytest.raises(InputError, match="without a record"):
        finished(tmp_path, scan)


def test_settings_are_compared_as_json_has_them(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, weights=("abc",))
    assert finished(tmp_path, scan) is not None


def test_a_record_is_json(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    record = json.loads((tmp_path / "out" / ".predicted" / "a.json").read_text())
    assert record["outputs"] == ["a_seg.nii.gz"]
    assert record["settings"] == SETTINGS


def test_stamps_see_every_part_of_a_scan(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_text("ElementDataFile = a.raw\n")
    (tmp_path / "a.raw").write_bytes(b"voxels")
    before = stamps([str(tmp_path / "a.mhd")])
    (tmp_path / "a.raw").write_bytes(b"other voxels")
    assert stamps([str(tmp_path / "a.mhd")]) != before


def test_stamps_of_a_series_are_those_of_its_slices(tmp_path: Path) -> None:
    series = tmp_path / "ct"
    series.mkdir()
    (series / "IM1").write_bytes(b"1")
    before = stamps([str(series)])
    (series / ".DS_Store").write_bytes(b"hidden")
    assert stamps([str(series)]) == before
    (series / "IM2").write_bytes(b"")
    os.utime(series / "IM2", ns=(1, 1))
    assert stamps([str(series)]) != before


def test_refuse_existing_takes_what_is_not_there(tmp_path: Path) -> None:
    refuse_existing([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "a").touch()
    with pytest.raises(InputError) as raised:
        refuse_existing([tmp_path / "a", tmp_path / "b"])
    assert raised.value.where == tmp_path / "a"


def test_another_scan_of_the_name_is_refused(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    other = tmp_path / "other" / "a.nii.gz"
    other.parent.mkdir()
    other.write_bytes(b"another patient")
    with pytest.raises(InputError, match="label map of another scan of this name") as raised:
        finished(tmp_path, str(other))
    assert scan in str(raised.value)


def test_a_scan_that_was_moved_is_known_again(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    moved = tmp_path / "moved" / "a.nii.gz"
    moved.parent.mkdir()
    Path(scan).rename(moved)
    assert finished(tmp_path, str(moved)) is not None


def test_a_label_map_that_was_edited_is_refused(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan)
    outputs(tmp_path).label_map.write_bytes(b"mended by hand")
    with pytest.raises(InputError, match="changed after it was made"):
        finished(tmp_path, scan)


def test_what_belongs_to_a_label_map_of_before_goes_with_it(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, ALL)
    mine = tmp_path / "out" / "a_preview.png"
    mine.write_bytes(b"of somebody else")
    write(tmp_path, scan, PLAIN, fast=True)
    assert sorted(path.name for path in (tmp_path / "out").glob("a_*")) == ["a_preview.png", "a_seg.nii.gz"]


def test_the_files_of_all_scans_that_are_done(tmp_path: Path, scan: str) -> None:
    write(tmp_path, scan, ALL)
    kept = records(tmp_path)
    assert kept.finished_files("_statistics.json") == {"a": tmp_path / "out" / "a_statistics.json"}
    assert kept.finished_files("_preview.png") == {}
    assert records(tmp_path, fast=True).finished_files("_statistics.json") == {}


@pytest.mark.parametrize(
    ("there", "words"),
    [("a.hdr", "a header without its voxels: no a.img"), ("a.img", "voxels without their header: no a.hdr")],
)
def test_a_missing_half_of_a_pair_is_named(tmp_path: Path, there: str, words: str) -> None:
    (tmp_path / there).write_bytes(b"half")
    with pytest.raises(InputError, match=words):
        stamps([str(tmp_path / there)])


@pytest.mark.parametrize("target", ["nowhere", "a.nii.gz"])
def test_a_link_that_leads_nowhere_is_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "a.nii.gz").symlink_to(target)
    with pytest.raises(InputError, match=r"a\.nii\.gz: found a link to a file that is not there"):
        stamps([str(tmp_path / "a.nii.gz")])
