"""Many jobs, in real Snakemake: failures, second starts, kills. Each start takes some two seconds."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.data.errors import InputError
from pipeline.locks import hold_lock
from pipeline.workflow import lock as lock_module
from pipeline.workflow import start as module
from pipeline.workflow.run import Failure, run_workflow

from .conftest import SNAKEFILE, Start

REPOSITORY = Path(__file__).resolve().parents[2]
# Runs the small workflow in a process of its own. A program in the background of a shell ignores SIGINT.
CHILD = """
import json, signal, sys
from pathlib import Path
from pipeline.workflow.run import run_workflow
snakefile, folder, commands, background = sys.argv[1:]
signal.signal(signal.SIGINT, signal.SIG_IGN if background else signal.default_int_handler)
commands = json.loads(commands)
try:
    outcome = run_workflow(Path(snakefile), folder=Path(folder), targets=[f"runs/{name}.txt" for name in commands],
                           config={"commands": commands}, jobs=2)
except KeyboardInterrupt:
    sys.exit(130)
sys.exit(outcome.status)
"""
# A job that waits until it is interrupted, and notes that it ended by itself then.
WAITS = """python3 -c "import os, pathlib, time
try: pathlib.Path('at_work').write_text(str(os.getpid())); time.sleep(100)
except KeyboardInterrupt: pathlib.Path('ended').touch(); raise
" """


def wait_until(true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    while not true():
        assert process.poll() is None
        time.sleep(0.02)


def is_half_way(folder: Path) -> bool:
    """Return whether the job that waits is at work, and Snakemake knows that the other one is done."""
    log = folder / ".workflow" / "snakemake.log"
    return (folder / "at_work").exists() and "1 of 3 steps" in log.read_text()


@contextlib.contextmanager
def process_of(
    folder: Path, commands: dict[str, str], *, background: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    words = [sys.executable, "-c", CHILD, str(SNAKEFILE), str(folder), json.dumps(commands), "yes" * background]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_job_that_fails_is_named_and_does_not_stop_the_others(start: Start) -> None:
    outcome = start({"a": "true", "bad": "false", "c": "true"}, jobs=2, retries=1)
    assert outcome.failed == (Failure("runs/bad.txt", "logs/bad.log"),)
    assert (sorted(outcome.done), outcome.missing) == (["runs/a.txt", "runs/c.txt"], ("runs/bad.txt",))
    assert outcome.status == 1
    assert [event for event in start.events if "bad" in event[1]] == [
        ("started", "runs/bad.txt", 1),
        ("failed", "runs/bad.txt", 1),
        ("started", "runs/bad.txt", 2),
        ("failed", "runs/bad.txt", 2),
    ]
    # The next start runs it alone.
    assert start({"a": "true", "bad": "true", "c": "true"}).status == 0
    assert [start.count(name) for name in ("a", "bad", "c")] == [1, 3, 1]
    assert start.events == [("started", "runs/bad.txt", 1), ("done", "runs/bad.txt", 1)]


@pytest.mark.slow
def test_no_more_jobs_run_at_the_same_time_than_named(start: Start) -> None:
    # Each job prints how many are at work.
    work = "mkdir -p now; touch now/{0}; sleep 0.3; ls now | wc -l; rm now/{0}"
    start({name: work.format(name) for name in "abcd"}, jobs=2, threads=1)
    assert max(int(file.read_text()) for file in (start.folder / "logs").iterdir()) <= 2
    start({name: work.format(name) for name in "efg"})
    assert {int((start.folder / "logs" / f"{name}.log").read_text()) for name in "efg"} == {1}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_jobs_and_the_next_start_continues(start: Start, number: int) -> None:
    commands = {"a": "true", "waits": WAITS}
    with process_of(start.folder, commands, background=number == signal.SIGTERM) as process:
        wait_until(lambda: is_half_way(start.folder), process)
        process.send_signal(number)
        assert process.wait() == 130
    assert (start.folder / "ended").exists()
    assert not psutil.pid_exists(int((start.folder / "at_work").read_text()))
    assert start({"a": "true", "waits": "true"}).status == 0
    assert (start.count("a"), start.count("waits")) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("everything", [True, False])
def test_after_a_kill_the_next_start_continues(start: Start, everything: bool) -> None:
    half = 'echo half > "runs/half.txt"; ' + WAITS
    with process_of(start.folder, {"a": "true", "half": half}) as process:
        wait_until(lambda: is_half_way(start.folder), process)
        children = psutil.Process(process.pid).children(recursive=True)
        for one in (process, *(children if everything else ())):
            one.kill()
        process.wait()
        # If Snakemake was not killed with it, it ends by itself, and its jobs with it.
        psutil.wait_procs(children)
    assert (start.folder / "ended").exists() != everything
    # A file that was being made is not taken for a whole one.
    assert (start.folder / "runs" / "half.txt").read_text() == "half\n"
    assert start({"a": "true", "half": "true"}).status == 0
    assert (start.count("a"), start.count("half")) == (1, 2)
    assert "half" not in (start.folder / "runs" / "half.txt").read_text()


@pytest.mark.slow
def test_jobs_that_outlive_a_killed_snakemake_are_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock_module, "MAX_WAIT", 0.0)
    lock = start.folder / ".workflow" / "jobs" / "shard_1.lock"
    lock.parent.mkdir(parents=True)
    with hold_lock(lock), pytest.raises(InputError, match="still at work: shard_1"):
        start({"a": "true"})
    assert "note: waiting for the end of jobs of an earlier start, which was killed: shard_1 (process " in (
        capsys.readouterr().err
    )
    assert start({"a": "true"}).status == 0


@pytest.mark.slow
def test_what_snakemake_refuses_is_shown(start: Start, tmp_path: Path) -> None:
    profile = tmp_path / "mine"
    profile.mkdir()
    (profile / "config.yaml").write_text("executor: local\nno-such-option: 3\n")
    with pytest.raises(InputError, match="no-such-option") as caught:
        start({"a": "true"}, profile=profile)
    assert str(caught.value.where) == str(profile / "config.yaml")
    assert start.count("a") == 0


def test_bad_input_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"

    def refused(**options: object) -> str:
        with pytest.raises(InputError) as caught:
            run_workflow(SNAKEFILE, folder=out, targets=["runs/a.txt"], **options)
        assert not out.exists()
        return str(caught.value)

    monkeypatch.setattr(module, "find_spec", lambda _: object())
    assert "from 1 on" in refused(jobs=0)
    assert "kubernetes, local, slurm" in refused(profile="slrum")
    assert "did you mean slurm?" in refused(profile="slrum")
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert "pip install 'lightskip[study]'" in refused()


def test_two_starts_at_once_are_refused(start: Start) -> None:
    (start.folder / ".workflow").mkdir()
    with hold_lock(start.folder / ".workflow" / "lock"), pytest.raises(InputError, match="one at a time"):
        start({"a": "true"}, verb="lightskip cohort")
    assert start.count("a") == 0
