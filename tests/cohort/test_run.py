"""Cohorts: what runs, what runs again, and that the files are those of one process."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pipeline.cli import main
from pipeline.cohort import run
from pipeline.disk import DiskError
from pipeline.locks import hold_lock
from pipeline.prediction.merge import merge_shards

from .conftest import WORDS, InProcess, save

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

REPOSITORY = Path(__file__).resolve().parents[2]
Start = Callable[..., tuple[int, str, str]]


@pytest.fixture
def start(tiny_bundle: Path, scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Start:
    """Starts the cohort of the scans; gives its status, and what it printed and said."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main(["cohort", str(tiny_bundle), str(scans), "-o", str(tmp_path / "out"), *WORDS, *words])
        return (status, *capfd.readouterr())

    return run


def files(folder: Path) -> dict[str, bytes]:
    """All files of an output folder but reports and records, by name."""
    found = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith("report.")]
    return {file.name: file.read_bytes() for file in found}


def statuses(out: Path) -> dict[str, str]:
    return {scan["name"]: scan["status"] for scan in json.loads((out / "report.json").read_text())["scans"]}


def test_the_files_are_those_of_one_process_and_a_bad_scan_is_named(
    engine: InProcess, start: Start, alone: Path, tmp_path: Path
) -> None:
    status, printed, said = start("--shards", "2")
    assert status == 1
    assert files(tmp_path / "out") == files(alone)
    assert statuses(tmp_path / "out") == statuses(alone)
    assert printed.startswith("5 scans in 2 shards of 2 or 3; 2 to run, 1 at a time\n")
    assert "4 of 5 segmented, 1 failed" in printed
    assert said.count("bad.nii.gz") == 1
    assert engine.ran == ["1/2", "2/2"]


def test_a_full_disk_at_each_file_of_the_merge(
    engine: InProcess, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start("--shards", "2")
    expected, scans, out = files(tmp_path / "out"), statuses(tmp_path / "out"), tmp_path / "out"
    written: list[Path] = []

    def reach(file: Path) -> None:
        written.append(file)
        if len(written) == full_at:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))

    monkeypatch.setattr("pipeline.files._reach_disk", reach)
    full_at = 0
    merge_shards(out)
    total = len(written)
    assert total >= 3
    for number in range(1, total + 1):
        full_at = number
        written.clear()
        with pytest.raises(DiskError) as raised:
            merge_shards(out)
        assert Path(str(raised.value.filename)).parent == out
        # What was there stays whole, and nothing temporary is left.
        assert (files(out), statuses(out)) == (expected, scans)
    full_at = 0
    merge_shards(out)
    assert (files(out), statuses(out)) == (expected, scans)


@pytest.mark.slow
def test_only_shards_with_work_left_run_again(engine: InProcess, start: Start, scans: Path, tmp_path: Path) -> None:
    # In sorted order a, b, bad, c, d: the second shard has b and c.
    start("--shards", "2")
    # One scan of the first failed, and may have been repaired since.
    assert start()[0] == 1
    assert engine.ran == ["1/2"]
    (scans / "bad.nii.gz").unlink()
    save(scans / "bad.nii.gz", 9)
    status, printed, _ = start()
    assert (status, engine.ran) == (0, ["1/2"])
    assert "1 finished earlier; 1 to run" in printed
    assert statuses(tmp_path / "out") == {"a": "skipped", "b": "done", "bad": "done", "c": "done", "d": "skipped"}
    engine.ran = []
    assert start()[0] == 0
    assert engine.ran == []
    # A changed scan, and a deleted label map.
    save(scans / "c.nii.gz", 10)
    assert start()[0] == 0
    assert engine.ran == ["2/2"]
    (tmp_path / "out" / "d_seg.nii.gz").unlink()
    assert start()[0] == 0
    assert engine.ran == ["1/2"]
    assert start("--overwrite")[0] == 0
    assert engine.ran == ["1/2", "2/2"]


def test_a_shard_that_was_killed_is_named_and_the_next_start_continues(
    engine: InProcess, start: Start, alone: Path, tmp_path: Path
) -> None:
    engine.killed = {"2/3"}
    log = tmp_path / "out" / ".cohort" / "logs" / "shard_02_of_03.log"
    log.parent.mkdir(parents=True)
    log.write_text("10%\r20%\nerror: disk: found a full disk\n")
    status, _, said = start("--shards", "3")
    assert status == 1
    assert f"error: shard_02_of_03: disk: found a full disk (log: {log})\n" in said
    assert "1 of 3 shards have not finished; the same command runs them again" in said
    assert not (tmp_path / "out" / "report.json").exists()
    engine.killed = set()
    start()
    assert "2/3" in engine.ran
    assert files(tmp_path / "out") == files(alone)


def test_where_no_shard_finishes_the_status_is_2(engine: InProcess, start: Start) -> None:
    engine.killed = {"1/1"}
    status, _, said = start("--shards", "1")
    assert status == 2
    assert "no log" in said


def test_a_bundle_whose_name_starts_like_an_option(
    tiny_bundle: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-b").symlink_to(tiny_bundle)
    assert main(["cohort", "./-b", str(scans), "-o", "out", *WORDS, "--dry-run"]) == 0
    commands = [line for line in capfd.readouterr().out.splitlines() if line.startswith("lightskip predict")]
    assert len(commands) >= 2
    assert all(line.startswith("lightskip predict ./-b ") for line in commands)


def test_a_dry_run_shows_the_shards_and_writes_nothing(engine: InProcess, start: Start, tmp_path: Path) -> None:
    status, printed, _ = start("--shards", "2", "--dry-run", "--set", "inferer#overlap=0.25", "--tta")
    assert (status, engine.ran) == (0, [])
    assert not (tmp_path / "out").exists()
    lines = printed.splitlines()
    assert lines[1:3] == ["shard 1/2: 3 scans, to run", "shard 2/2: 2 scans, to run"]
    assert lines[3].startswith("lightskip predict ")
    # The commands do what they say, word by word.
    for line in lines[3:]:
        words = line.replace("'", "").split()[1:]
        assert main(words) in (0, 1), line
    status, printed, _ = start("--dry-run", "--set", "inferer#overlap=0.25", "--tta")
    # The bad scan would be tried again.
    assert printed.splitlines()[1:3] == ["shard 1/2: 3 scans, to run", "shard 2/2: 2 scans, finished"]


@pytest.mark.slow
def test_jobs_share_the_machine(engine: InProcess, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr("pipeline.cohort.run.memory_budget", lambda _: 8_000_000_000)
    start("-j", "2", "--shards", "4")
    assert (engine.config["threads"], engine.config["memory"]) == (4, None)
    # Each takes half of what may be used; Python's own share comes on top.
    assert engine.config["resources"] == {"mem_mb": 5000}
    start("-j", "3", "--threads", "2", "--memory", "2GB", "--overwrite")
    assert (engine.config["threads"], engine.config["memory"]) == (2, "2GB")
    assert engine.config["resources"] == {"mem_mb": 2500}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--shards", "0"), "--shards: found 0 for 5 scans"),
        (("--shards", "6"), "--shards: found 6 for 5 scans"),
        (("--threads", "0"), "--threads: found 0"),
        (("--memory", "many"), "--memory: found many"),
        (("--set", "nonsense=1"), "nonsense"),
        (("--device", "tpu"), "--device: found tpu"),
    ],
)
def test_a_wrong_option_is_one_message(
    words: tuple[str, ...], found: str, engine: InProcess, start: Start, tmp_path: Path
) -> None:
    status, printed, said = start(*words)
    assert (status, printed, engine.ran) == (2, "", [])
    assert found in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_bad_places_are_one_message(
    engine: InProcess, tiny_bundle: Path, scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        assert main(["cohort", *map(str, words)]) == 2
        return capfd.readouterr().err

    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    assert "x/none_such" in said("x/none_such", scans, "-o", out)
    assert "no scan to segment" in said(tiny_bundle, "-o", out)
    assert "an empty folder" in said(tiny_bundle, tmp_path / "empty", "-o", out)
    assert "no scan that can be segmented" in said(tiny_bundle, scans / "none.nii", scans / "b.txt", "-o", out)
    assert "the name of one file" in said(tiny_bundle, scans, "-o", tmp_path / "all.nii.gz")
    (tmp_path / "file").write_text("")
    assert "found a file" in said(tiny_bundle, scans, "-o", tmp_path / "file")
    assert not out.exists()
    assert engine.ran == []


def test_another_cohort_in_the_folder_is_refused(engine: InProcess, start: Start, scans: Path, tmp_path: Path) -> None:
    start("--shards", "2")
    before = files(tmp_path / "out")
    engine.ran = []
    assert "2 shards (now 3)" in start("--shards", "3")[2]
    assert "fast False (now True)" in start("--fast")[2]
    save(scans / "e.nii.gz", 5)
    (scans / "b.nii.gz").unlink()
    status, _, said = start()
    assert status == 2
    assert "5 scans (now 5; new: e; missing: b)" in said
    assert (files(tmp_path / "out"), engine.ran) == (before, [])


def test_two_starts_at_once_are_refused(engine: InProcess, start: Start, tmp_path: Path) -> None:
    start("--shards", "2")
    report = tmp_path / "out" / "report.shard_01_of_02.json"
    engine.ran = []
    with hold_lock(tmp_path / "out" / ".cohort" / ".workflow" / "lock"):
        status, _, said = start()
    assert (status, engine.ran) == (2, [])
    assert "another lightskip cohort at work in it" in said
    assert report.exists()


# --- in Snakemake -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_job_that_is_killed_is_tried_again(tiny_bundle: Path, scans: Path, alone: Path, tmp_path: Path) -> None:
    pytest.importorskip("snakemake", reason="Snakemake is not installed: pip install 'lightskip[study]'")
    # Another project's package in the working directory, and no command `lightskip` on the path.
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise SystemExit(9)")
    words = [sys.executable, "-P", "-c", "import sys; from pipeline.__main__ import main; sys.exit(main())", "cohort"]
    words += [str(tiny_bundle), "in", "-o", "an out", "--shards", "2", "-j", "2", *WORDS]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    while not (job := find_job(process.pid, "1/2")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(job, signal.SIGKILL)
    printed, _ = process.communicate()
    assert process.returncode == 1, "the bad scan"
    assert "failed: shard 1/2; it is tried again" in printed
    assert files(tmp_path / "an out") == files(alone)
    assert statuses(tmp_path / "an out") == statuses(alone)


def find_job(parent: int, shard: str) -> int | None:
    """Return the process of a shard."""
    for child in psutil.Process(parent).children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if shard in words and "predict" in words:
            return child.pid
    return None


@pytest.mark.slow
def test_a_job_that_cannot_run_says_why(tiny_bundle: Path, scans: Path, tmp_path: Path, warm_start: Callable) -> None:
    pytest.importorskip("snakemake", reason="Snakemake is not installed: pip install 'lightskip[study]'")
    bundle = shutil.copytree(tiny_bundle, tmp_path / "broken")
    weights = bundle / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:1000])
    words = ("-m", "pipeline", "cohort", bundle, scans, "-o", tmp_path / "out", "--shards", "1", *WORDS)
    ended = warm_start(*words, cwd=REPOSITORY)
    assert ended.returncode == 2
    assert "model.pt" in ended.stderr
    assert "1 of 1 shards have not finished" in ended.stderr


@pytest.mark.parametrize(("status", "is_full", "expected"), [(2, True, 1), (2, False, 2), (0, True, 0), (1, False, 1)])
def test_scans_that_all_fail_for_a_full_disk_are_no_bad_scans(
    status: int, is_full: bool, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = SimpleNamespace(report={"scans": []}, text="0 of 3 segmented", status=status)
    monkeypatch.setattr(run, "merge_shards", lambda *_, **__: summary)
    monkeypatch.setattr(run, "describe_failures", lambda _: [])
    monkeypatch.setattr(run, "full_disk_message", lambda _: "full" if is_full else None)
    cohort = SimpleNamespace(request=SimpleNamespace(output=tmp_path, bundle=tmp_path))
    said: list[str] = []
    assert run._report(cohort, said.append, said.append) == expected  # type: ignore[arg-type]
    assert said == ["0 of 3 segmented"]
