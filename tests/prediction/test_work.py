"""What there is to do, and what is known without the network."""

import json
import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.data.errors import InputError
from pipeline.prediction import work as module
from pipeline.prediction.inputs import ScanInput
from pipeline.prediction.outputs import Wanted
from pipeline.prediction.records import Records
from pipeline.prediction.request import Request
from pipeline.prediction.result import Job
from pipeline.prediction.work import Work, find_known, find_work, known_result

SHAPE = (5, 4, 3)
SETTINGS = {"weights": ["abc"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the scans a, b and c."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        save(tmp_path / "in" / f"{name}.nii.gz")
    return tmp_path / "in"


def save(file: Path, shape: tuple[int, ...] = SHAPE) -> None:
    nib.Nifti1Image(np.zeros(shape, np.float32), np.diag([1.0, 2, 3, 1])).to_filename(file)


def request(folder: Path, *inputs: str | Path, **options: Any) -> Request:
    options.setdefault("output", folder.with_name("out"))
    return Request(Path("bundle"), inputs or (folder,), **options)


def finish(asked: Request, name: str, files: tuple[str, ...], uncertainty: float | None = None) -> None:
    """Do what a run does for a scan."""
    records, outputs = Records(asked.output, SETTINGS), asked.outputs_for(name)
    records.begin(name, files, outputs)
    for file in outputs.files:
        file.write_bytes(b"made")
    records.finish(name, outputs, {"status": "done", "uncertainty": uncertainty})


def known(asked: Request, *, kept: bool = True) -> Work:
    records = Records(asked.output, SETTINGS) if kept else None
    return find_known(find_work(asked, channels=1), asked, records)


def statuses(found: Work) -> dict[str, str]:
    return {result.name: result.status for result in found.results}


# --- finding the scans ------------------------------------------------------------------------------------------------


def test_all_scans_are_found_and_none_is_known_yet(folder: Path) -> None:
    found = find_work(request(folder), channels=1)
    assert [scan.name for scan in found.scans] == ["a", "b", "c"]
    assert (found.results, found.headers, found.left) == ((), (), 3)
    assert folder.with_name("out").is_dir()


@pytest.mark.parametrize(
    ("output", "noted"), [("in", [1, 0, 0]), ("in/../in", [1, 0, 0]), ("out", [0, 0, 0]), ("in/a", [0, 0, 0])]
)
def test_label_maps_among_the_scans_are_noted_once(folder: Path, output: str, noted: list[int]) -> None:
    found = find_work(request(folder, output=folder.parent / output), channels=1)
    assert [sum("among the scans" in note for note in scan.notes) for scan in found.scans] == noted


def test_channels_are_files_of_one_scan(folder: Path) -> None:
    for name in ("p_0000", "p_0001"):
        save(folder / f"{name}.nii.gz")
    asked = request(folder, folder / "p_0000.nii.gz", folder / "p_0001.nii.gz")
    assert [scan.name for scan in find_work(asked, channels=2).scans] == ["p"]
    assert len(find_work(asked, channels=1).scans) == 2


def test_an_output_that_cannot_be_written_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="a scan to segment"):
        find_work(request(folder, folder / "a.nii.gz", output=folder / "a.nii.gz"), channels=1)
    with pytest.raises(InputError, match="one file for 3 scans"):
        find_work(request(folder, output=folder.with_name("x.nii.gz")), channels=1)
    with pytest.raises(InputError, match="no scan to segment"):
        find_work(Request(Path("bundle"), [], folder.with_name("out")), channels=1)
    assert sorted(file.name for file in folder.iterdir()) == ["a.nii.gz", "b.nii.gz", "c.nii.gz"]


# --- results without the network --------------------------------------------------------------------------------------


def test_finished_scans_are_known_and_the_headers_of_others_are_read(folder: Path) -> None:
    asked = request(folder)
    finish(asked, "b", (str(folder / "b.nii.gz"),))
    found = known(asked)
    assert statuses(found) == {"b": "skipped"}
    assert found.left == 2
    assert found.results[0].outputs == (str(folder.with_name("out") / "b_seg.nii.gz"),)
    assert [(header.spatial_shape, header.spacing) for header in found.headers] == [(SHAPE, (1, 2, 3))] * 2
    for name in "ac":
        finish(asked, name, (str(folder / f"{name}.nii.gz"),))
    found = known(asked)
    assert (found.left, found.headers) == (0, ())
    assert [result.name for result in found.results] == ["a", "b", "c"]


def test_scans_that_cannot_be_read_have_failed(folder: Path) -> None:
    (folder / "a.nii.gz").write_bytes(b"no image")
    (folder / "b.nii.gz").unlink()
    asked = request(folder, *(folder / f"{name}.nii.gz" for name in "abc"))
    found = known(asked)
    # The name of a missing file is the whole one.
    assert statuses(found) == {"a": "failed", "b.nii.gz": "failed"}
    assert str(folder / "a.nii.gz") in str(found.results[0].error)
    assert "no such file" in str(found.results[1].error)
    assert all(result.traceback is None for result in found.results)
    assert (found.left, len(found.headers)) == (1, 1)


def test_a_scan_whose_file_vanishes_meanwhile_has_failed(folder: Path) -> None:
    asked = request(folder)
    work = find_work(asked, channels=1)
    (folder / "a.nii.gz").unlink()
    found = find_known(work, asked, None)
    assert statuses(found) == {"a": "failed"}
    assert found.left == 2


def test_files_of_unknown_origin_are_refused(folder: Path) -> None:
    asked = request(folder)
    asked.output.mkdir()
    (asked.output / "a_seg.nii.gz").write_bytes(b"mine")
    found = known(asked)
    assert statuses(found) == {"a": "failed"}
    assert "an existing file without a record" in str(found.results[0].error)
    # With --overwrite they are replaced.
    assert known(request(folder, overwrite=True)).left == 3


def test_only_some_headers_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_HEADERS", 2)
    # That the third one is damaged shows when it is read.
    (folder / "c.nii.gz").write_bytes(b"no image")
    found = known(request(folder))
    assert (len(found.headers), found.left) == (2, 3)


def test_a_series_is_not_opened_for_its_header(folder: Path) -> None:
    series = folder.with_name("series")
    series.mkdir()
    (series / "IM1.dcm").write_bytes(bytes(128) + b"DICM")
    work = Work((ScanInput("series", (str(series),)),))
    found = find_known(work, request(folder), None)
    assert (found.results, found.headers, found.left) == ((), (), 1)


# --- the result of one scan -------------------------------------------------------------------------------------------


def job(asked: Request, folder: Path, problem: InputError | None = None) -> Job:
    return Job(ScanInput("a", (str(folder / "a.nii.gz"),), problem), asked.outputs_for("a"), asked.wanted)


def test_a_problem_of_its_names_comes_before_all(folder: Path) -> None:
    problem = InputError(folder / "a.nii.gz", found="a gap", expected="none", remedy="fill it")
    for overwrite in (False, True):
        result = known_result(job(request(folder), folder, problem), None, overwrite=overwrite)
        assert result is not None
        assert (result.status, result.error) == ("failed", str(problem))


@pytest.mark.parametrize(
    ("asked_for", "kept", "expected"), [(True, 0.25, 0.25), (True, None, math.nan), (False, 0.25, None)]
)
def test_the_uncertainty_is_that_of_the_record(
    asked_for: bool, kept: float | None, expected: float | None, folder: Path
) -> None:
    asked = request(folder, wanted=Wanted(uncertainty=asked_for))
    finish(asked, "a", (str(folder / "a.nii.gz"),), kept)
    result = known_result(job(asked, folder), Records(asked.output, SETTINGS), overwrite=False)
    assert result is not None
    assert result.status == "skipped"
    assert result.uncertainty == expected or (math.isnan(expected or 0) and math.isnan(result.uncertainty or 0))


def test_overwriting_repeats_what_is_finished(folder: Path) -> None:
    asked = request(folder)
    finish(asked, "a", (str(folder / "a.nii.gz"),))
    records = Records(asked.output, SETTINGS)
    assert known_result(job(asked, folder), records, overwrite=True) is None
    assert known_result(job(asked, folder), records, overwrite=False) is not None


def test_a_single_file_has_no_record(folder: Path) -> None:
    asked = request(folder, folder / "a.nii.gz", output=folder.with_name("x.nii.gz"))
    assert known_result(job(asked, folder), None, overwrite=False) is None
    asked.output.write_bytes(b"mine")
    result = known_result(job(asked, folder), None, overwrite=False)
    assert result is not None
    assert result.status == "failed"
    assert "--overwrite" in str(result.error)


def test_a_scan_that_is_no_series_cannot_become_a_dicom_segmentation(folder: Path) -> None:
    pytest.importorskip("pydicom")
    asked = request(folder, wanted=Wanted(format="dicom-seg"))
    result = known_result(job(asked, folder), None, overwrite=True)
    assert result is not None
    assert "DICOM series" in str(result.error)


# --- runtime of earlier calls -----------------------------------------------------------------------------------------


def test_records_without_runtime_match_those_of_any(folder: Path) -> None:
    asked = request(folder)
    asked.output.mkdir()
    assert Records(asked.output, SETTINGS).find_choice() == {}
    made = {"precision": "bfloat16", "runtime": "openvino"}
    records, outputs = Records(asked.output, {**SETTINGS, **made}), asked.outputs_for("a")
    files = (str(folder / "a.nii.gz"),)
    records.begin("a", files, outputs)
    assert Records(asked.output, SETTINGS).find_choice() == {}
    outputs.label_map.write_bytes(b"made")
    records.finish("a", outputs, {"status": "done"})
    assert Records(asked.output, SETTINGS).find_choice() == made
    assert statuses(known(asked)) == {"a": "skipped"}
    # Of other weights nothing is known, and a runtime that is named has to be the same.
    assert Records(asked.output, {"weights": ["def"]}).find_choice() == {}
    named = Records(asked.output, {**SETTINGS, "runtime": "pytorch"})
    assert named.find_choice() == {}
    with pytest.raises(InputError, match=r"runtime openvino \(now pytorch\)"):
        named.finished("a", files, outputs)
    file = asked.output / ".predicted" / "a.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"settings": SETTINGS}))
    assert Records(asked.output, SETTINGS).find_choice() == {}
