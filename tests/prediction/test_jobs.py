"""Jobs from another program: a line each, answered one by one, whatever is wrong with one of them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from pipeline.cli import main
from pipeline.data.errors import InputError
from pipeline.prediction.command import Request, predict_files
from pipeline.prediction.jobs import read_job, run_jobs


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    voxels = np.random.default_rng(0).normal(size=(20, 18, 16)).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1.0, 1.0, 1.0])), tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def run(bundle: Path, *lines: Any, output: Path | None = None) -> tuple[int, list[Any]]:
    replies: list[Any] = []
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    request = Request(bundle, (), Path(), device="cpu", runtime="pytorch")
    return run_jobs(request, texts, replies.append, output=output), replies


def test_jobs_are_answered_in_order_and_a_wrong_line_stops_no_other(
    tiny_bundle: Path, scan: Path, tmp_path: Path
) -> None:
    status, (ready, first, text, missing, last) = run(
        tiny_bundle,
        {"scan": str(scan), "output": str(tmp_path / "a_seg.nii.gz"), "id": {"any": 1}},
        "scan.nii.gz",
        "  ",
        {"scan": str(tmp_path / "none.nii.gz"), "output": str(tmp_path / "out"), "id": 2},
        {"scan": [str(scan)], "output": str(tmp_path / "out")},
    )
    assert status == 1
    assert ready["status"] == "ready"
    assert ready["labels"] == {"core": 1, "rim": 2}
    assert (first["status"], first["id"]) == ("done", {"any": 1})
    assert (text["status"], text["line"]) == ("failed", 2)
    assert "not JSON" in text["error"]
    assert (missing["status"], missing["id"]) == ("failed", 2)
    assert "none.nii.gz: found no such file" in missing["error"]
    assert list(last["outputs"]) == [str(tmp_path / "out" / "scan_seg.nii.gz")]
    # The files are those of the verb.
    predict_files(Request(tiny_bundle, [scan], tmp_path / "verb", device="cpu", runtime="pytorch", progress=False))
    expected = (tmp_path / "verb" / "scan_seg.nii.gz").read_bytes()
    assert (tmp_path / "a_seg.nii.gz").read_bytes() == (tmp_path / "out" / "scan_seg.nii.gz").read_bytes() == expected


def test_files_are_replaced_on_request_only(tiny_bundle: Path, scan: Path, tmp_path: Path) -> None:
    target = tmp_path / "seg.nii.gz"
    target.write_bytes(b"of before")
    status, (_, refused) = run(tiny_bundle, {"scan": str(scan), "output": str(target)})
    assert (status, refused["status"]) == (2, "failed")
    assert refused["error"].endswith('name another path in "output", or add "overwrite": true.')
    assert "--overwrite" not in refused["error"]
    assert target.read_bytes() == b"of before"
    status, (_, done) = run(tiny_bundle, {"scan": str(scan), "output": str(target), "overwrite": True})
    assert (status, done["status"]) == (0, "done")
    assert nib.load(target).shape == (20, 18, 16)


def test_a_job_without_output_takes_the_folder_of_the_command_line(
    tiny_bundle: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, (_, done) = run(tiny_bundle, {"scan": str(scan)}, output=tmp_path / "all")
    assert status == 0
    assert list(done["outputs"]) == [str(tmp_path / "all" / "scan_seg.nii.gz")]
    _, (_, refused) = run(tiny_bundle, {"scan": str(scan)})
    assert "found no output" in refused["error"]
    # The working directory is an output like any other.
    monkeypatch.chdir(tmp_path / "all")
    (tmp_path / "all" / "scan_seg.nii.gz").unlink()
    status, (_, done) = run(tiny_bundle, {"scan": str(scan)}, output=Path())
    assert (status, list(done["outputs"])) == (0, [str(tmp_path / "all" / "scan_seg.nii.gz")])


def test_a_folder_of_scans_is_no_job(tiny_bundle: Path, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        (tmp_path / "two" / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    _, (_, refused) = run(tiny_bundle, {"scan": str(tmp_path / "two"), "output": str(tmp_path / "out")})
    assert "found 2 scans; expected one scan per job" in refused["error"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "found a list"),
        ('{"scan": 3, "output": "a"}', "found the scan 3"),
        ('{"scan": [], "output": "a"}', "found the scan []"),
        ('{"output": "a"}', "found no scan"),
        ('{"scan": "a", "output": 1}', "found the output 1"),
        ('{"scan": "a", "output": "b", "overwrite": "yes"}', "found overwrite 'yes'"),
        ('{"scan": "a", "ouput": "b"}', "did you mean output?"),
        ('{"scan": "a\\u0000b", "output": "c"}', "a path that this system can have"),
        ('{"scan": "a\\ud800b", "output": "c"}', "half a sign"),
        ('{"scan": "a", "output": "~nobody_of_that_name/c"}', "a path that this system can have"),
        ('{"scan": "a", "output": "c", "id": NaN}', "NaN, which is no finite number"),
        ('{"scan": "a", "output": "c", "id": 1e400}', "1e400, which is no finite number"),
        ("[" * 200_000, "not JSON"),
    ],
)
def test_what_is_wrong_with_a_line_is_named(line: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_job(line, None)
    assert said in str(raised.value)


def test_a_line_that_is_no_job_keeps_its_id(tiny_bundle: Path) -> None:
    lines = [{"id": 1, "bad": 3}, {"id": {"a": [2]}, "scan": 5}, {"id": None}, {"scan": 5}, [3], '{"id": 4, ', "5"]
    status, (_, *replies) = run(tiny_bundle, *lines)
    assert status == 2
    assert [reply["id"] for reply in replies] == [1, {"a": [2]}, None, None, None, None, None]
    assert [reply["line"] for reply in replies] == [1, 2, 3, 4, 5, 6, 7]
    assert {reply["status"] for reply in replies} == {"failed"}


def test_a_refused_job_names_its_keys_and_leaves_no_folder(tiny_bundle: Path, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        (tmp_path / "two" / f"{name}.nii.gz").write_bytes(scan.read_bytes())
    (tmp_path / "damaged.nii.gz").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    new = str(tmp_path / "new" / "deep")
    jobs = {
        "missing scan": {"scan": str(tmp_path / "none.nii.gz"), "output": new},
        "damaged scan": {"scan": str(tmp_path / "damaged.nii.gz"), "output": new},
        "damaged scan, one file": {"scan": str(tmp_path / "damaged.nii.gz"), "output": f"{new}/seg.nii.gz"},
        "several files of one channel": {"scan": [str(scan), str(scan)], "output": new},
        "a folder without scans": {"scan": str(tmp_path / "texts"), "output": new},
        "an empty folder": {"scan": str(tmp_path / "empty"), "output": new},
        "several scans": {"scan": str(tmp_path / "two"), "output": new},
        "a pattern": {"scan": str(tmp_path / "*.nii.gz"), "output": new},
        "the scan itself": {"scan": str(scan), "output": str(scan)},
        "another format": {"scan": str(scan), "output": f"{new}/seg.nrrd"},
        "a file": {"scan": str(scan), "output": str(tmp_path / "damaged.nii.gz" / "seg.nii.gz")},
        "a file as folder": {"scan": str(scan), "output": str(tmp_path / "list.txt")},
        "a name that is too long": {"scan": str(scan), "output": str(tmp_path / ("n" * 300 + ".nii.gz"))},
        "no permission": {"scan": str(scan), "output": "/proc/none/seg.nii.gz"},
    }
    (tmp_path / "texts").mkdir()
    for name in ("list.txt", "texts/a.txt"):
        (tmp_path / name).touch()
    before = {path: path.stat().st_size for path in tmp_path.rglob("*")}
    status, (_, *replies) = run(tiny_bundle, *jobs.values())
    assert status == 2
    for name, reply in zip(jobs, replies, strict=True):
        remedy = reply["error"].partition("What to do: ")[2]
        assert remedy, name
        for words in ("-o", "--overwrite", "datalist", "INPUT", "commas"):
            assert words not in remedy, name
    assert {path: path.stat().st_size for path in tmp_path.rglob("*")} == before
    by_name = dict(zip(jobs, (reply["error"] for reply in replies), strict=True))
    assert "found the first of 2 files of a scan; expected one file per scan" in by_name["several files of one channel"]
    assert 'name another folder in "output"' in by_name["the scan itself"]
    assert 'correct the name in "output"' in by_name["another format"]
    assert 'name another one in "output"' in by_name["no permission"]
    assert 'name another one in "output"' in by_name["a file as folder"]
    assert "found file name too long" in by_name["a name that is too long"]
    assert 'name one file in "output"' in by_name["a name that is too long"]


@pytest.fixture
def program(tiny_bundle: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", "pipeline", "predict", str(tiny_bundle), "--stdin", "--runtime", "pytorch"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


@pytest.mark.slow
def test_another_process_sends_a_job_when_it_has_the_reply_to_the_last(
    program: "subprocess.Popen[str]", scan: Path, tmp_path: Path
) -> None:
    assert program.stdin is not None
    assert program.stdout is not None
    assert json.loads(program.stdout.readline())["status"] == "ready"
    for number in range(3):
        job = {"scan": str(scan), "output": str(tmp_path / f"{number}.nii.gz"), "id": number}
        program.stdin.write(json.dumps(job) + "\n")
        program.stdin.flush()
        reply = json.loads(program.stdout.readline())
        assert (reply["id"], reply["status"]) == (number, "done")
        assert (tmp_path / f"{number}.nii.gz").exists()
    program.stdin.close()
    assert program.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stdin", "scan.nii.gz"), "expected scans in the lines of standard input"),
        (("-o", "out"), "found no scan to segment"),
        (("scan.nii.gz",), "found no output"),
    ],
)
def test_words_that_contradict_are_refused(
    tiny_bundle: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    bundle, *others = (str(tiny_bundle), *words)
    order = ["predict", bundle, *others] if words[0] != "--stdin" else ["predict", bundle, words[1], "--stdin"]
    assert main(order) == 2
    assert said in capsys.readouterr().err
