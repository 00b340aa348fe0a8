"""Files that somebody has removed meanwhile are not reported as done."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pipeline.prediction import verify
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.result import Result, as_record
from pipeline.prediction.verify import file_sizes, verify_records, verify_results


def result(folder: Path, name: str, *files: str, status: str = "done") -> Result:
    paths = tuple(str(folder / file) for file in files)
    for path in paths:
        Path(path).write_bytes(b"1234")
    return Result(name, (f"{name}.nii",), status, paths, sizes=file_sizes(paths))


def test_what_is_gone_or_was_cut_has_failed(tmp_path: Path) -> None:
    whole, gone, cut, skipped = (result(tmp_path, name, f"{name}_p", f"{name}_seg") for name in "abcd")
    (tmp_path / "b_seg").unlink()
    (tmp_path / "c_p").write_bytes(b"12")
    earlier = replace(skipped, status="skipped", sizes=())
    failed = Result("e", ("e.nii",), "failed", error="x")
    checked = verify_results([whole, gone, cut, earlier, failed])
    assert [one.status for one in checked] == ["done", "failed", "failed", "skipped", "failed"]
    assert checked[0] is whole
    assert f"{tmp_path / 'b_seg'}: found no such file" in str(checked[1].error)
    assert checked[1].outputs == (str(tmp_path / "b_p"),)
    assert f"{tmp_path / 'c_p'}: found a file of another size" in str(checked[2].error)
    (tmp_path / "d_seg").unlink()
    assert verify_results([earlier])[0].status == "failed"


def test_files_on_a_disk_without_its_server_were_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = result(tmp_path, "a", "a_seg")
    (tmp_path / "a_seg").unlink()
    monkeypatch.setattr(verify, "is_unreachable", lambda folder: folder == tmp_path)
    assert verify_results([written]) == [written]


def test_the_sizes_are_not_in_the_report(tmp_path: Path) -> None:
    assert "sizes" not in as_record(result(tmp_path, "a", "a_seg"))


def test_shards_may_have_been_moved_to_another_folder(tmp_path: Path) -> None:
    records = [as_record(result(tmp_path, name, f"{name}_seg")) for name in "ab"]
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "a_seg").rename(moved / "a_seg")
    checked = verify_records(records, moved)
    assert [one["status"] for one in checked] == ["done", "failed"]
    assert checked[0] == records[0]
    assert checked[1]["outputs"] == []
    assert "b_seg: found no such file" in checked[1]["error"]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["folder", "file", "nothing"])
def test_a_folder_that_is_removed_midway_is_noticed(what: str, tiny_bundle: Path, tmp_path: Path) -> None:
    for name in "ab":
        voxels = np.random.default_rng(0).normal(size=(18, 17, 16)).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / f"{name}.nii.gz")
    output, told = tmp_path / "out", []

    def remove(one: Result) -> None:
        told.append((one.name, one.status))
        if len(told) == 1 and what == "folder":
            shutil.rmtree(output)
        elif len(told) == 1 and what == "file":
            (output / "a_seg.nii.gz").unlink()

    inputs = [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"]
    request = Request(tiny_bundle, inputs, output, device="cpu", runtime="pytorch", progress=False, threads=1)
    summary = predict_files(request, on_result=remove)
    report = json.loads((output / "report.json").read_text())
    there = [scan["name"] for scan in report["scans"] if scan["status"] == "done"]
    assert there == sorted(file.name[0] for file in output.glob("*_seg.nii.gz"))
    assert (summary.status == 0) == (what == "nothing")
    assert ("a", "failed") in told or what == "nothing"
    # The next start makes what is missing.
    assert predict_files(request).status == 0
